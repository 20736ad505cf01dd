"""POP3 as a service: the session and its table of errors. Spec: RFC 1939.

May import: usecases, net, proto, ports (types), telemetry, model. Start reading at `session`.
"""
