"""STORE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailstead.model.flags import flag_set
from mailstead.proto.imap.types.commands import Store
from mailstead.proto.imap.types.events import Result
from mailstead.proto.imap.write import code, fetch
from mailstead.services.imap.errors import Reply

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession


async def store(session: ImapSession, command: Store) -> Reply:
    """Change flags, and tell what they are now unless .SILENT.

    Spec: RFC 9051 §6.4.6; RFC 7162 §3.1.3 (UNCHANGEDSINCE, MODIFIED)
    """
    selected = session.writable()
    view = selected.view
    if command.unchanged_since is not None:
        session.enable_condstore()
    uids = view.select(command.messages, by_uid=command.by_uid)
    stored = await session.store.store_flags(
        selected.mailbox_id, uids, command.operation, sorted(flag_set(command.flags)), command.unchanged_since
    )
    session.is_stale = True
    changed = stored.changed
    seqnums = view.seqnums([change.uid for change in changed])
    if session.condstore or not command.is_silent:
        fresh = [flag for change in changed for flag in change.flags]
        session.connection.send(selected.hear_of(fresh))
        lines = fetch.flag_lines(
            seqnums,
            changed,
            with_uid=command.by_uid or session.qresync,
            with_modseq=session.condstore,
            with_flags=not command.is_silent,
        )
        session.connection.send(lines)
    view.known(changed)
    if stored.refused:
        numbers = list(stored.refused) if command.by_uid else view.seqnums(stored.refused)
        return Reply(Result.OK, "Some had changed already", code.modified(numbers))
    if len(changed) < len(uids):
        return Reply(Result.OK, "Some of these messages were expunged meanwhile", b"EXPUNGEISSUED")
    return Reply(Result.OK, "STORE completed")
