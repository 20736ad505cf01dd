"""Mail to others: routes by MX, TLS by DANE and MTA-STS, and the client's side of SMTP over a socket.

May import: mailauth, ports, proto, config's setting classes, telemetry, model. Start reading at `relay`: it looks for
`routes`, asks `security` what each host needs, has `opening` bring a conversation to where mail can be said, and gives
a `session`, which sends messages. `conversation` is the only module with a socket.
"""
