"""Adapters of the `ports.storage` port: `embedded` (SQLite files on one host); `scaled` will come beside it.

May import: ports, mime, telemetry, model; the two adapters are strangers. Start reading at `embedded`.
"""
