"""The wires, sans-IO: smtp, imap, pop3, sasl, proxy (header). No TLS, no sockets, no clock.

May import: model, mime. Start reading at `connection` (the shape every wire shares).
"""
