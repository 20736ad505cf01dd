"""The REST API: JSON over the same use cases as the pages, the command line and the mail protocols.

May import: usecases, net, ports' types, model. Start reading at `endpoints`, then `app`.
"""
