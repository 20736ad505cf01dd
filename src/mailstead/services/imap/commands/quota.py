"""GETQUOTA, GETQUOTAROOT, SETQUOTA. One quota root, named by the empty string, holds the whole account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailstead.model.errors import NotAllowed
from mailstead.proto.imap.types.commands import GetQuota, GetQuotaRoot, SetQuota
from mailstead.proto.imap.types.events import Result
from mailstead.proto.imap.write import responses
from mailstead.services.imap.commands.names import existing
from mailstead.services.imap.errors import Refused, Reply

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession

ROOT: Final = ""
UNIT_OCTETS: Final = 1024
"""Spec: RFC 9208 §5.1 (STORAGE)"""


async def get_quota(session: ImapSession, command: GetQuota) -> Reply:
    """Tell usage and limit. Spec: RFC 9208 §4.1.1."""
    if command.root != ROOT:
        raise Refused("No such quota root", b"NONEXISTENT")
    await _tell(session)
    return Reply(Result.OK, "GETQUOTA completed")


async def get_quota_root(session: ImapSession, command: GetQuotaRoot) -> Reply:
    """Tell the root of a mailbox (which need not exist yet), and its usage and limit. Spec: RFC 9208 §4.1.2."""
    line = responses.quotaroot(existing(command.mailbox), (ROOT,), is_utf8=session.is_utf8)
    session.connection.send(line)
    await _tell(session)
    return Reply(Result.OK, "GETQUOTAROOT completed")


async def set_quota(session: ImapSession, command: SetQuota) -> Reply:
    """Refuse: limits are the administrator's. Spec: RFC 9208 §4.1.3 (QUOTASET is not offered)."""
    del session, command
    raise NotAllowed


async def _tell(session: ImapSession) -> None:
    usage = await session.store.usage()
    resources: list[tuple[str, int, int]] = []
    if usage.quota_octets is not None:
        resources.append(("STORAGE", -(-usage.size_octets // UNIT_OCTETS), usage.quota_octets // UNIT_OCTETS))
    session.connection.send(responses.quota(ROOT, resources))
