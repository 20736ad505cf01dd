"""Untagged responses, each ending in CRLF. FETCH has its own module.

Spec: RFC 9051 §7, with the extension named at each function.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from mailstead.model.ids import ModSeq
from mailstead.model.mailbox import DELIMITER
from mailstead.model.uidset import UidSet
from mailstead.proto.imap.types.commands import StatusItem
from mailstead.proto.imap.types.search import PartialRange
from mailstead.proto.imap.write import values

_DELIMITER = values.quoted(DELIMITER.encode("ascii"))


def ok(text: str, code: bytes = b"") -> bytes:
    """Untagged OK, with a code perhaps. Spec: RFC 9051 §7.1.1."""
    return status(b"*", b"OK", text, code)


def no(text: str, code: bytes = b"") -> bytes:
    """Untagged NO: a warning. Spec: RFC 9051 §7.1.2."""
    return status(b"*", b"NO", text, code)


def bye(text: str, code: bytes = b"") -> bytes:
    """BYE. Spec: RFC 9051 §7.1.5."""
    return status(b"*", b"BYE", text, code)


def status(tag: bytes, result: bytes, text: str, code: bytes = b"") -> bytes:
    """Write a status response; the text is made harmless (one line, US-ASCII, no ``[`` at its start)."""
    line = text.encode("ascii", "replace").replace(b"\r", b" ").replace(b"\n", b" ").replace(b"\0", b" ")
    if code:
        return b"%b %b [%b] %b\r\n" % (tag, result, code, line)
    return b"%b %b %b\r\n" % (tag, result, line.lstrip(b"[") or b"-")


def capability(names: Iterable[bytes]) -> bytes:
    """CAPABILITY. Spec: RFC 9051 §7.2.2."""
    return b"* CAPABILITY %b\r\n" % b" ".join(names)


def enabled(names: Iterable[str]) -> bytes:
    """ENABLED. Spec: RFC 9051 §7.2.1."""
    return " ".join(("* ENABLED", *names)).encode("ascii") + b"\r\n"


def flags(names: Iterable[str]) -> bytes:
    """FLAGS of a mailbox. Spec: RFC 9051 §7.3.5."""
    return b"* FLAGS %b\r\n" % values.flag_list(names)


def exists(count: int) -> bytes:
    """EXISTS. Spec: RFC 9051 §7.4.1."""
    return b"* %d EXISTS\r\n" % count


def recent(count: int = 0) -> bytes:
    r"""RECENT, in IMAP4rev1 only; always 0 here, as RFC 9051 gave up \Recent. Spec: RFC 3501 §7.3.2."""
    return b"* %d RECENT\r\n" % count


def expunge(seqnums: Iterable[int]) -> bytes:
    """EXPUNGE of several messages; numbers must descend, or each be given as it is when its turn comes.

    Spec: RFC 9051 §7.5.1
    """
    return b"".join([b"* %d EXPUNGE\r\n" % seqnum for seqnum in seqnums])


def vanished(uids: UidSet, *, is_earlier: bool = False) -> bytes:
    """VANISHED, or VANISHED (EARLIER); nothing for no UIDs. Spec: RFC 7162 §3.2.10."""
    if not uids:
        return b""
    return b"* VANISHED %b%b\r\n" % (b"(EARLIER) " if is_earlier else b"", uids.compact().encode("ascii"))


def search(numbers: Iterable[int], modseq: ModSeq | None = None) -> bytes:
    """SEARCH, with the highest modseq of the found if asked. Spec: RFC 3501 §7.2.5, RFC 7162 §3.1.5."""
    return _numbers(b"* SEARCH", numbers, modseq)


def sort(numbers: Iterable[int], modseq: ModSeq | None = None) -> bytes:
    """SORT. Spec: RFC 5256 §4, RFC 7162 §3.1.6."""
    return _numbers(b"* SORT", numbers, modseq)


def _numbers(head: bytes, numbers: Iterable[int], modseq: ModSeq | None) -> bytes:
    line = " ".join(["", *map(str, numbers)]).encode("ascii")
    tail = b"" if modseq is None else b" (MODSEQ %d)" % modseq
    return head + line + tail + b"\r\n"


def esearch(
    tag: bytes,
    *,
    by_uid: bool,
    min_: int | None = None,
    max_: int | None = None,
    count: int | None = None,
    all_: Sequence[int] | UidSet | None = None,
    partial: tuple[PartialRange, Sequence[int]] | None = None,
    modseq: ModSeq | None = None,
) -> bytes:
    """ESEARCH; None leaves an item out, and so does an empty `all_`. `all_` and `partial` keep the order given (SORT).

    Spec: RFC 9051 §7.3.4, RFC 5267 §3, RFC 9394 §3.1, RFC 7162 §3.1.5
    """
    parts = [b"* ESEARCH (TAG %b)" % values.string(tag)]
    if by_uid:
        parts.append(b"UID")
    if min_ is not None:
        parts.append(b"MIN %d" % min_)
    if max_ is not None:
        parts.append(b"MAX %d" % max_)
    if count is not None:
        parts.append(b"COUNT %d" % count)
    if all_:
        runs = all_.compact().encode("ascii") if isinstance(all_, UidSet) else values.sequence_set(all_)
        parts.append(b"ALL " + runs)
    if partial is not None:
        asked, found = partial
        parts.append(b"PARTIAL (%d:%d %b)" % (asked.first, asked.last, values.sequence_set(found) or b"NIL"))
    if modseq is not None:
        parts.append(b"MODSEQ %d" % modseq)
    return b" ".join(parts) + b"\r\n"


def thread(groups: bytes) -> bytes:
    """THREAD; `groups` as `mime.threading.written_threads` gives them. Spec: RFC 5256 §4."""
    return b"* THREAD %b\r\n" % groups if groups else b"* THREAD\r\n"


def list_line(
    name: str, attributes: Iterable[str], *, is_utf8: bool, child_info: Iterable[str] = (), old_name: str | None = None
) -> bytes:
    r"""LIST; `attributes` like ``\HasChildren``, `child_info` like SUBSCRIBED, `old_name` after RENAME.

    Spec: RFC 9051 §7.3.1, §6.3.9.6 (CHILDINFO), §6.3.9.7 (OLDNAME)
    """
    extended: list[bytes] = []
    child_words = [values.quoted(word.encode("ascii")) for word in child_info]
    if child_words:
        extended.append(b'"CHILDINFO" (%b)' % b" ".join(child_words))
    if old_name is not None:
        extended.append(b'"OLDNAME" (%b)' % values.mailbox_name(old_name, is_utf8=is_utf8))
    tail = b" (%b)" % b" ".join(extended) if extended else b""
    encoded = values.mailbox_name(name, is_utf8=is_utf8)
    return b"* LIST %b %b %b%b\r\n" % (values.flag_list(attributes), _DELIMITER, encoded, tail)


def list_delimiter() -> bytes:
    r"""Answer ``LIST "" ""``: the delimiter and the (empty) root. Spec: RFC 9051 §6.3.9."""
    return b'* LIST (\\Noselect) %b ""\r\n' % _DELIMITER


def lsub_line(name: str, attributes: Iterable[str], *, is_utf8: bool) -> bytes:
    """LSUB. Spec: RFC 3501 §7.2.3."""
    encoded = values.mailbox_name(name, is_utf8=is_utf8)
    return b"* LSUB %b %b %b\r\n" % (values.flag_list(attributes), _DELIMITER, encoded)


def namespace() -> bytes:
    """One personal namespace, no others. Spec: RFC 9051 §7.3.3 (RFC 2342)."""
    return b'* NAMESPACE (("" %b)) NIL NIL\r\n' % _DELIMITER


def status_line(name: str, items: Iterable[tuple[StatusItem, int | str | None]], *, is_utf8: bool) -> bytes:
    """STATUS; None is NIL (no APPENDLIMIT), text is an object id. Spec: RFC 9051 §7.3.2, RFC 7889, RFC 8474."""
    parts = [b"%b %b" % (item.value, _status_value(value)) for item, value in items]
    return b"* STATUS %b (%b)\r\n" % (values.mailbox_name(name, is_utf8=is_utf8), b" ".join(parts))


def _status_value(value: int | str | None) -> bytes:
    if value is None:
        return b"NIL"
    return b"%d" % value if isinstance(value, int) else b"(%b)" % value.encode("ascii")


def id_line(fields: Mapping[str, str] | None) -> bytes:
    """ID. Spec: RFC 2971 §3.2."""
    if not fields:
        return b"* ID NIL\r\n"
    parts = [b"%b %b" % (values.text_string(name), values.text_string(value)) for name, value in fields.items()]
    return b"* ID (%b)\r\n" % b" ".join(parts)


def quota(root: str, resources: Iterable[tuple[str, int, int]]) -> bytes:
    """QUOTA: name, usage and limit of each resource (STORAGE in units of 1024 octets). Spec: RFC 9208 §4.2.1."""
    parts = [b"%b %d %d" % (name.encode("ascii"), used, limit) for name, used, limit in resources]
    return b"* QUOTA %b (%b)\r\n" % (_quota_root(root), b" ".join(parts))


def quotaroot(mailbox: str, roots: Iterable[str], *, is_utf8: bool) -> bytes:
    """QUOTAROOT. Spec: RFC 9208 §4.2.2."""
    names = [values.mailbox_name(mailbox, is_utf8=is_utf8), *map(_quota_root, roots)]
    return b"* QUOTAROOT %b\r\n" % b" ".join(names)


def _quota_root(root: str) -> bytes:
    return values.text_string(root)


def metadata(
    mailbox: str | None,
    entries: Iterable[tuple[str, bytes | None]],
    *,
    is_utf8: bool,
    literals: Collection[str] = (),
) -> bytes:
    """METADATA with values; None as mailbox is the server. Spec: RFC 5464 §4.4.1.

    `literals`: entries whose values go as literals, however short: some clients look for them on a line of their own.
    """
    name = b'""' if mailbox is None else values.mailbox_name(mailbox, is_utf8=is_utf8)
    parts = [
        b"%b %b"
        % (
            values.astring(entry.encode("utf-8")),
            values.literal(value) if value is not None and entry in literals else values.nstring(value),
        )
        for entry, value in entries
    ]
    return b"* METADATA %b (%b)\r\n" % (name, b" ".join(parts))


def metadata_changed(mailbox: str | None, entries: Iterable[str], *, is_utf8: bool) -> bytes:
    """METADATA that names changed entries only. Spec: RFC 5464 §4.4.2."""
    name = b'""' if mailbox is None else values.mailbox_name(mailbox, is_utf8=is_utf8)
    return b"* METADATA %b %b\r\n" % (name, b" ".join(values.astring(entry.encode("utf-8")) for entry in entries))
