"""Sequence numbers: tables, and the law that client and server agree after any changes."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailstead.model.ids import ModSeq, Uid
from mailstead.model.message import Changes, FlagChange
from mailstead.model.uidset import UidSet
from mailstead.proto.imap.types.sequence import SAVED, STAR, SequenceSet
from mailstead.proto.imap.view import BadSequence, View


def view_of(*uids: int) -> View:
    return View(UidSet.of(uids), ModSeq(1), Uid(max(uids, default=0) + 1))


def change(uid: int, modseq: int = 2, *flags: str) -> FlagChange:
    return FlagChange(Uid(uid), frozenset(flags), ModSeq(modseq))


def changes(modseq: int, *changed: FlagChange, vanished: tuple[int, ...] = ()) -> Changes:
    return Changes(ModSeq(modseq), list(changed), UidSet.of(vanished))


PLAIN = {"may_expunge": True, "with_modseq": False, "with_vanished": False}


def test_numbers_and_uids():
    view = view_of(3, 4, 5, 9, 20, 21)
    assert [view.seqnum(uid) for uid in (2, 3, 5, 6, 9, 21, 22)] == [None, 1, 3, None, 4, 6, None]
    assert [view.uid(number) for number in range(8)] == [None, 3, 4, 5, 9, 20, 21, None]
    assert view.seqnums([3, 4, 9, 10, 21]) == [1, 2, 4, 0, 6]


@pytest.mark.parametrize(
    ("runs", "by_uid", "found"),
    [
        (((1, 2),), False, "3:4"),
        (((3, 4),), False, "5,9"),
        (((STAR, STAR),), False, "21"),
        (((STAR, 5),), False, "20:21"),
        (((1, STAR),), False, "3:5,9,20:21"),
        (((6, 5), (1, 1)), False, "3,20:21"),
        (((4, 9),), True, "4:5,9"),
        (((100, STAR),), True, "21"),
        (((1, 4294967295),), True, "3:5,9,20:21"),
        (((6, 8),), True, ""),
    ],
)
def test_select(runs, by_uid, found):
    assert view_of(3, 4, 5, 9, 20, 21).select(SequenceSet(runs), by_uid=by_uid).compact() == found


@pytest.mark.parametrize("runs", [((7, 7),), ((1, 7),), ((7, STAR),)])
def test_numbers_that_no_message_has_are_bad(runs):
    with pytest.raises(BadSequence):
        view_of(3, 4, 5, 9, 20, 21).select(SequenceSet(runs), by_uid=False)


def test_empty_mailbox():
    view = view_of()
    assert not view.select(SequenceSet(((1, STAR),)), by_uid=True)
    assert not view.select(SequenceSet(((STAR, STAR),)), by_uid=True)
    with pytest.raises(BadSequence):
        view.select(SequenceSet(((1, STAR),)), by_uid=False)


def test_saved_result_loses_what_is_expunged():
    view = view_of(1, 2, 3)
    assert not view.select(SAVED, by_uid=False)
    view.saved = UidSet.of([1, 3])
    view.apply(changes(2, vanished=(3,)), **PLAIN)
    assert view.select(SAVED, by_uid=False) == UidSet.of([1])
    assert view.saved == UidSet.of([1])


def test_arrival_flags_and_expunge_in_one_go():
    view = view_of(3, 4, 5, 9)
    told = view.apply(changes(7, change(5, 6, "\\Seen"), change(10, 7), vanished=(3, 9, 99)), **PLAIN)
    assert told == b"* 4 EXPUNGE\r\n* 1 EXPUNGE\r\n* 3 EXISTS\r\n* 2 FETCH (UID 5 FLAGS (\\Seen))\r\n"
    assert view.uids == UidSet.of([4, 5, 10])
    assert view.highestmodseq == 7


def test_expunge_is_held_back_and_numbers_stay():
    view = view_of(3, 4, 5)
    held = {**PLAIN, "may_expunge": False}
    assert view.apply(changes(2, change(5, 2, "a"), vanished=(4,)), **held) == b"* 3 FETCH (UID 5 FLAGS (a))\r\n"
    assert view.has_held
    assert view.seqnum(5) == 3
    assert view.apply(changes(3, change(6, 3)), **held) == b"* 4 EXISTS\r\n"
    assert view.apply(changes(3), **PLAIN) == b"* 2 EXPUNGE\r\n"
    assert (view.seqnum(5), view.seqnum(6), view.has_held) == (2, 3, False)


def test_vanished_and_modseq():
    view = view_of(3, 4, 5)
    told = view.apply(
        changes(9, change(5, 9, "\\Seen"), vanished=(3, 4, 50)), may_expunge=True, with_modseq=True, with_vanished=True
    )
    assert told == b"* VANISHED 3:4\r\n* 1 FETCH (UID 5 MODSEQ (9) FLAGS (\\Seen))\r\n"


def test_own_changes_are_not_told_again():
    view = view_of(1, 2)
    view.known([change(1, 5)])
    assert (
        view.apply(changes(5, change(1, 5, "\\Seen"), change(2, 5, "x")), **PLAIN) == b"* 2 FETCH (UID 2 FLAGS (x))\r\n"
    )
    # somebody else changed it once more meanwhile
    view.known([change(1, 6)])
    assert view.apply(changes(7, change(1, 7, "x")), **PLAIN) == b"* 1 FETCH (UID 1 FLAGS (x))\r\n"
    assert not view._known


def test_own_expunge_is_told_at_once_and_only_once():
    view = view_of(1, 2, 3)
    assert view.forget(UidSet.of([1, 3, 8]), with_vanished=False) == b"* 3 EXPUNGE\r\n* 1 EXPUNGE\r\n"
    assert view.apply(changes(4, vanished=(1, 3)), **PLAIN) == b""


def test_a_message_that_came_and_went_unseen():
    view = view_of(1)
    told = view.apply(Changes(ModSeq(5), [], UidSet.of([2]), uidnext=Uid(3)), **PLAIN)
    assert told == b""
    assert view.apply(changes(6, change(3, 6)), **PLAIN) == b"* 2 EXISTS\r\n"


def test_large_mailboxes_are_small():
    view = View(UidSet([(1, 100_000)]), ModSeq(1), Uid(100_001))
    assert view.message_count == 100_000
    assert len(view._firsts) == 1
    assert view.uid(99_999) == 99_999


class Server:
    """A mailbox and its change log, as simple as can be."""

    def __init__(self) -> None:
        self.modseq, self.uidnext = 1, 1
        self.messages: dict[int, tuple[frozenset[str], int]] = {}
        self.gone: dict[int, int] = {}

    def do(self, what: str, pick: int) -> None:
        self.modseq += 1
        uids = sorted(self.messages)
        if what == "append":
            self.messages[self.uidnext] = (frozenset(), self.modseq)
            self.uidnext += 1 + pick % 3
        elif uids and what == "expunge":
            uid = uids[pick % len(uids)]
            del self.messages[uid]
            self.gone[uid] = self.modseq
        elif uids and what == "flag":
            uid = uids[pick % len(uids)]
            self.messages[uid] = (frozenset({f"k{pick % 5}"}), self.modseq)

    def since(self, modseq: int) -> Changes:
        changed = [FlagChange(Uid(u), f, ModSeq(m)) for u, (f, m) in sorted(self.messages.items()) if m > modseq]
        gone = UidSet.of(u for u, m in self.gone.items() if m > modseq)
        return Changes(ModSeq(self.modseq), changed, gone, len(self.messages), Uid(self.uidnext))


class Client:
    """What a client makes of the untagged responses."""

    def __init__(self) -> None:
        self.count = 0
        self.flags: dict[int, str] = {}
        self.uids: list[int | None] = []

    def read(self, data: bytes, *, may_expunge: bool) -> None:
        for line in data.decode().split("\r\n")[:-1]:
            if match := re.fullmatch(r"\* (\d+) EXISTS", line):
                assert int(match[1]) >= len(self.uids), "EXISTS never shrinks (RFC 9051 §7.4.1)"
                self.uids += [None] * (int(match[1]) - len(self.uids))
            elif match := re.fullmatch(r"\* (\d+) EXPUNGE", line):
                assert may_expunge
                del self.uids[int(match[1]) - 1]
            elif match := re.fullmatch(r"\* VANISHED ([\d:,]+)", line):
                assert may_expunge
                for part in match[1].split(","):
                    first, _, last = part.partition(":")
                    for uid in range(int(first), int(last or first) + 1):
                        self.uids.remove(uid)
            elif match := re.fullmatch(r"\* (\d+) FETCH \(UID (\d+) FLAGS \(([^)]*)\)\)", line):
                place = int(match[1]) - 1
                assert self.uids[place] in {None, int(match[2])}, "the number means that message"
                self.uids[place] = int(match[2])
                self.flags[int(match[2])] = match[3]
            else:
                raise AssertionError(line)

    def ask(self, server: Server, view: View) -> None:
        """UID FETCH 1:* (FLAGS) of what is new, as clients do."""
        for place, uid in enumerate(self.uids):
            if uid is None:
                found = view.uid(place + 1)
                self.uids[place] = found
                if found in server.messages:
                    self.flags[found] = " ".join(sorted(server.messages[found][0]))


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["append", "append", "expunge", "flag"]), st.integers(0, 1000)),
            st.tuples(st.sampled_from(["look", "look without expunge", "store"]), st.integers(0, 1000)),
        ),
        max_size=60,
    ),
    st.booleans(),
)
def test_law_client_and_server_agree_after_any_changes(steps, with_vanished):
    server, client = Server(), Client()
    view = View(UidSet(), ModSeq(server.modseq), Uid(server.uidnext))
    for what, pick in [*steps, ("look", 0)]:
        if what.startswith("look"):
            may_expunge = what == "look"
            told = view.apply(
                server.since(view.highestmodseq),
                may_expunge=may_expunge,
                with_modseq=False,
                with_vanished=with_vanished,
            )
            client.ask(server, view) if with_vanished else None
            client.read(told, may_expunge=may_expunge)
            client.ask(server, view)
            assert client.uids == list(view.uids)
            if may_expunge:
                assert client.uids == sorted(server.messages)
                assert {u: client.flags[u] for u in client.uids} == {
                    u: " ".join(f) for u, (f, _) in server.messages.items()
                }
        elif what == "store":
            # a silent STORE of our own: the client knows what it did
            known = [u for u in client.uids if u in server.messages]
            if known:
                uid = known[pick % len(known)]
                server.modseq += 1
                server.messages[uid] = (frozenset({"mine"}), server.modseq)
                view.known([FlagChange(Uid(uid), frozenset({"mine"}), ModSeq(server.modseq))])
                client.flags[uid] = "mine"
        else:
            server.do(what, pick)
        assert view.message_count == len(list(view.uids))


runs = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=6)


@settings(deadline=None)
@given(st.sets(st.integers(1, 40), max_size=25), runs, st.booleans())
def test_law_select_says_the_same_as_a_list(uids, asked, by_uid):
    ordered = sorted(uids)
    view = View(UidSet.of(ordered), ModSeq(1), Uid(41))
    largest = (ordered[-1] if ordered else 0) if by_uid else len(ordered)
    named = set()
    for first, last in asked:
        low, high = sorted((first or largest, last or largest))
        if largest or (first and last):
            named |= set(range(low, high + 1))
    messages = SequenceSet(tuple(asked))
    if by_uid:
        assert set(view.select(messages, by_uid=True)) == named & uids
        return
    if not ordered or max(max(run) for run in asked) > len(ordered):
        with pytest.raises(BadSequence):
            view.select(messages, by_uid=False)
        return
    assert set(view.select(messages, by_uid=False)) == {ordered[number - 1] for number in named}
    assert view.seqnums(ordered) == list(range(1, len(ordered) + 1))
    assert [view.uid(number + 1) for number in range(len(ordered))] == ordered
