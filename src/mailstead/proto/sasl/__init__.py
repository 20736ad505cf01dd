"""SASL mechanisms, server side: PLAIN, LOGIN, SCRAM-SHA-256. Spec: RFC 4422, RFC 4616, RFC 5802, RFC 7677.

May import: model. Start reading at `mechanisms`.
"""
