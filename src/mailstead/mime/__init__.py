"""The message format: header, MIME tree by byte offsets, facts for lists, ordering, compose.

May import: model. Pure: no asyncio, files, clock, settings. Start reading at `facts`.
"""
