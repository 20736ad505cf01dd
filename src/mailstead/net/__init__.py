"""Listeners, the one driver, TLS, compression, PROXY header, certificates: the only room with sockets.

May import: proto, ports, telemetry, model. Start reading at `driver`.
"""
