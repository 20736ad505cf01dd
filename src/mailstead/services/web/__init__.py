"""The web service: MTA-STS policies, set-up files of mail programs. Imports usecases and net; start at `service.py`."""
