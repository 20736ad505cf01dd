"""LIST, LSUB and NAMESPACE."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from mailstead.model.mailbox import DELIMITER, Mailbox
from mailstead.proto.imap.list_pattern import BadPattern, ListPattern
from mailstead.proto.imap.types.commands import List, Lsub
from mailstead.proto.imap.types.events import Result
from mailstead.proto.imap.write import responses
from mailstead.services.imap.commands.status import status_line
from mailstead.services.imap.errors import Refused, Reply

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession

NAMES_PER_TURN: Final = 500
"""After so many names others get their turn (attack row 46)."""


async def namespace(session: ImapSession, command: object) -> Reply:
    """Tell the one personal namespace. Spec: RFC 9051 §6.3.10 (RFC 2342)."""
    del command
    session.connection.send(responses.namespace())
    return Reply(Result.OK, "NAMESPACE completed")


async def list_mailboxes(session: ImapSession, command: List) -> Reply:
    r"""Tell which mailboxes match.

    Spec: RFC 9051 §6.3.9; RFC 5258 §3, §4 (extended), RFC 5819, RFC 6154, RFC 3348 (\HasChildren)
    """
    if not command.is_extended and command.patterns == ("",):
        session.connection.send(responses.list_delimiter())
        return Reply(Result.OK, "LIST completed")
    patterns = _patterns(command.reference, command.patterns)
    names = await Names.read(session, with_subscriptions=command.select_subscribed)
    selects = command.select_subscribed or command.select_special_use
    matching = await names.matching(patterns)
    parents = names.chosen_below(command, set(matching)) if command.select_recursive_match else frozenset[str]()
    lines: list[bytes] = []
    for name in matching:
        is_chosen = not selects or names.is_chosen(name, command)
        if not is_chosen and name not in parents:
            continue
        attributes = names.attributes(name, with_subscribed=command.return_subscribed or command.select_subscribed)
        child_info = ("SUBSCRIBED",) if name in parents and command.select_subscribed else ()
        lines.append(responses.list_line(name, attributes, is_utf8=session.is_utf8, child_info=child_info))
        mailbox = names.mailboxes.get(name)
        if command.return_status and mailbox is not None and mailbox.is_selectable and is_chosen:
            lines.append(await status_line(session, mailbox, command.return_status))
    session.connection.send(b"".join(lines))
    return Reply(Result.OK, "LIST completed")


async def lsub(session: ImapSession, command: Lsub) -> Reply:
    r"""Tell the subscribed names; one matched by ``%`` above a subscribed one comes as \Noselect.

    Spec: RFC 3501 §6.3.9
    """
    if not command.pattern:
        return Reply(Result.OK, "LSUB completed")
    patterns = _patterns(command.reference, (command.pattern,))
    names = await Names.read(session, with_subscriptions=True)
    lines: list[bytes] = []
    told: set[str] = set()
    matching = await names.matching(patterns)
    for name in matching:
        if name in names.subscribed:
            told.add(name)
            lines.append(responses.lsub_line(name, (), is_utf8=session.is_utf8))
    if command.pattern.endswith("%"):
        above = {parent for name in names.subscribed - told for parent in _parents(name)} - told
        lines += [
            responses.lsub_line(name, ("\\Noselect",), is_utf8=session.is_utf8) for name in matching if name in above
        ]
    session.connection.send(b"".join(lines))
    return Reply(Result.OK, "LSUB completed")


def _patterns(reference: str, texts: Iterable[str]) -> list[ListPattern]:
    try:
        return [ListPattern(reference, text) for text in texts]
    except BadPattern as error:
        raise Refused(str(error), b"LIMIT") from None


def _parents(name: str) -> list[str]:
    levels = name.split(DELIMITER)
    return [DELIMITER.join(levels[:count]) for count in range(1, len(levels))]


class Names:
    """All names of an account at one moment, with what LIST says about them."""

    def __init__(self, mailboxes: Iterable[Mailbox], subscriptions: Iterable[str]) -> None:
        self.mailboxes = {mailbox.name: mailbox for mailbox in mailboxes}
        self.subscribed = {name for name, mailbox in self.mailboxes.items() if mailbox.is_subscribed}
        self.subscribed.update(subscriptions)
        missing = self.subscribed - self.mailboxes.keys()
        implied = {parent for name in missing for parent in _parents(name)}
        self.names = [*self.mailboxes, *sorted((missing | implied) - self.mailboxes.keys())]
        self.parents = {name.rpartition(DELIMITER)[0] for name in self.names}

    @classmethod
    async def read(cls, session: ImapSession, *, with_subscriptions: bool) -> Names:
        """Read them; subscriptions to what does not exist only if they matter."""
        subscriptions = await session.store.subscriptions() if with_subscriptions else ()
        return cls(await session.store.mailboxes(), subscriptions)

    async def matching(self, patterns: list[ListPattern]) -> list[str]:
        """Give the names that some pattern matches, in their order."""
        matching: list[str] = []
        for count, name in enumerate(self.names, 1):
            if any(pattern.matches(name) for pattern in patterns):
                matching.append(name)
            if count % NAMES_PER_TURN == 0:
                await asyncio.sleep(0)  # not a wait: the turn of other conversations
        return matching

    def is_chosen(self, name: str, command: List) -> bool:
        """Whether a name fulfils the selection options. Spec: RFC 9051 §6.3.9.1."""
        mailbox = self.mailboxes.get(name)
        if command.select_subscribed and name not in self.subscribed:
            return False
        return not command.select_special_use or (mailbox is not None and mailbox.special_use is not None)

    def chosen_below(self, command: List, matching: set[str]) -> frozenset[str]:
        """Give the names above a chosen one that itself does not match. Spec: RFC 9051 §6.3.9.6 (RECURSIVEMATCH)."""
        return frozenset(
            parent
            for name in self.names
            if name not in matching and self.is_chosen(name, command)
            for parent in _parents(name)
        )

    def attributes(self, name: str, *, with_subscribed: bool = False) -> list[str]:
        """Give the attributes of a name. Spec: RFC 9051 §7.3.1."""
        mailbox = self.mailboxes.get(name)
        attributes: list[str] = []
        if mailbox is None:
            attributes.append("\\NonExistent")
        elif not mailbox.is_selectable:
            attributes.append("\\Noselect")
        attributes.append("\\HasChildren" if name in self.parents else "\\HasNoChildren")
        if with_subscribed and name in self.subscribed:
            attributes.append("\\Subscribed")
        if mailbox is not None and mailbox.special_use is not None:
            attributes.append(mailbox.special_use)
        return attributes
