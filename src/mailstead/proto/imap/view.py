"""What this client believes about the selected mailbox. (Signatures first; the body follows.)"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mailstead.model.ids import ModSeq, SeqNum, Uid
from mailstead.model.message import Changes, FlagChange
from mailstead.model.uidset import UidSet
from mailstead.proto.imap.types.sequence import SequenceSet


class BadSequence(Exception):
    """A sequence number beyond the mailbox (BAD), or ``$`` where nothing may be."""


class View:
    """Sequence number ↔ UID. Spec: RFC 9051 §2.3.1.2, §7.5.1."""

    highestmodseq: ModSeq
    """Up to here the client has been told everything: ask `changes_since(this)`."""
    saved: UidSet
    """The result of the last SEARCH RETURN (SAVE), ``$``; expunged messages leave it. Spec: RFC 5182 §2.1."""

    def __init__(self, uids: UidSet, highestmodseq: ModSeq, uidnext: Uid) -> None: ...

    @property
    def message_count(self) -> int: ...
    @property
    def uids(self) -> UidSet: ...
    @property
    def has_held(self) -> bool:
        """Whether EXPUNGEs are being held back."""

    def seqnum(self, uid: int) -> SeqNum | None: ...
    def seqnums(self, uids: Iterable[int]) -> list[int]:
        """One number per UID; 0 for a UID that is not in the view."""

    def select(self, messages: SequenceSet, *, by_uid: bool) -> UidSet:
        """Turn what a command names into UIDs; unknown UIDs are left out, bad numbers raise BadSequence."""

    def known(self, changed: Sequence[FlagChange]) -> None:
        """The client knows these already (its own STORE, answered or .SILENT): do not tell it again."""

    def apply(self, changes: Changes, *, may_expunge: bool, with_modseq: bool, with_vanished: bool) -> bytes:
        """Take what happened and give the untagged responses for it.

        With `may_expunge` False (FETCH, STORE, SEARCH without UID are running) EXPUNGEs wait for the next call that may.
        """
