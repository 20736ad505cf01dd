"""The embedded adapter: one encrypted SQLite file per account, one for the directory, nothing else needed.

Start reading at `storage` (opens everything), then `account` and `writer` (group commit).
"""
