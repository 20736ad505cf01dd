"""The verbs: receive, deliver, submit, fetch, store flags, log in, create alias.

May import: mailauth, ports, policy, sieve, mime, config (types), telemetry, model; never proto. Start reading at
`receptions` (mail in) and `mailboxes` (mail out).
"""
