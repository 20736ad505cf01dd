"""The words of the house: addresses, mailboxes, flags, changes, errors.

May import: the standard library only; no asyncio, sockets, files, clock or chance.
Start reading at `ids`, then `mailbox` and `message`.
"""
