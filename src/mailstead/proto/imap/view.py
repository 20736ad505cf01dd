"""What this client believes about the selected mailbox: sequence number ↔ UID.

Theory of operation: numbers are never stored. UIDs are kept as ascending runs in three flat arrays (first, last, how
many messages lie before), so a mailbox of 100,000 messages that was filled in order costs 12 octets, and one with a
hole behind every message 1.2 MB. `apply` takes what the store says has happened and writes the untagged responses that
bring the client to the same state. EXPUNGE renumbers, so it is held back while a command that uses numbers is running;
until it is told, the message keeps its number here.

Spec: RFC 9051 §2.3.1.2, §5.5, §7.5.1; RFC 7162 §3.2.10
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from mailstead.model.ids import ModSeq, SeqNum, Uid
from mailstead.model.message import Changes, FlagChange
from mailstead.model.uidset import NO_UIDS, Run, UidSet
from mailstead.proto.imap.types.sequence import STAR, SequenceSet
from mailstead.proto.imap.write import fetch, responses


class BadSequence(Exception):
    """A sequence number that no message has (BAD)."""


class View:
    """Sequence number ↔ UID for one session."""

    __slots__ = ("_before", "_count", "_firsts", "_held", "_known", "_lasts", "_uidnext", "highestmodseq", "saved")

    def __init__(self, uids: UidSet, highestmodseq: ModSeq, uidnext: Uid) -> None:
        self.highestmodseq = highestmodseq
        """Up to here the client has been told everything: ask `changes_since` this."""
        self.saved: UidSet = NO_UIDS
        """The result of the last SEARCH RETURN (SAVE), ``$``; expunged messages leave it. Spec: RFC 5182 §2.1."""
        self._uidnext: int = uidnext
        self._held: UidSet = NO_UIDS
        self._known: dict[int, int] = {}
        self._renumber(uids)

    @property
    def message_count(self) -> int:
        """How many messages the client believes there are (EXISTS)."""
        return self._count

    @property
    def uids(self) -> UidSet:
        """All UIDs, including those whose EXPUNGE is held back."""
        return UidSet(zip(self._firsts, self._lasts, strict=True))

    @property
    def has_held(self) -> bool:
        """Whether EXPUNGEs are being held back."""
        return bool(self._held)

    def seqnum(self, uid: int) -> SeqNum | None:
        """Give the number of a message; None if it is not in the view."""
        run = bisect_right(self._firsts, uid) - 1
        if run < 0 or uid > self._lasts[run]:
            return None
        return SeqNum(self._before[run] + uid - self._firsts[run] + 1)

    def seqnums(self, uids: Iterable[int]) -> list[int]:
        """Give one number per UID, 0 for a UID that is not in the view; quickest when UIDs ascend."""
        firsts, lasts, before = self._firsts, self._lasts, self._before
        numbers: list[int] = []
        first, last, offset = 1, 0, 0
        for uid in uids:
            if not first <= uid <= last:
                run = bisect_right(firsts, uid) - 1
                if run < 0 or uid > lasts[run]:
                    numbers.append(0)
                    continue
                first, last = firsts[run], lasts[run]
                offset = before[run] + 1 - first
            numbers.append(uid + offset)
        return numbers

    def uid(self, seqnum: int) -> Uid | None:
        """Give the UID of a number; None if no message has it."""
        if not 1 <= seqnum <= self._count:
            return None
        run = bisect_left(self._before, seqnum) - 1
        return Uid(self._firsts[run] + seqnum - self._before[run] - 1)

    def select(self, messages: SequenceSet, *, by_uid: bool) -> UidSet:
        """Turn what a command names into UIDs of messages in the view.

        Spec: RFC 9051 §9 (seq-number: only those that are there), §6.4.9 (unknown UIDs are ignored), RFC 5182 (``$``)
        Errors: BadSequence, for a sequence number that no message has.
        """
        if messages.is_saved:
            return self._present(self.saved.runs)
        if by_uid:
            largest = self._lasts[-1] if self._count else 0
            # ``n:*`` means n and the largest, in either order; in an empty mailbox ``*`` names nothing
            runs = [(first or largest, last or largest) for first, last in messages.runs if largest or (first and last)]
            return self._present(UidSet(runs).runs)
        return self._by_seqnum(messages)

    def _by_seqnum(self, messages: SequenceSet) -> UidSet:
        count = self._count
        if any(first > count or last > count for first, last in messages.runs) or (
            not count and any(STAR in run for run in messages.runs)
        ):
            raise BadSequence(f"There are only {count} messages")
        runs: list[Run] = []
        for first, last in UidSet((first or count, last or count) for first, last in messages.runs).runs:
            run = bisect_left(self._before, first) - 1
            while run < len(self._before) and self._before[run] < last:
                offset = self._firsts[run] - self._before[run] - 1
                runs.append((max(self._firsts[run], first + offset), min(self._lasts[run], last + offset)))
                run += 1
        return UidSet(runs)

    def _present(self, asked: Iterable[Run]) -> UidSet:
        """Give what is in the view of some ascending runs; costs what is asked, not what is there."""
        firsts, lasts = self._firsts, self._lasts
        runs: list[Run] = []
        for first, last in asked:
            run = bisect_left(lasts, first)
            while run < len(firsts) and firsts[run] <= last:
                runs.append((max(first, firsts[run]), min(last, lasts[run])))
                run += 1
        return UidSet(runs)

    def known(self, changed: Iterable[FlagChange]) -> None:
        """Note that the client knows these flags: its own STORE, answered already or .SILENT."""
        self._known.update((change.uid, change.modseq) for change in changed)

    def apply(self, changes: Changes, *, may_expunge: bool, with_modseq: bool, with_vanished: bool) -> bytes:
        """Take what happened since `highestmodseq` and give the untagged responses for it.

        With `may_expunge` False EXPUNGEs wait for the next call that may tell them. `with_modseq` once CONDSTORE is
        enabled, `with_vanished` once QRESYNC is.

        Spec: RFC 9051 §5.2, §7.5.1; RFC 7162 §3.1 (MODSEQ), §3.2.10 (VANISHED)
        Shapes: new messages are told by EXISTS only, as clients ask for what they want of them.
        """
        parts: list[bytes] = []
        if changes.vanished:
            self._held |= self._present(changes.vanished.runs)
        if may_expunge and self._held:
            parts.append(self._expunge(with_vanished=with_vanished))
        arrived = self._arrive(changes.changed)
        if arrived:
            parts.append(responses.exists(self._count))
        told = [change for change in changes.changed if self._is_news(change)]
        if told:
            seqnums = self.seqnums([change.uid for change in told])
            # RFC 7162 §3.2.4: under QRESYNC, unsolicited FETCH carries UID; it helps everybody, so it always does
            parts.append(fetch.flag_lines(seqnums, told, with_uid=True, with_modseq=with_modseq))
        if arrived:
            self._uidnext = max(self._uidnext, arrived[-1] + 1)
        self.highestmodseq = max(self.highestmodseq, changes.highestmodseq)
        if self._known:
            self._known = {uid: modseq for uid, modseq in self._known.items() if modseq > self.highestmodseq}
        return b"".join(parts)

    def arrived_uids(self, changes: Changes) -> list[Uid]:
        """Give the UIDs of `changes` that are new to this view; ask before `apply` (NOTIFY, RFC 5465 §5.2)."""
        return [change.uid for change in changes.changed if change.uid >= self._uidnext]

    def forget(self, uids: UidSet, *, with_vanished: bool) -> bytes:
        """Take the session's own EXPUNGE or MOVE at once, before the store's changes tell the same.

        Spec: RFC 9051 §6.4.3, §6.4.8 (EXPUNGE comes before the tagged OK)
        """
        self._held |= self._present(uids.runs)
        return self._expunge(with_vanished=with_vanished) if self._held else b""

    def _is_news(self, change: FlagChange) -> bool:
        is_old_message = change.uid < self._uidnext
        return is_old_message and self._known.get(change.uid, 0) < change.modseq and self.seqnum(change.uid) is not None

    def _arrive(self, changed: Sequence[FlagChange]) -> list[Uid]:
        arrived = [change.uid for change in changed if change.uid >= self._uidnext]
        for first, last in UidSet.of(arrived).runs:
            if self._count and self._lasts[-1] == first - 1:
                self._lasts[-1] = last
            else:
                self._firsts.append(first)
                self._lasts.append(last)
                self._before.append(self._count)
            self._count += last - first + 1
        return arrived

    def _expunge(self, *, with_vanished: bool) -> bytes:
        held, self._held = self._held, NO_UIDS
        # from the end, so that no EXPUNGE renumbers what a later one names
        descending = reversed(self.seqnums(held))
        told = responses.vanished(held) if with_vanished else responses.expunge(descending)
        self._renumber(self.uids - held)
        self.saved -= held
        return told

    def _renumber(self, uids: UidSet) -> None:
        self._firsts = array("I", [first for first, _ in uids.runs])
        self._lasts = array("I", [last for _, last in uids.runs])
        self._before = array("I")
        count = 0
        for first, last in uids.runs:
            self._before.append(count)
            count += last - first + 1
        self._count = count
