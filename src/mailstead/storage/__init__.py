"""Adapters of the `ports.storage` port: `embedded` (SQLite files on one host); `scaled` will come beside it.

`objects` has the places of backups. May import: ports, mime, telemetry, model; adapters are strangers. Start reading at
`embedded`.
"""
