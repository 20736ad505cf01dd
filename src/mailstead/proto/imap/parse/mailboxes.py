"""Commands about mailboxes as a whole. Spec: RFC 9051 §6.3 and the extensions named at each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mailstead.model.ids import UidValidity
from mailstead.model.mailbox import DELIMITER, SPECIAL_USES
from mailstead.proto.imap.list_pattern import BadPattern, ListPattern
from mailstead.proto.imap.parse.cursor import LIST_MAILBOX, Cursor, Refusal
from mailstead.proto.imap.types.commands import (
    Create,
    Delete,
    List,
    Lsub,
    QresyncKnown,
    Rename,
    Select,
    Status,
    StatusItem,
    Subscribe,
)
from mailstead.proto.imap.types.events import Result

PATTERNS_MAX: Final = 100
_SPECIAL_USES: Final = {use.lower(): use for use in SPECIAL_USES}


def select(cursor: Cursor, *, is_examine: bool) -> Select:
    """SELECT or EXAMINE with its parameters. Spec: RFC 9051 §6.3.2, RFC 7162 §3.1.8, §3.2.5."""
    mailbox = cursor.mailbox()
    condstore, qresync = False, None
    # select-params = SP "(" select-param *(SP select-param) ")"
    if cursor.skip(b" ("):
        while True:
            match cursor.word("a SELECT parameter"):
                case b"CONDSTORE":
                    condstore = True
                case b"QRESYNC":
                    cursor.space()
                    qresync = _qresync(cursor)
                case name:
                    raise Refusal(f"Unknown SELECT parameter {name.decode()}")
            if cursor.skip(b")"):
                break
            cursor.space()
    return Select(mailbox, is_examine, condstore, qresync)


def _qresync(cursor: Cursor) -> QresyncKnown:
    # "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"
    cursor.expect(b"(")
    uidvalidity = UidValidity(cursor.nz_number())
    cursor.space()
    modseq = cursor.modseq()
    known_uids = matched_seqnums = matched_uids = None
    if cursor.skip(b" "):
        if cursor.peek() != b"(":
            known_uids = cursor.uid_set()
        if cursor.peek() == b"(" or (known_uids is not None and cursor.skip(b" ")):
            # seq-match-data = "(" known-sequence-set SP known-uid-set ")"
            cursor.expect(b"(")
            matched_seqnums = cursor.uid_set()
            cursor.space()
            matched_uids = cursor.uid_set()
            cursor.expect(b")")
    cursor.expect(b")")
    return QresyncKnown(uidvalidity, modseq, known_uids, matched_seqnums, matched_uids)


def create(cursor: Cursor) -> Create:
    """CREATE. Spec: RFC 9051 §6.3.4; RFC 6154 §3, §6 (USE)."""
    mailbox = cursor.mailbox()
    uses: list[str] = []
    # create-param =/ "USE" SP "(" [use-attr *(SP use-attr)] ")"
    if cursor.skip(b" ("):
        if cursor.word("USE") != b"USE":
            raise Refusal("CREATE knows the parameter USE only")
        cursor.space()
        for flag in cursor.flag_list():
            use = _SPECIAL_USES.get(flag.lower())
            if use is None:
                raise Refusal(f"Special use {flag} is not supported", Result.NO, b"USEATTR")
            uses.append(use)
        cursor.expect(b")")
    if len(mailbox) > 1:
        mailbox = mailbox.removesuffix(DELIMITER)
    return Create(mailbox, tuple(uses))


def delete(cursor: Cursor) -> Delete:
    """DELETE. Spec: RFC 9051 §6.3.5."""
    return Delete(cursor.mailbox())


def rename(cursor: Cursor) -> Rename:
    """RENAME. Spec: RFC 9051 §6.3.6."""
    mailbox = cursor.mailbox()
    cursor.space()
    return Rename(mailbox, cursor.mailbox())


def subscribe(cursor: Cursor, *, is_subscribed: bool) -> Subscribe:
    """SUBSCRIBE or UNSUBSCRIBE. Spec: RFC 9051 §6.3.7, §6.3.8."""
    return Subscribe(cursor.mailbox(), is_subscribed)


def status(cursor: Cursor) -> Status:
    """STATUS. Spec: RFC 9051 §6.3.11."""
    mailbox = cursor.mailbox()
    cursor.space()
    return Status(mailbox, status_items(cursor))


def status_items(cursor: Cursor) -> tuple[StatusItem, ...]:
    """Take ``(status-att …)``, each once."""
    # "(" status-att *(SP status-att) ")"
    cursor.expect(b"(")
    items: dict[StatusItem, None] = {}
    while True:
        word = cursor.word("a STATUS item")
        try:
            items[StatusItem(word)] = None
        except ValueError:
            raise Refusal(f"Unknown STATUS item {word.decode()}") from None
        if cursor.skip(b")"):
            return tuple(items)
        cursor.space()


def lsub(cursor: Cursor) -> Lsub:
    """LSUB. Spec: RFC 3501 §6.3.9."""
    reference = cursor.mailbox()
    cursor.space()
    return Lsub(reference, _pattern(cursor, reference))


def list_(cursor: Cursor) -> List:
    """LIST, basic or extended. Spec: RFC 9051 §6.3.9, §9 (list); RFC 5258; RFC 5819; RFC 6154."""
    selects: set[bytes] = set()
    returns: set[bytes] = set()
    statuses: tuple[StatusItem, ...] = ()
    is_extended = cursor.peek() == b"("
    # list-select-opts = "(" [list-select-opt *(SP list-select-opt)] ")"
    if cursor.skip(b"("):
        _options(cursor, lambda word: _known(selects, word, _SELECTS))
        cursor.space()
    reference = cursor.mailbox()
    cursor.space()
    patterns: list[str] = []
    # mbox-or-pat = list-mailbox / patterns ; patterns = "(" list-mailbox *(SP list-mailbox) ")"
    if cursor.skip(b"("):
        is_extended = True
        while True:
            patterns.append(_pattern(cursor, reference))
            if len(patterns) > PATTERNS_MAX:
                raise Refusal(f"At most {PATTERNS_MAX} patterns", Result.NO, b"LIMIT")
            if cursor.skip(b")"):
                break
            cursor.space()
    else:
        patterns.append(_pattern(cursor, reference))
    # list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")"
    if not cursor.at_end():
        is_extended = True
        cursor.space()
        if cursor.word("RETURN") != b"RETURN":
            raise Refusal("Expected RETURN")
        cursor.expect(b" (")

        def take(word: bytes) -> None:
            nonlocal statuses
            if word == b"STATUS":
                cursor.space()
                statuses = status_items(cursor)
            else:
                _known(returns, word, _RETURNS)

        _options(cursor, take)
    # RFC 9051 §6.3.9.1: RECURSIVEMATCH needs another selection option (REMOTE does not count)
    if b"RECURSIVEMATCH" in selects and not selects & {b"SUBSCRIBED", b"SPECIAL-USE"}:
        raise Refusal("RECURSIVEMATCH needs another selection option")
    return List(
        reference,
        tuple(patterns),
        is_extended,
        select_subscribed=b"SUBSCRIBED" in selects,
        select_remote=b"REMOTE" in selects,
        select_recursive_match=b"RECURSIVEMATCH" in selects,
        select_special_use=b"SPECIAL-USE" in selects,
        return_subscribed=b"SUBSCRIBED" in returns,
        return_children=b"CHILDREN" in returns,
        return_special_use=b"SPECIAL-USE" in returns,
        return_status=statuses,
    )


_SELECTS: Final = frozenset({b"SUBSCRIBED", b"REMOTE", b"RECURSIVEMATCH", b"SPECIAL-USE"})
_RETURNS: Final = frozenset({b"SUBSCRIBED", b"CHILDREN", b"SPECIAL-USE"})


def _known(found: set[bytes], word: bytes, known: frozenset[bytes]) -> None:
    if word not in known:
        raise Refusal(f"Unknown LIST option {word.decode()}")
    found.add(word)


def _options(cursor: Cursor, take: Callable[[bytes], None]) -> None:
    if cursor.skip(b")"):
        return
    while True:
        take(cursor.word("a LIST option"))
        if cursor.skip(b")"):
            return
        cursor.space()


def _pattern(cursor: Cursor, reference: str) -> str:
    # list-mailbox = 1*list-char / string
    match = LIST_MAILBOX.match(cursor.data, cursor.position)
    if match:
        cursor.position = match.end()
    pattern = cursor.name(match.group() if match else cursor.string())
    try:
        ListPattern(reference, pattern)
    except BadPattern as error:
        raise Refusal(str(error), Result.NO, b"LIMIT") from None
    return pattern
