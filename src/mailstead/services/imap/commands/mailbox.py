"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailstead.model.mailbox import SPECIAL_USES, normal_name
from mailstead.proto.imap.types.commands import Create, Delete, Rename, Subscribe
from mailstead.proto.imap.types.events import Result
from mailstead.proto.imap.write import code, responses
from mailstead.services.imap.commands.names import existing, mailboxid
from mailstead.services.imap.errors import Refused, Reply

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession

_CREATABLE: Final = {use.lower(): use for use in SPECIAL_USES if use not in {"\\All", "\\Flagged"}}
r"""\All and \Flagged would be views of other mailboxes, which we do not have."""


async def create(session: ImapSession, command: Create) -> Reply:
    """Make a mailbox and its missing parents, for a special use perhaps.

    Spec: RFC 9051 §6.3.4; RFC 6154 §3 (USEATTR); RFC 8474 §4.1 (MAILBOXID)
    """
    name = normal_name(command.mailbox)
    special_use = None
    if command.special_uses:
        uses = {_CREATABLE.get(use.lower()) for use in command.special_uses}
        special_use = uses.pop()
        if uses or special_use is None:
            raise Refused("A mailbox here has one special use, of those known", b"USEATTR")
        if any(mailbox.special_use == special_use for mailbox in await session.store.mailboxes()):
            raise Refused("Another mailbox has that special use", b"USEATTR")
    mailbox = await session.store.create_mailbox(name, special_use)
    return Reply(Result.OK, "CREATE completed", code.mailboxid(mailboxid(mailbox.mailbox_id)))


async def delete(session: ImapSession, command: Delete) -> Reply:
    """Remove a mailbox; if it is the selected one, none is selected any more.

    Spec: RFC 9051 §6.3.5, §7.1 (CLOSED)
    """
    name = existing(command.mailbox)
    mailbox = await session.store.mailbox(name)
    await session.store.delete_mailbox(name)
    selected = session.selected
    if selected is not None and selected.mailbox_id == mailbox.mailbox_id:
        session.close_selected()
        session.connection.unselect()
        session.connection.send(responses.ok("The selected mailbox is gone", b"CLOSED"))
    return Reply(Result.OK, "DELETE completed")


async def rename(session: ImapSession, command: Rename) -> Reply:
    """Rename a mailbox with its children; INBOX gives its messages away instead. Spec: RFC 9051 §6.3.6."""
    old_name, new_name = existing(command.mailbox), normal_name(command.new_name)
    await session.store.rename_mailbox(old_name, new_name)
    session.is_stale = True
    return Reply(Result.OK, "RENAME completed")


async def subscribe(session: ImapSession, command: Subscribe) -> Reply:
    """Subscribe or unsubscribe; a name need not exist. Spec: RFC 9051 §6.3.7, §6.3.8."""
    await session.store.subscribe(normal_name(command.mailbox), is_subscribed=command.is_subscribed)
    return Reply(Result.OK, "Done")
