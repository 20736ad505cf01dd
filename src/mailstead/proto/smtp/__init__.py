"""The SMTP wire, server and client. Spec: RFC 5321.

May import: model, mime, proto.connection, proto.sasl. Start reading at `types`, then `states`.
"""
