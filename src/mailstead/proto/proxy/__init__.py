"""The PROXY protocol header, version 1 and 2, that a trusted load balancer puts before a connection.

May import: model, proto.connection. Start reading at `header`.
"""
