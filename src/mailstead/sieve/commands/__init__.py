"""The vocabulary of scripts: a table of forms for each field, and the names of all extensions.

May import: mime, model. Start reading at `filing`.
"""
