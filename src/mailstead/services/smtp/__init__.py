"""The services mx and submission: SMTP in, for others and for our own.

May import: usecases, net.line, proto.smtp, proto.sasl, telemetry, model. Start reading at `session`.
"""
