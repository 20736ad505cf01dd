"""Conversations as the pages of a mailbox list and show them: the messages of one thread, in all mailboxes.

Spec: RFC 8474 §5.2 (THREADID, kept at append), RFC 8970 (the snippet is the newest message's preview).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mailstead.mime.address import GROUP_END, addresses_of, display_name
from mailstead.mime.header import first_values, text_of
from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchMessage, TryAgainLater
from mailstead.model.flags import SEEN, Flags
from mailstead.model.ids import MailboxId, ThreadId, Uid
from mailstead.model.mailbox import Mailbox
from mailstead.model.message import Conversation, Mark, MessageRecord, Wanted
from mailstead.model.people import ObjectId
from mailstead.model.place import Place, thread_object_id
from mailstead.model.search import Everything, HasThreadId, Nothing, SearchKey
from mailstead.usecases.mailboxes import SEARCH_LIMIT_S, Mailboxes, asks_for_text
from mailstead.usecases.message_views import MessageView, is_named, is_searchable

SHOWN_MAX: Final = 500
"""So many messages of one conversation are given, the newest."""
PAGE_MAX: Final = 200
_MARK: Final = re.compile(r"(-?[0-9a-f]{1,12})\.([0-9a-f]{1,8})\.([0-9a-f]{1,8})")
_THREAD: Final = re.compile(r"0{8}([0-9a-f]{16})")


@dataclass(frozen=True, slots=True)
class ConversationQuery:
    r"""Which conversations are wanted: those with a message for which `key` holds (unread, flagged, text …).

    In which mailbox: its name or its id; empty: all but those of special use \Junk and \Trash.
    """

    key: SearchKey = Everything()
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Participant:
    """Somebody who wrote in a conversation."""

    name: str
    """Display name, else the address."""
    address: str
    has_unread: bool
    """Whether something of theirs is unread."""


@dataclass(frozen=True, slots=True)
class ConversationView:
    """A conversation in a list."""

    conversation_id: ObjectId
    subject: str
    """Of its oldest message, decoded; may be empty."""
    participants: tuple[Participant, ...]
    """In the order of their first message: of the oldest, and of the newest twenty."""
    message_count: int
    """In the mailbox that was asked for and in all others but Junk and Trash; copies count once."""
    unread_count: int
    flags: Flags
    r"""What some message has; ``\Seen`` only if all have it."""
    has_attachment: bool
    internaldate_s: int
    """Of its newest message that was asked for."""
    snippet: str
    """Of its newest message."""
    message_ids: tuple[ObjectId, ...]
    """The newest twenty, newest first, as `Messages.show` knows them."""


@dataclass(frozen=True, slots=True)
class ConversationList:
    """A page."""

    conversations: tuple[ConversationView, ...]
    next: str
    """What to ask the next page with; empty: there is none."""
    unindexed_count: int
    """Messages that the search has not seen yet; the index is at it."""


@dataclass(frozen=True, slots=True)
class WholeConversation:
    """A conversation with its messages."""

    conversation_id: ObjectId
    subject: str
    message_count: int
    """More than are given, if there are more than `SHOWN_MAX`; here copies count each."""
    messages: tuple[MessageView, ...]
    """From all mailboxes, Junk and Trash too, oldest first."""


class Conversations:
    """Every verb begins with an actor, whose own account alone is reached (NotAllowed without one)."""

    def __init__(self, mailboxes: Mailboxes) -> None:
        self._mailboxes = mailboxes

    async def page(self, actor: Actor, query: ConversationQuery, after: str = "", limit: int = 50) -> ConversationList:
        """A page of conversations, newest first, behind the one that `after` (`ConversationList.next`) stands for.

        Nothing of an unknown mailbox; the first page for an `after` that is none. A search does not wait until the
        text index has seen all.
        Errors: TryAgainLater when a search takes too long.
        """
        store = self._mailboxes.of(actor)
        by_id = {each.mailbox_id: each for each in await store.mailboxes() if each.is_selectable}
        beside = [each.mailbox_id for each in by_id.values() if is_searchable(each)]
        asked = [each.mailbox_id for each in by_id.values() if is_named(each, query.folder)] if query.folder else beside
        if not asked or isinstance(query.key, Nothing):
            return ConversationList((), "", 0)
        ask = (asked, beside, query.key, _mark(after), max(1, min(limit, PAGE_MAX)))
        if asks_for_text(query.key):
            async with self._mailboxes.turn(actor):
                try:
                    async with asyncio.timeout(SEARCH_LIMIT_S):
                        found = await store.conversations(*ask)
                except TimeoutError:
                    raise TryAgainLater("The search took too long; please make it narrower") from None
        else:
            found = await store.conversations(*ask)
        views = tuple(_view(each, by_id) for each in found.conversations)
        last = found.conversations[-1].mark if found.has_more else None
        after = f"{last.internaldate_s:x}.{last.mailbox_id:x}.{last.uid:x}" if last else ""
        return ConversationList(views, after, found.unindexed_count)

    async def show(
        self,
        actor: Actor,
        conversation_id: str,
        wanted: Wanted = Wanted.LISTED_HEADER | Wanted.STRUCTURE | Wanted.PREVIEW,
    ) -> WholeConversation:
        """One conversation. Errors: NoSuchMessage, also for what is no id."""
        found = _THREAD.fullmatch(conversation_id.lower())
        if found is None:
            raise NoSuchMessage
        store = self._mailboxes.of(actor)
        by_id = {each.mailbox_id: each for each in await store.mailboxes() if each.is_selectable}
        key = HasThreadId(ThreadId(f"T{int(found[1], 16)}"))
        newest = await store.newest(list(by_id), key, 0, SHOWN_MAX, wanted | Wanted.LISTED_HEADER)
        views = [MessageView(by_id[mailbox_id], record) for mailbox_id, record in reversed(newest.messages)]
        if not views:
            raise NoSuchMessage
        return WholeConversation(
            thread_object_id(views[0].record.thread_id),
            _subject(views[0].record),
            newest.message_count,
            tuple(views),
        )


def _view(conversation: Conversation, mailboxes: dict[MailboxId, Mailbox]) -> ConversationView:
    records = [record for _, record in conversation.newest]
    return ConversationView(
        conversation_id=thread_object_id(conversation.thread_id),
        subject=_subject(conversation.oldest),
        participants=_participants([*records, conversation.oldest]),
        message_count=conversation.message_count,
        unread_count=conversation.unread_count,
        flags=conversation.flags,
        has_attachment=conversation.has_attachment,
        internaldate_s=conversation.mark.internaldate_s,
        snippet=records[0].preview or "",
        message_ids=tuple(
            Place(mailbox_id, mailboxes[mailbox_id].uidvalidity, record.uid).object_id
            for mailbox_id, record in conversation.newest
            if mailbox_id in mailboxes  # not one that was made since
        ),
    )


def _participants(newest_first: Sequence[MessageRecord]) -> tuple[Participant, ...]:
    found: dict[str, Participant] = {}
    for record in reversed(newest_first):
        senders = addresses_of(first_values(record.listed_header or b"").get(b"from", b""))
        sender = senders[0] if senders else GROUP_END
        address = b"@".join(each for each in (sender.local_part, sender.domain) if each).decode("utf-8", "replace")
        if not address:
            continue
        key = address.casefold()
        is_unread = SEEN not in record.flags
        before = found.get(key)
        if before is None:
            found[key] = Participant(display_name(sender) or address, address, is_unread)
        elif is_unread and not before.has_unread:
            found[key] = Participant(before.name, before.address, has_unread=True)
    return tuple(found.values())


def _subject(record: MessageRecord) -> str:
    return text_of(first_values(record.listed_header or b"").get(b"subject", b""))


def _mark(text: str) -> Mark | None:
    found = _MARK.fullmatch(text)
    if found is None:
        return None
    return Mark(int(found[1], 16), MailboxId(int(found[2], 16)), Uid(int(found[3], 16)))
