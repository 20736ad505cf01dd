"""What NOTIFY has asked for: compares the account with how it was last told, and says what is different.

Spec: RFC 5465
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from mailstead.model.ids import MailboxId
from mailstead.model.mailbox import DELIMITER, INBOX, Mailbox
from mailstead.proto.imap.types.commands import NotifyEvent, NotifyGroup, NotifyMailboxes, StatusItem
from mailstead.proto.imap.types.fetch import FetchItem
from mailstead.proto.imap.write import responses

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession

MAILBOXES_MAX: Final = 1000
"""Accounts with more mailboxes can only be notified about the selected one (attack row 48)."""

_ANNOTATION_EVENTS: Final = frozenset({NotifyEvent.MAILBOX_METADATA_CHANGE, NotifyEvent.SERVER_METADATA_CHANGE})
_ACCOUNT: Final = MailboxId(0)
"""Under this, marks of annotations stand for the account's own."""


class Notifying:
    """The event groups of one session, and every mailbox as it was last told."""

    __slots__ = ("_told", "_told_annotations", "groups", "selected_group")

    def __init__(self, groups: Iterable[NotifyGroup]) -> None:
        selected = (NotifyMailboxes.SELECTED, NotifyMailboxes.SELECTED_DELAYED)
        self.selected_group: NotifyGroup | None = None
        self.groups: list[NotifyGroup] = []
        for group in groups:
            if group.scope in selected:
                self.selected_group = group
            else:
                self.groups.append(group)
        self._told: dict[MailboxId | str, Mailbox] = {}
        self._told_annotations: Mapping[tuple[MailboxId, str], int] = {}

    def begin(self, mailboxes: Iterable[Mailbox]) -> None:
        """Take this as what the client knows."""
        self._told = {_identity(mailbox): mailbox for mailbox in mailboxes} if self.groups else {}

    def begin_annotations(self, marks: Mapping[tuple[MailboxId, str], int]) -> None:
        """Take these marks of annotations as what the client knows."""
        self._told_annotations = marks

    @property
    def wants_annotations(self) -> bool:
        """Whether changes of annotations are told."""
        return any(group.events & _ANNOTATION_EVENTS for group in self.groups)

    @property
    def pushes_selected(self) -> bool:
        """Whether changes of the selected mailbox are told as they happen."""
        return self.selected_group is not None and bool(self.selected_group.events)

    @property
    def may_expunge(self) -> bool:
        """Whether EXPUNGE is told at once: with SELECTED, but not with SELECTED-DELAYED. Spec: RFC 5465 §6.1, §6.2."""
        return self.selected_group is not None and self.selected_group.scope is NotifyMailboxes.SELECTED

    @property
    def new_message_items(self) -> tuple[FetchItem, ...]:
        """What to tell of each new message of the selected mailbox. Spec: RFC 5465 §5.1."""
        return self.selected_group.new_message_items if self.selected_group is not None else ()

    def all_status(self, session: ImapSession, mailboxes: Sequence[Mailbox]) -> bytes:
        """Tell the present state of each watched mailbox. Spec: RFC 5465 §3.1 (STATUS)."""
        return b"".join(
            _status(session, mailbox)
            for mailbox in mailboxes
            if not _is_selected(session, mailbox) and NotifyEvent.MESSAGE_NEW in self._events(mailbox)
        )

    def differences(self, session: ImapSession, mailboxes: Sequence[Mailbox]) -> bytes:
        """Tell what is different from last time. Spec: RFC 5465 §5.1–5.5."""
        told, lines = self._told, []
        for mailbox in mailboxes:
            before = told.get(_identity(mailbox))
            if before != mailbox:
                lines.append(self._difference(session, before, mailbox))
        present = {_identity(mailbox) for mailbox in mailboxes}
        names = {mailbox.name for mailbox in mailboxes}
        lines += [
            responses.list_line(mailbox.name, ("\\NonExistent",), is_utf8=session.is_utf8)
            for identity, mailbox in told.items()
            if identity not in present
            and mailbox.name not in names
            and NotifyEvent.MAILBOX_NAME in self._events(mailbox)
        ]
        self.begin(mailboxes)
        return b"".join(lines)

    def annotation_differences(
        self, session: ImapSession, marks: Mapping[tuple[MailboxId, str], int], mailboxes: Sequence[Mailbox]
    ) -> bytes:
        """Name the annotations that are other than last time.

        Spec: RFC 5465 §5.6 (MailboxMetadataChange), §5.7 (ServerMetadataChange); RFC 5464 §4.4.2 (without values)
        """
        changed: dict[MailboxId, list[str]] = {}
        for mailbox_id, entry in sorted({key for key, _ in marks.items() ^ self._told_annotations.items()}):
            changed.setdefault(mailbox_id, []).append(entry)
        self.begin_annotations(marks)
        lines: list[bytes] = []
        of_account = changed.pop(_ACCOUNT, None)
        if of_account and any(NotifyEvent.SERVER_METADATA_CHANGE in group.events for group in self.groups):
            lines.append(responses.metadata_changed(None, of_account, is_utf8=session.is_utf8))
        lines += [
            responses.metadata_changed(mailbox.name, changed[mailbox.mailbox_id], is_utf8=session.is_utf8)
            for mailbox in mailboxes
            if mailbox.mailbox_id in changed and NotifyEvent.MAILBOX_METADATA_CHANGE in self._events(mailbox)
        ]
        return b"".join(lines)

    def _difference(self, session: ImapSession, before: Mailbox | None, mailbox: Mailbox) -> bytes:
        events = self._events(mailbox)
        line = b""
        is_renamed = before is None or before.name != mailbox.name
        is_resubscribed = before is not None and before.is_subscribed != mailbox.is_subscribed
        if (is_renamed and NotifyEvent.MAILBOX_NAME in events) or (
            is_resubscribed and NotifyEvent.SUBSCRIPTION_CHANGE in events
        ):
            attributes = [] if mailbox.is_selectable else ["\\Noselect"]
            if mailbox.is_subscribed:
                attributes.append("\\Subscribed")
            old_name = before.name if before is not None and is_renamed else None
            line = responses.list_line(mailbox.name, attributes, is_utf8=session.is_utf8, old_name=old_name)
        if _is_selected(session, mailbox) or not mailbox.is_selectable or before is None:
            return line
        has_messages = (before.uidnext, before.message_count) != (mailbox.uidnext, mailbox.message_count)
        has_flags = before.highestmodseq != mailbox.highestmodseq and NotifyEvent.FLAG_CHANGE in events
        if (has_messages and NotifyEvent.MESSAGE_NEW in events) or has_flags:
            line += _status(session, mailbox)
        return line

    def _events(self, mailbox: Mailbox) -> frozenset[NotifyEvent]:
        """Give the events of the first group that covers a mailbox. Spec: RFC 5465 §3.1 (first match)."""
        for group in self.groups:
            if _covers(group, mailbox):
                return group.events
        return frozenset()


def _identity(mailbox: Mailbox) -> MailboxId | str:
    """What makes a mailbox the same after a renaming; a name that only stands above others has no id of its own."""
    return mailbox.mailbox_id if mailbox.is_selectable else mailbox.name


def _covers(group: NotifyGroup, mailbox: Mailbox) -> bool:
    """Spec: RFC 5465 §6.3–6.7."""
    match group.scope:
        case NotifyMailboxes.PERSONAL:
            return True
        case NotifyMailboxes.INBOXES:
            # where mail may be delivered to: without filters that is INBOX alone
            return mailbox.name == INBOX
        case NotifyMailboxes.SUBSCRIBED:
            return mailbox.is_subscribed
        case NotifyMailboxes.SUBTREE:
            return any(mailbox.name == name or mailbox.name.startswith(name + DELIMITER) for name in group.names)
        case _:
            return mailbox.name in group.names


def _is_selected(session: ImapSession, mailbox: Mailbox) -> bool:
    return session.selected is not None and session.selected.mailbox_id == mailbox.mailbox_id


def _status(session: ImapSession, mailbox: Mailbox) -> bytes:
    """Spec: RFC 5465 §5.1–5.3; with CONDSTORE the modseq comes too."""
    values: list[tuple[StatusItem, int | str | None]] = [
        (StatusItem.MESSAGES, mailbox.message_count),
        (StatusItem.UIDNEXT, mailbox.uidnext),
        (StatusItem.UIDVALIDITY, mailbox.uidvalidity),
        (StatusItem.UNSEEN, mailbox.unseen_count),
    ]
    if session.condstore:
        values.append((StatusItem.HIGHESTMODSEQ, mailbox.highestmodseq))
    return responses.status_line(mailbox.name, values, is_utf8=session.is_utf8)
