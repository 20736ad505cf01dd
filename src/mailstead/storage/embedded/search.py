"""SEARCH: a key becomes one SQL expression over the narrow table; the text index answers for texts.

Nothing from outside gets into SQL or an index query except as a parameter or a quoted string (attack rows 70, 75).

Substrings. The index knows each text by its trigrams with their positions, so a text of three characters or more is a
phrase of trigrams, and the answer is exact. A shorter text is the beginning of some trigrams (each text in the index
is padded, so that its last characters begin one too): it is looked up in the list of terms. Very long texts and single
header fields are looked up by a part of them, and what is found is verified in the octets.
"""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import apsw

from mailstead.mime import header as mime_header
from mailstead.model.flags import FLAGGED, SEEN, SYSTEM_FLAGS, canonical
from mailstead.model.search import (
    And,
    Contains,
    DateField,
    Everything,
    HasAttachment,
    HasEmailId,
    HasFlag,
    HasThreadId,
    HeaderContains,
    ModSeqAtLeast,
    Not,
    Nothing,
    OnDays,
    Or,
    SaveDateSupported,
    SearchKey,
    SizeBetween,
    TextField,
    Uids,
    Within,
)
from mailstead.model.uidset import NO_UIDS, UidSet
from mailstead.storage.embedded import octets, rows, text_index
from mailstead.storage.embedded.rows import BIT_OF, select, select_one, select_packed
from mailstead.storage.embedded.schema import ATTACHED

PHRASE_CHARACTERS_MAX: Final = 64
"""A longer text is looked up by its beginning and then verified, so that no query asks for thousands of trigrams."""
RUNS_IN_SQL_MAX: Final = 32
"""More runs than this are asked one by one through a function with binary search."""
TEXTS_MAX: Final = 64
"""More texts than these are not asked of the index in one query."""
EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
DAY_S: Final = 86_400

_COLUMN_OF: Final = {
    TextField.FROM: "from",
    TextField.TO: "to",
    TextField.CC: "cc",
    TextField.BCC: "bcc",
    TextField.SUBJECT: "subject",
    TextField.BODY: "body",
    TextField.TEXT: "header body",
}
_FIELD_OF_HEADER: Final = {
    "from": TextField.FROM,
    "to": TextField.TO,
    "cc": TextField.CC,
    "bcc": TextField.BCC,
    "subject": TextField.SUBJECT,
}
"""Header fields with a column of their own: the index answers for them alone."""


def asks_text(key: SearchKey) -> bool:
    """Tell whether a key needs the text index."""
    match key:
        case Not(inner):
            return asks_text(inner)
        case And(keys) | Or(keys):
            return any(asks_text(one) for one in keys)
        case Contains() | HeaderContains():
            return True
        case _:
            return False


def search(db: apsw.Connection, mailbox_id: int, key: SearchKey) -> UidSet:
    """See `AccountStore.search`. Spec: RFC 9051 §6.4.4."""
    with rows.one_moment(db):
        rows.mailbox_by_id(db, mailbox_id)
        with condition_of(db, mailbox_id, key) as (condition, parameters):
            # One text of all UIDs in one step (see `rows.select_packed`), without JSON: there may be 100,000.
            (found,) = select_one(
                db,
                f"SELECT group_concat(uid) FROM message WHERE mailbox_id = ? AND {condition}",
                (mailbox_id, *parameters),
            )
    return UidSet.of(map(int, found.split(","))) if found else NO_UIDS


@contextmanager
def condition_of(db: apsw.Connection, mailbox_id: int, key: SearchKey) -> Iterator[tuple[str, list[str | int]]]:
    """Give the condition on the messages of a mailbox and its parameters; good while the context lasts."""
    compiler = _Compiler(db, mailbox_id)
    condition = compiler.condition(key)
    db.create_scalar_function("in_uids", compiler.is_in_uids, 2, deterministic=True)
    try:
        yield condition, compiler.parameters
    finally:
        db.create_scalar_function("in_uids", None, 2)


NO_QUERY: Final = ""
"""What no text of the index matches."""


@contextmanager
def compiled(
    db: apsw.Connection, mailbox_ids: Sequence[int], key: SearchKey
) -> Iterator[tuple[str | None, dict[int, tuple[str, list[str | int]]]]]:
    """Give one query of the text index, and for each mailbox the condition that must hold beside it.

    Query: of the texts that must all be there; None, when no text is asked. Condition: with its parameters, good while
    the context lasts.
    """
    uid_sets: list[UidSet] = []
    compilers = {mailbox_id: _Compiler(db, mailbox_id, uid_sets=uid_sets) for mailbox_id in mailbox_ids}
    texts: list[str] = []
    others: list[SearchKey] = []
    plain = _Compiler(db, 0)  # what a text query asks is the same in all mailboxes
    for one in _conjuncts(key):
        query = plain.text_query(one) if len(texts) < TEXTS_MAX else None
        if query is None:
            others.append(one)
        else:
            texts.append(query)
    rest = And(tuple(others))
    conditions = {
        mailbox_id: (compiler.condition(rest), compiler.parameters) for mailbox_id, compiler in compilers.items()
    }
    joined = None if not texts else NO_QUERY if NO_QUERY in texts else " AND ".join(f"({text})" for text in texts)
    db.create_scalar_function("in_uids", _Compiler(db, 0, uid_sets=uid_sets).is_in_uids, 2, deterministic=True)
    try:
        yield joined, conditions
    finally:
        db.create_scalar_function("in_uids", None, 2)


def index_of(key: SearchKey) -> str:
    """Give the words that have few messages of a flag counted from their index, when a key asks for that flag."""
    asked = list(_conjuncts(key))
    if HasFlag(FLAGGED) in asked:
        return "INDEXED BY message_flagged"
    return "INDEXED BY message_unseen" if Not(HasFlag(SEEN)) in asked else ""


def _conjuncts(key: SearchKey) -> Iterator[SearchKey]:
    if isinstance(key, And):
        for one in key.keys:
            yield from _conjuncts(one)
    else:
        yield key


@dataclass(slots=True)
class _Compiler:
    """Turns a key into an SQL condition on `message`, with its parameters in order."""

    db: apsw.Connection
    mailbox_id: int
    parameters: list[str | int] = field(default_factory=list)
    uid_sets: list[UidSet] = field(default_factory=list)

    def is_in_uids(self, *arguments: Any) -> bool:
        number, uid = arguments
        return uid in self.uid_sets[number]

    def text_query(self, key: SearchKey) -> str | None:
        """Give the query of the text index that says just what a key says; `NO_QUERY` when none can match.

        None: the index alone cannot say it.
        """
        match key:
            case Contains(where, text):
                return self._own_query(_COLUMN_OF[where], text)
            case HeaderContains(name, text) if name.lower() in _FIELD_OF_HEADER:
                return self._own_query(_COLUMN_OF[_FIELD_OF_HEADER[name.lower()]], text)
            case Or(keys) if 0 < len(keys) <= TEXTS_MAX:
                queries = [self.text_query(one) for one in keys]
                if None in queries:
                    return None
                return " OR ".join(f"({query})" for query in queries if query) or NO_QUERY
            case _:
                return None

    def _own_query(self, columns: str, text: str) -> str | None:
        folded = text_index.folded(text)
        if not folded or len(folded) > PHRASE_CHARACTERS_MAX:
            return None
        return self._query(columns, folded) or NO_QUERY

    def condition(self, key: SearchKey) -> str:
        match key:
            case Everything() | SaveDateSupported():
                return "1"
            case Nothing():
                return "0"
            case Not(HasFlag(flag)) if canonical(flag) in SYSTEM_FLAGS:
                return f"(flags & {BIT_OF[canonical(flag)]}) = 0"
            case Not(inner):
                return f"NOT {self.condition(inner)}"
            case And(keys):
                return self._joined(keys, "AND", "1")
            case Or(keys):
                return self._joined(keys, "OR", "0")
            case Uids(uids):
                return self._uids(uids)
            case HasFlag(flag):
                return self._flag(flag)
            case Contains(where, text):
                return self._contains(where, text)
            case HeaderContains(name, text):
                return self._header_contains(name, text)
            case HasAttachment():
                return f"content_id IN (SELECT content_id FROM content WHERE {ATTACHED})"
            case OnDays(which, first, stop):
                return self._on_days(which, first, stop)
            case Within(at_or_after_s, at_or_before_s):
                return self._between("internaldate_s", at_or_after_s, at_or_before_s)
            case SizeBetween(above, below):
                return self._between(
                    "size_octets", None if above is None else above + 1, None if below is None else below - 1
                )
            case ModSeqAtLeast(modseq):
                return self._between("modseq", modseq, None)
            case HasEmailId(email_id):
                return self._numbered("content_id", "M", email_id)
            case HasThreadId(thread_id):
                return self._numbered("thread_no", "T", thread_id)

    def _joined(self, keys: tuple[SearchKey, ...], word: str, empty: str) -> str:
        """Join conditions pairwise, so that a hundred of them nest seven deep (attack row 45)."""
        if not keys:
            return empty
        if len(keys) == 1:
            return self.condition(keys[0])
        middle = len(keys) // 2
        return f"({self._joined(keys[:middle], word, empty)} {word} {self._joined(keys[middle:], word, empty)})"

    def _uids(self, uids: UidSet) -> str:
        if len(uids.runs) > RUNS_IN_SQL_MAX:
            self.uid_sets.append(uids)
            return f"in_uids({len(self.uid_sets) - 1}, uid)"
        if not uids:
            return "0"
        for first, last in uids.runs:
            self.parameters += (first, last)
        return "(" + " OR ".join(["uid BETWEEN ? AND ?"] * len(uids.runs)) + ")"

    def _flag(self, flag: str) -> str:
        flag = canonical(flag)
        if flag in SYSTEM_FLAGS:
            return f"(flags & {BIT_OF[flag]}) != 0"  # no parameter: so are the indexes written
        known = select_one(
            self.db, "SELECT name FROM keyword WHERE mailbox_id = ? AND folded = ?", (self.mailbox_id, flag.casefold())
        )
        if known is None:
            return "0"
        self.parameters.append(f" {known[0]} ")
        return "instr(' ' || keywords || ' ', ?) > 0"

    def _between(self, column: str, least: int | None, most: int | None) -> str:
        if least is not None and most is not None:
            self.parameters += (least, most)
            return f"({column} BETWEEN ? AND ?)"
        if least is not None:
            self.parameters.append(least)
            return f"({column} >= ?)"
        if most is not None:
            self.parameters.append(most)
            return f"({column} <= ?)"
        return "1"

    def _on_days(self, which: DateField, first: int | None, stop: int | None) -> str:
        match which:
            case DateField.SENT:
                # A message without a readable Date is on no day.
                last = None if stop is None else stop - 1
                return f"(sent_on IS NOT NULL AND {self._between('sent_on', first, last)})"
            case DateField.INTERNAL:
                moment = "internaldate_s + zone_minutes * 60"
            case DateField.SAVED:
                moment = "savedate_s"
        return self._between(
            moment,
            None if first is None else (first - EPOCH_DAY) * DAY_S,
            None if stop is None else (stop - EPOCH_DAY) * DAY_S - 1,
        )

    def _numbered(self, column: str, letter: str, object_id: str) -> str:
        number = object_id[1:]
        if object_id[:1] != letter or not (number.isascii() and number.isdigit()) or len(number) > 18:
            return "0"
        self.parameters.append(int(number))
        return f"({column} = ?)"

    # texts

    def _contains(self, where: TextField, text: str) -> str:
        folded = text_index.folded(text)
        if not folded:
            return "1"  # every text contains the empty text
        if len(folded) <= PHRASE_CHARACTERS_MAX:
            return self._matched(where, folded)
        return self._listed(
            content_id
            for content_id in self._candidates(where, folded[:PHRASE_CHARACTERS_MAX])
            if text_index.contains(self.db, content_id, _COLUMN_OF[where].split(), folded)
        )

    def _header_contains(self, name: str, text: str) -> str:
        folded = text_index.folded(text)
        own_column = _FIELD_OF_HEADER.get(name.lower())
        if own_column is not None and folded and len(folded) <= PHRASE_CHARACTERS_MAX:
            return self._matched(own_column, folded)
        candidates = self._candidates_in("header", folded[:PHRASE_CHARACTERS_MAX]) if folded else self._all_contents()
        return self._listed(one for one in candidates if _field_contains(self.db, one, name, folded))

    def _matched(self, where: TextField, folded: str) -> str:
        query = self._query(_COLUMN_OF[where], folded)
        if query is None:
            return "0"
        self.parameters.append(query)
        return "content_id IN (SELECT rowid FROM text_index WHERE text_index MATCH ?)"

    def _candidates(self, where: TextField, folded: str) -> list[int]:
        return self._candidates_in(_COLUMN_OF[where], folded)

    def _candidates_in(self, columns: str, folded: str) -> list[int]:
        """List the contents of this mailbox whose text has the beginning of what is looked for."""
        query = self._query(columns, folded)
        if query is None:
            return []
        return self._contents("AND content_id IN (SELECT rowid FROM text_index WHERE text_index MATCH ?)", (query,))

    def _all_contents(self) -> list[int]:
        return self._contents("", ())

    def _contents(self, condition: str, parameters: tuple[str, ...]) -> list[int]:
        found = select_packed(
            self.db,
            "content_id",
            f"FROM (SELECT DISTINCT content_id FROM message WHERE mailbox_id = ? {condition})",
            (self.mailbox_id, *parameters),
        )
        return [content_id for (content_id,) in found]

    def _listed(self, content_ids: Iterable[int]) -> str:
        self.parameters.append(json.dumps(list(content_ids)))
        return "content_id IN (SELECT value FROM json_each(?))"

    def _query(self, columns: str, folded: str) -> str | None:
        """Give the index query for a text; None when no message can have it."""
        phrases = [folded] if len(folded) >= 3 else self._terms_beginning(folded)
        if not phrases:
            return None
        return f"{{{columns}}} : (" + " OR ".join(map(_quoted, phrases)) + ")"

    def _terms_beginning(self, beginning: str) -> list[str]:
        after = beginning + "\U0010ffff" * 4  # not the next character: that may be a surrogate
        return [
            term
            for (term,) in select(
                self.db, "SELECT term FROM text_term WHERE term >= ? AND term < ?", (beginning, after)
            )
        ]


def _quoted(phrase: str) -> str:
    """Give a string of the index's query language: everything in it is literal."""
    return '"' + phrase.replace('"', '""') + '"'


def _field_contains(db: apsw.Connection, content_id: int, name: str, folded: str) -> bool:
    """Look at the field itself. Spec: RFC 9051 §6.4.4 (HEADER; the empty text means the field is there)."""
    (header_octets,) = select_one(db, "SELECT header_octets FROM message WHERE content_id = ? LIMIT 1", (content_id,))
    header = octets.read(db, content_id, 0, min(header_octets, mime_header.HEADER_OCTETS_MAX))
    wanted = name.lower().encode("utf-8", "surrogateescape")
    return any(
        not folded or folded in text_index.folded(mime_header.text_of(value))
        for field_name, value in mime_header.raw_fields(header)
        if field_name.rstrip().lower() == wanted
    )
