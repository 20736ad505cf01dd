"""SEARCH, SORT and THREAD.

Spec: RFC 9051 §6.4.4, §9 (search); RFC 5256 §5; RFC 5032; RFC 7162 §3.1.5; RFC 8474 §6; RFC 8514 §4.3; RFC 9394 §3.1

Keys nest without recursion: a stack of open groups (attack row 42). An OR within an OR only widens the outer one, and
NOT NOT cancels, so that a long flat chain, which real clients send, takes no depth.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

from mailstead.mime.ordering import SortCriterion, SortKey
from mailstead.model import search as model
from mailstead.model.flags import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, canonical
from mailstead.model.ids import EmailId, ThreadId
from mailstead.model.search import DateField, TextField
from mailstead.proto.imap.parse.cursor import Cursor, Refusal
from mailstead.proto.imap.parse.fetch import partial_range
from mailstead.proto.imap.types.commands import Search, Sort, Thread
from mailstead.proto.imap.types.events import Result
from mailstead.proto.imap.types.search import (
    Aged,
    AllOf,
    AnyOf,
    NotKey,
    Numbered,
    PartialRange,
    ReturnOptions,
    ThreadAlgorithm,
    WireKey,
)
from mailstead.proto.imap.write import code

DEPTH_MAX: Final = 64
KEYS_MAX: Final = 10_000
"""Limits of nesting and of keys in one command (attack row 42)."""

_CHARSETS: Final = frozenset({b"UTF-8", b"US-ASCII"})


def search(cursor: Cursor, *, by_uid: bool) -> Search:
    """SEARCH or UID SEARCH. Spec: RFC 9051 §6.4.4."""
    returns = _returns(cursor)
    if returns is not None:
        cursor.space()
    # search-program = ["CHARSET" SP charset SP] search-key *(SP search-key)
    has_charset = cursor.data[cursor.position : cursor.position + 8].upper() == b"CHARSET "
    if has_charset:
        cursor.position += 8
        _charset(cursor)
        cursor.space()
    key, has_modseq = _keys(cursor)
    return Search(key, by_uid, returns, has_modseq, has_charset)


def sort(cursor: Cursor, *, by_uid: bool) -> Sort:
    """SORT or UID SORT. Spec: RFC 5256 §3, §5; RFC 5957; RFC 5267 §3 (RETURN)."""
    returns = _returns(cursor)
    if returns is not None:
        cursor.space()
    # sort-criteria = "(" sort-criterion *(SP sort-criterion) ")"
    cursor.expect(b"(")
    criteria: list[SortCriterion] = []
    while True:
        word = cursor.word("a sort criterion")
        is_reverse = word == b"REVERSE"
        if is_reverse:
            cursor.space()
            word = cursor.word("a sort criterion")
        try:
            criteria.append(SortCriterion(SortKey(word.decode("ascii")), is_reverse))
        except ValueError:
            raise Refusal(f"Unknown sort criterion {word.decode('ascii')}") from None
        if cursor.skip(b")"):
            break
        cursor.space()
    cursor.space()
    _charset(cursor)
    cursor.space()
    key, has_modseq = _keys(cursor)
    return Sort(tuple(criteria), key, by_uid, returns, has_modseq)


def thread(cursor: Cursor, *, by_uid: bool) -> Thread:
    """THREAD or UID THREAD. Spec: RFC 5256 §3, §5."""
    word = cursor.word("a threading algorithm")
    try:
        algorithm = ThreadAlgorithm(word.decode("ascii"))
    except ValueError:
        raise Refusal("Only ORDEREDSUBJECT and REFERENCES are known") from None
    cursor.space()
    _charset(cursor)
    cursor.space()
    key, _ = _keys(cursor)
    return Thread(algorithm, key, by_uid)


def _charset(cursor: Cursor) -> None:
    if cursor.astring().upper() not in _CHARSETS:
        raise Refusal("Only UTF-8 and US-ASCII are understood", Result.NO, code.badcharset())


def _returns(cursor: Cursor) -> ReturnOptions | None:
    # search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"
    if cursor.data[cursor.position : cursor.position + 8].upper() != b"RETURN (":
        return None
    cursor.position += 8
    if cursor.skip(b")"):
        return ReturnOptions(all=True)
    words: set[bytes] = set()
    partial: PartialRange | None = None
    while True:
        word = cursor.word("a RETURN option")
        words.add(word)
        if word == b"PARTIAL":
            cursor.space()
            partial = partial_range(cursor)
        elif word not in {b"MIN", b"MAX", b"ALL", b"COUNT", b"SAVE"}:
            raise Refusal(f"Unknown RETURN option {word.decode('ascii')}")
        if cursor.skip(b")"):
            break
        cursor.space()
    if partial is not None and b"ALL" in words:
        raise Refusal("PARTIAL and ALL exclude each other")
    return ReturnOptions(
        min=b"MIN" in words,
        max=b"MAX" in words,
        all=b"ALL" in words,
        count=b"COUNT" in words,
        save=b"SAVE" in words,
        partial=partial,
    )


class _Kind(Enum):
    ALL = "all"
    OR = "or"
    NOT = "not"


class _Group:
    """An open group: keys so far and, unless a closing parenthesis ends it, how many it needs."""

    __slots__ = ("keys", "kind", "needed")

    def __init__(self, kind: _Kind, needed: int) -> None:
        self.kind = kind
        self.needed = needed
        self.keys: list[WireKey] = []

    def close(self) -> WireKey:
        if self.kind is _Kind.OR:
            return AnyOf(tuple(self.keys))
        if self.kind is _Kind.NOT:
            return NotKey(self.keys[0])
        return self.keys[0] if len(self.keys) == 1 else AllOf(tuple(self.keys))


def _keys(cursor: Cursor) -> tuple[WireKey, bool]:
    """Take all search keys up to the end; also say whether MODSEQ was among them."""
    groups = [_Group(_Kind.ALL, 0)]
    key_count = 0
    has_modseq = False
    while True:
        if len(groups) > DEPTH_MAX:
            raise Refusal(f"Search keys nest at most {DEPTH_MAX} deep")
        key_count += 1
        if key_count > KEYS_MAX:
            raise Refusal(f"At most {KEYS_MAX} search keys")
        if cursor.skip(b"("):
            groups.append(_Group(_Kind.ALL, 0))
            continue
        if cursor.peek() in b"0123456789*$" and not cursor.at_end():
            key: WireKey = Numbered(cursor.sequence_set())
        else:
            word = cursor.word("a search key")
            if word == b"OR":
                cursor.space()
                if groups[-1].kind is _Kind.OR:
                    groups[-1].needed += 1
                else:
                    groups.append(_Group(_Kind.OR, 2))
                continue
            if word == b"NOT":
                cursor.space()
                if groups[-1].kind is _Kind.NOT:
                    groups.pop()
                else:
                    groups.append(_Group(_Kind.NOT, 1))
                continue
            leaf = _LEAVES.get(word)
            if leaf is None:
                raise Refusal(f"Unknown search key {word.decode('ascii')}")
            key = leaf(cursor)
            has_modseq = has_modseq or word == b"MODSEQ"
        groups[-1].keys.append(key)
        _close_groups(groups, cursor)
        if cursor.at_end():
            break
        cursor.space()
    if len(groups) > 1:
        raise cursor.fail("another search key")
    return groups[0].close(), has_modseq


def _close_groups(groups: list[_Group], cursor: Cursor) -> None:
    """Close what is complete after a key."""
    while len(groups) > 1:
        group = groups[-1]
        is_complete = cursor.skip(b")") if group.kind is _Kind.ALL else len(group.keys) == group.needed
        if not is_complete:
            return
        groups.pop()
        groups[-1].keys.append(group.close())


_Leaf = Callable[[Cursor], WireKey]


def _constant(key: WireKey) -> _Leaf:
    return lambda _: key


def _text(field: TextField) -> _Leaf:
    return lambda cursor: model.Contains(field, _argument(cursor))


def _argument(cursor: Cursor) -> str:
    cursor.space()
    return cursor.text(cursor.astring())


def _keyword(cursor: Cursor) -> WireKey:
    cursor.space()
    return model.HasFlag(canonical(cursor.flag()))


def _days(field: DateField, *, before: bool = False, on: bool = False) -> _Leaf:
    def leaf(cursor: Cursor) -> WireKey:
        cursor.space()
        day = cursor.date()
        if before:
            return model.OnDays(field, None, day)
        return model.OnDays(field, day, day + 1 if on else None)

    return leaf


def _aged(*, is_older: bool) -> _Leaf:
    def leaf(cursor: Cursor) -> WireKey:
        cursor.space()
        return Aged(cursor.nz_number(), is_older)

    return leaf


def _header(cursor: Cursor) -> WireKey:
    # "HEADER" SP header-fld-name SP astring
    name = _argument(cursor)
    return model.HeaderContains(name, _argument(cursor))


def _larger(cursor: Cursor) -> WireKey:
    cursor.space()
    return model.SizeBetween(above=cursor.number64())


def _smaller(cursor: Cursor) -> WireKey:
    cursor.space()
    return model.SizeBetween(below=cursor.number64())


def _modseq(cursor: Cursor) -> WireKey:
    # search-modsequence = "MODSEQ" [search-modseq-ext] SP mod-sequence-valzer
    # search-modseq-ext = SP entry-name SP entry-type-req ; one modseq per message here, so it is all the same
    cursor.space()
    if cursor.peek() == b'"':
        cursor.string()
        cursor.space()
        if cursor.word("priv, shared or all") not in {b"PRIV", b"SHARED", b"ALL"}:
            raise Refusal("Expected priv, shared or all")
        cursor.space()
    return model.ModSeqAtLeast(cursor.modseq())


def _uid(cursor: Cursor) -> WireKey:
    cursor.space()
    return Numbered(cursor.sequence_set(), by_uid=True)


def _email_id(cursor: Cursor) -> WireKey:
    return model.HasEmailId(EmailId(_argument(cursor)))


def _thread_id(cursor: Cursor) -> WireKey:
    return model.HasThreadId(ThreadId(_argument(cursor)))


_LEAVES: Final[dict[bytes, _Leaf]] = {
    b"ALL": _constant(model.Everything()),
    b"ANSWERED": _constant(model.HasFlag(ANSWERED)),
    b"BCC": _text(TextField.BCC),
    b"BEFORE": _days(DateField.INTERNAL, before=True),
    b"BODY": _text(TextField.BODY),
    b"CC": _text(TextField.CC),
    b"DELETED": _constant(model.HasFlag(DELETED)),
    b"DRAFT": _constant(model.HasFlag(DRAFT)),
    b"EMAILID": _email_id,
    b"FLAGGED": _constant(model.HasFlag(FLAGGED)),
    b"FROM": _text(TextField.FROM),
    b"HEADER": _header,
    b"KEYWORD": _keyword,
    b"LARGER": _larger,
    b"MODSEQ": _modseq,
    # RFC 3501 §6.4.4: \Recent is on no message here (RFC 9051 gave it up), so NEW and RECENT find none, OLD finds all
    b"NEW": _constant(model.Nothing()),
    b"OLD": _constant(model.Everything()),
    b"OLDER": _aged(is_older=True),
    b"ON": _days(DateField.INTERNAL, on=True),
    b"RECENT": _constant(model.Nothing()),
    b"SAVEDATESUPPORTED": _constant(model.SaveDateSupported()),
    b"SAVEDBEFORE": _days(DateField.SAVED, before=True),
    b"SAVEDON": _days(DateField.SAVED, on=True),
    b"SAVEDSINCE": _days(DateField.SAVED),
    b"SEEN": _constant(model.HasFlag(SEEN)),
    b"SENTBEFORE": _days(DateField.SENT, before=True),
    b"SENTON": _days(DateField.SENT, on=True),
    b"SENTSINCE": _days(DateField.SENT),
    b"SINCE": _days(DateField.INTERNAL),
    b"SMALLER": _smaller,
    b"SUBJECT": _text(TextField.SUBJECT),
    b"TEXT": _text(TextField.TEXT),
    b"THREADID": _thread_id,
    b"TO": _text(TextField.TO),
    b"UID": _uid,
    b"UNANSWERED": _constant(NotKey(model.HasFlag(ANSWERED))),
    b"UNDELETED": _constant(NotKey(model.HasFlag(DELETED))),
    b"UNDRAFT": _constant(NotKey(model.HasFlag(DRAFT))),
    b"UNFLAGGED": _constant(NotKey(model.HasFlag(FLAGGED))),
    b"UNKEYWORD": lambda cursor: NotKey(_keyword(cursor)),
    b"UNSEEN": _constant(NotKey(model.HasFlag(SEEN))),
    b"YOUNGER": _aged(is_older=False),
}
"""Spec: RFC 9051 §6.4.4 and the extensions named above."""
