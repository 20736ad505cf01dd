"""The service queue: relays what waits, and keeps house.

May import: usecases, telemetry, model. Start reading at `service`.
"""
