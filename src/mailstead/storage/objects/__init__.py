"""Places for backups: a folder, a bucket.

May import: ports and below. Start reading at `folder`.
"""
