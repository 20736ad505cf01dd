"""ManageSieve as a wire, sans-IO. Spec: RFC 5804.

May import: model and `proto.connection`. Start reading at `connection`; `types` has the commands, `states` the table.
"""
