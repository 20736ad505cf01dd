"""Filters for people who do not know Sieve: simple rules, written as Sieve and read back from any script.

May import: the rest of sieve, mime, model. Pure. Start reading at `rule`, then `document`.
"""
