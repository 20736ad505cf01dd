"""POP3 as a wire, sans-IO. Spec: RFC 1939, RFC 2449, RFC 2595, RFC 3206, RFC 5034, RFC 6856.

May import: model and `proto.connection`. Start reading at `connection`; `types` has the commands, `states` the table.
"""
