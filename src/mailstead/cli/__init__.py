"""The commands: serve, init, domain, account, alias, config, import, export, check.

May import: everything below; opens the house through `wiring`. Start reading at `app`.
"""
