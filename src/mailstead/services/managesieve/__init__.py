"""ManageSieve as a service: the session and its table of errors. Spec: RFC 5804.

May import: usecases, net, proto, ports (types), telemetry, model. Start reading at `session`.
"""
