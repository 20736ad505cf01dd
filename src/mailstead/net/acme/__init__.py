"""Certificates ordered from an authority by ACME, and renewed before they end.

May import what `net` may. Start reading at `ordering`: it says when something is ordered; `client` says how.
"""
