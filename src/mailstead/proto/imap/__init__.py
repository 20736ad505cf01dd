"""The IMAP wire, server side. Spec: RFC 9051, RFC 3501.

May import: model, mime, proto.connection, proto.sasl. Start reading at `types`, then `states`.
"""
