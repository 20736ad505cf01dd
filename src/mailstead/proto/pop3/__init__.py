"""The POP3 wire, server side. Spec: RFC 1939.

May import: model, mime, proto.connection, proto.sasl. Start reading at `types`, then `states`.
"""
