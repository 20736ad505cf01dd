"""Sieve: parse, check and run a script on facts; gives actions, performs none.

May import: mime, model. Pure. Start reading at `script`.
"""
