"""Typed settings with their help text, and the one loader.

May import: model. Start reading at `settings` and `schema`; `load` may be imported by `wiring` and `cli` only.
"""
