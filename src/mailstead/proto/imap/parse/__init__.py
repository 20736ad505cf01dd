"""From the octets of a whole command to its dataclass: hand-written, linear, one function per command.

May import: model, proto.imap.types, proto.imap.write (labels and codes). Start reading at `cursor`, then any command.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from mailstead.proto.imap.parse import account, fetch, mailboxes, messages, search
from mailstead.proto.imap.parse.cursor import Cursor, Incomplete, Refusal
from mailstead.proto.imap.types.commands import (
    Capability,
    Check,
    Close,
    Command,
    Expunge,
    Idle,
    Logout,
    Namespace,
    Noop,
    StartTls,
    Unauthenticate,
    Unselect,
)

__all__ = ["ARGUMENTS", "BARE", "Cursor", "Incomplete", "Refusal", "parse"]

BARE: Final[dict[bytes, Command]] = {
    b"CAPABILITY": Capability(),
    b"CHECK": Check(),
    b"CLOSE": Close(),
    b"EXPUNGE": Expunge(),
    b"IDLE": Idle(),
    b"LOGOUT": Logout(),
    b"NAMESPACE": Namespace(),
    b"NOOP": Noop(),
    b"STARTTLS": StartTls(),
    b"UNAUTHENTICATE": Unauthenticate(),
    b"UNSELECT": Unselect(),
}
"""Commands without arguments."""

ARGUMENTS: Final[dict[bytes, Callable[[Cursor], Command]]] = {
    b"AUTHENTICATE": account.authenticate,
    b"COMPRESS": account.compress,
    b"COPY": partial(messages.copy, by_uid=False),
    b"CREATE": mailboxes.create,
    b"DELETE": mailboxes.delete,
    b"ENABLE": account.enable,
    b"EXAMINE": partial(mailboxes.select, is_examine=True),
    b"FETCH": partial(fetch.fetch, by_uid=False),
    b"GETMETADATA": account.get_metadata,
    b"GETQUOTA": account.get_quota,
    b"GETQUOTAROOT": account.get_quota_root,
    b"ID": account.id_,
    b"LIST": mailboxes.list_,
    b"LOGIN": account.login,
    b"LSUB": mailboxes.lsub,
    b"MOVE": partial(messages.move, by_uid=False),
    b"NOTIFY": account.notify,
    b"RENAME": mailboxes.rename,
    b"SEARCH": partial(search.search, by_uid=False),
    b"SELECT": partial(mailboxes.select, is_examine=False),
    b"SETMETADATA": account.set_metadata,
    b"SETQUOTA": account.set_quota,
    b"SORT": partial(search.sort, by_uid=False),
    b"STATUS": mailboxes.status,
    b"STORE": partial(messages.store, by_uid=False),
    b"SUBSCRIBE": partial(mailboxes.subscribe, is_subscribed=True),
    b"THREAD": partial(search.thread, by_uid=False),
    b"UID COPY": partial(messages.copy, by_uid=True),
    b"UID EXPUNGE": messages.uid_expunge,
    b"UID FETCH": partial(fetch.fetch, by_uid=True),
    b"UID MOVE": partial(messages.move, by_uid=True),
    b"UID SEARCH": partial(search.search, by_uid=True),
    b"UID SORT": partial(search.sort, by_uid=True),
    b"UID STORE": partial(messages.store, by_uid=True),
    b"UID THREAD": partial(search.thread, by_uid=True),
    b"UNSUBSCRIBE": partial(mailboxes.subscribe, is_subscribed=False),
}
"""Commands with arguments, but APPEND and REPLACE (see `parse.append`)."""


def parse(verb: bytes, cursor: Cursor) -> Command:
    """Read the arguments of a command whose verb (upper case) has been taken already.

    Errors: Refusal.
    """
    bare = BARE.get(verb)
    if bare is None:
        cursor.space()
        try:
            command = ARGUMENTS[verb](cursor)
        except Incomplete:
            raise cursor.fail("the octets of a literal") from None
    else:
        command = bare
    cursor.end()
    return command
