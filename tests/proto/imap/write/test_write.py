"""Every response as a table, and read back by a small client."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailstead.model.flags import flag_set
from mailstead.model.ids import BlobId, EmailId, ModSeq, ThreadId, Uid
from mailstead.model.message import FlagChange, MessageRecord
from mailstead.model.uidset import UidSet
from mailstead.proto.imap.types.commands import StatusItem
from mailstead.proto.imap.types.fetch import Attribute
from mailstead.proto.imap.types.search import PartialRange
from mailstead.proto.imap.write import code, fetch, responses, values
from mailstead.proto.imap.write.body import basic_body


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (responses.ok("hi"), b"* OK hi\r\n"),
        (responses.no("x\r\ny", b"ALERT"), b"* NO [ALERT] x  y\r\n"),
        (responses.bye(""), b"* BYE -\r\n"),
        (responses.status(b"a", b"OK", "[x] ü"), b"a OK x] ?\r\n"),
        (responses.capability([b"IMAP4rev1", b"ID"]), b"* CAPABILITY IMAP4rev1 ID\r\n"),
        (responses.enabled(["CONDSTORE", "QRESYNC"]), b"* ENABLED CONDSTORE QRESYNC\r\n"),
        (responses.enabled([]), b"* ENABLED\r\n"),
        (responses.flags(["\\Seen", "$Junk"]), b"* FLAGS (\\Seen $Junk)\r\n"),
        (responses.exists(23), b"* 23 EXISTS\r\n"),
        (responses.recent(), b"* 0 RECENT\r\n"),
        (responses.expunge([9, 3]), b"* 9 EXPUNGE\r\n* 3 EXPUNGE\r\n"),
        (responses.vanished(UidSet([(41, 41), (43, 116)]), is_earlier=True), b"* VANISHED (EARLIER) 41,43:116\r\n"),
        (responses.vanished(UidSet()), b""),
        (responses.search([2, 84, 882]), b"* SEARCH 2 84 882\r\n"),
        (responses.search([]), b"* SEARCH\r\n"),
        (responses.search([2, 5], ModSeq(917162500)), b"* SEARCH 2 5 (MODSEQ 917162500)\r\n"),
        (responses.sort([5, 3, 4]), b"* SORT 5 3 4\r\n"),
        (responses.esearch(b"A282", by_uid=False, min_=2, count=3), b'* ESEARCH (TAG "A282") MIN 2 COUNT 3\r\n'),
        (
            responses.esearch(b"A", by_uid=True, max_=9, all_=UidSet([(2, 2), (10, 11)]), modseq=ModSeq(5)),
            b'* ESEARCH (TAG "A") UID MAX 9 ALL 2,10:11 MODSEQ 5\r\n',
        ),
        (responses.esearch(b"A", by_uid=True, all_=[5, 3, 4, 1]), b'* ESEARCH (TAG "A") UID ALL 5,3:4,1\r\n'),
        (
            responses.esearch(b"A", by_uid=True, partial=(PartialRange(-1, -100), [7, 9])),
            b'* ESEARCH (TAG "A") UID PARTIAL (-1:-100 7,9)\r\n',
        ),
        (
            responses.esearch(b"A", by_uid=True, partial=(PartialRange(1, 5), []), all_=[]),
            b'* ESEARCH (TAG "A") UID PARTIAL (1:5 NIL)\r\n',
        ),
        # RFC 5256 §4
        (responses.thread(b"(2)(3 6 (4 23)(44 7 96))"), b"* THREAD (2)(3 6 (4 23)(44 7 96))\r\n"),
        (responses.thread(b""), b"* THREAD\r\n"),
        (
            responses.list_line("a b/台", ["\\HasNoChildren", "\\Sent"], is_utf8=False),
            b'* LIST (\\HasNoChildren \\Sent) "/" "a b/&U,A-"\r\n',
        ),
        (responses.list_line("台", [], is_utf8=True), '* LIST () "/" "台"\r\n'.encode()),
        (
            responses.list_line("a", ["\\NonExistent"], is_utf8=False, child_info=["SUBSCRIBED"]),
            b'* LIST (\\NonExistent) "/" a ("CHILDINFO" ("SUBSCRIBED"))\r\n',
        ),
        (responses.list_line("b", [], is_utf8=False, old_name="a"), b'* LIST () "/" b ("OLDNAME" (a))\r\n'),
        (responses.list_line("nil", [], is_utf8=False), b'* LIST () "/" "nil"\r\n'),
        (responses.list_delimiter(), b'* LIST (\\Noselect) "/" ""\r\n'),
        (responses.lsub_line("x", [], is_utf8=False), b'* LSUB () "/" x\r\n'),
        (responses.namespace(), b'* NAMESPACE (("" "/")) NIL NIL\r\n'),
        (
            responses.status_line(
                "INBOX",
                [(StatusItem.MESSAGES, 231), (StatusItem.APPENDLIMIT, None), (StatusItem.MAILBOXID, "F22")],
                is_utf8=False,
            ),
            b"* STATUS INBOX (MESSAGES 231 APPENDLIMIT NIL MAILBOXID (F22))\r\n",
        ),
        (responses.id_line({"name": "Mailstead"}), b'* ID ("name" "Mailstead")\r\n'),
        (responses.id_line(None), b"* ID NIL\r\n"),
        (responses.quota("", [("STORAGE", 10, 512)]), b'* QUOTA "" (STORAGE 10 512)\r\n'),
        (responses.quotaroot("INBOX", [""], is_utf8=False), b'* QUOTAROOT INBOX ""\r\n'),
        (
            responses.metadata("INBOX", [("/private/comment", b"a"), ("/shared/x", None)], is_utf8=False),
            b'* METADATA INBOX (/private/comment "a" /shared/x NIL)\r\n',
        ),
        (
            responses.metadata(None, [("/private/c", b"\0")], is_utf8=False),
            b'* METADATA "" (/private/c ~{1}\r\n\0)\r\n',
        ),
        (
            responses.metadata(
                "INBOX",
                [("/private/a", b""), ("/private/b", None), ("/private/c", b"c")],
                is_utf8=False,
                literals={"/private/a", "/private/b"},
            ),
            b'* METADATA INBOX (/private/a {0}\r\n /private/b NIL /private/c "c")\r\n',
        ),
        (
            responses.metadata_changed("INBOX", ["/shared/comment"], is_utf8=False),
            b"* METADATA INBOX /shared/comment\r\n",
        ),
        (code.appenduid(38505, UidSet([(3955, 3957)])), b"APPENDUID 38505 3955:3957"),
        (code.copyuid(38505, [304, 319, 320], [3956, 3957, 3958]), b"COPYUID 38505 304,319:320 3956:3958"),
        (code.modified([7, 9]), b"MODIFIED 7,9"),
        (code.permanentflags(["\\Deleted", "\\*"]), b"PERMANENTFLAGS (\\Deleted \\*)"),
        (code.inprogress(b"A001", 454, 1000), b'INPROGRESS ("A001" 454 1000)'),
        (code.inprogress(b"A001"), b'INPROGRESS ("A001" NIL NIL)'),
        (code.mailboxid("F2212ea87"), b"MAILBOXID (F2212ea87)"),
        (code.highestmodseq(ModSeq(7)), b"HIGHESTMODSEQ 7"),
        (fetch.literal_head(b"BODY[]", 5), b"BODY[] {5}\r\n"),
        (fetch.literal_head(b"BINARY[1]", 5, is_literal8=True), b"BINARY[1] ~{5}\r\n"),
    ],
)
def test_table(written, expected):
    assert written == expected


@given(st.binary(max_size=80), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_law_strings_are_read_back(read, octets, is_utf8):
    assert read(b"* X " + values.string(octets, is_utf8=is_utf8) + b"\r\n") == [["*", "X", octets]]
    assert read(b"* X " + values.nstring(octets) + b"\r\n")[0][2] == octets
    [[_, _, found]] = read(b"* X " + values.astring(octets) + b"\r\n")
    assert (found.encode() if isinstance(found, str) else found) == octets


def test_strings_with_line_ends_or_8_bit_are_literals():
    assert values.string(b"a\r\nb") == b"{4}\r\na\r\nb"
    assert values.string("ü".encode()) == b"{2}\r\n\xc3\xbc"
    assert values.string("ü".encode(), is_utf8=True) == b'"\xc3\xbc"'
    assert values.string(b"x" * 1001).startswith(b"{1001}")
    assert values.nstring(None) == b"NIL"
    assert values.astring(b"") == b'""'


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.integers(-1439, 1439))
def test_law_internaldate_says_the_same_as_strftime(moment, zone):
    import calendar

    zoned = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=zone)))
    sign, (hours, minutes) = "-" if zone < 0 else "+", divmod(abs(zone), 60)
    expected = f'"{zoned.day:2d}-{calendar.month_abbr[zoned.month]}-{zoned.year:04d} {zoned:%H:%M:%S} {sign}{hours:02d}{minutes:02d}"'
    seconds = (zoned - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    assert values.internaldate(seconds, zone) == expected.encode()


@given(st.lists(st.integers(1, 30), max_size=30))
def test_law_sequence_sets_keep_every_number_in_order(numbers):
    found = []
    for part in values.sequence_set(numbers).decode().split(",") if numbers else []:
        first, _, last = part.partition(":")
        found += range(int(first), int(last or first) + 1)
    assert found == numbers


def record(uid: int, **more) -> MessageRecord:
    return MessageRecord(
        Uid(uid), ModSeq(uid + 100), flag_set(["\\Seen", "$x"]), 837570205 + uid, -420, 837570300, 44827, 300,
        EmailId("M1"), ThreadId("T1"), BlobId(1), **more,
    )  # fmt: skip


def test_fetch_of_all_attributes(read):
    structure = b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 3028 92 NIL NIL NIL NIL)'
    records = [record(uid, header_summary=b'(NIL "x" NIL)', body_structure=structure, preview="Grüß") for uid in (5, 9)]
    columns = [fetch.attribute_column(attribute, records) for attribute in Attribute]
    columns.append(fetch.value_column(b"BODY[HEADER.FIELDS (X%Y)]", [values.literal(b"a: b\r\n"), values.literal(b"")]))
    lines = fetch.fetch_lines([2, 3], columns)
    assert len(lines) == 2
    [first, second] = read(b"".join(lines))
    assert first[:3] == ["*", "2", "FETCH"]
    assert second[3][1] == "9"
    names = first[3][0::2][:12]
    assert names == [attribute.value.decode() for attribute in Attribute]
    item = dict(zip(first[3][0:24:2], first[3][1:24:2], strict=True))
    assert item["FLAGS"] == ["$x", "\\Seen"]
    assert item["INTERNALDATE"] == b"16-Jul-1996 19:23:30 -0700"
    assert item["PREVIEW"] == "Grüß".encode()
    assert item["MODSEQ"] == ["105"]
    assert item["BODY"] == [b"TEXT", b"PLAIN", [b"CHARSET", b"US-ASCII"], None, None, b"7BIT", "3028", "92"]
    assert first[3][-1] == b"a: b\r\n"


def test_fetch_heads_for_long_items(read):
    columns = [fetch.Column(b"UID %d", [7])]
    [head] = fetch.fetch_heads([1], columns)
    whole = head + fetch.literal_head(b"BODY[]", 4) + b"ab\r\n" + fetch.FETCH_TAIL
    assert whole == b"* 1 FETCH (UID 7 BODY[] {4}\r\nab\r\n)\r\n"
    assert fetch.fetch_heads([1], []) == [b"* 1 FETCH ("]


def test_flag_lines():
    changed = [FlagChange(Uid(7), frozenset({"\\Seen"}), ModSeq(9))]
    assert (
        fetch.flag_lines([1], changed, with_uid=True, with_modseq=True)
        == b"* 1 FETCH (UID 7 MODSEQ (9) FLAGS (\\Seen))\r\n"
    )
    assert (
        fetch.flag_lines([1], changed, with_uid=False, with_modseq=True, with_flags=False)
        == b"* 1 FETCH (MODSEQ (9))\r\n"
    )
    assert fetch.flag_lines([1], changed, with_uid=False, with_modseq=False, with_flags=False) == b""


@pytest.mark.parametrize(
    ("structure", "body"),
    [
        (
            b'(("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 2 NIL NIL NIL NIL)("IMAGE" "PNG" ("NAME" "a) b") NIL NIL "BASE64" 99 NIL ("attachment" NIL) NIL NIL) "MIXED" ("BOUNDARY" "x") NIL NIL NIL)',
            b'(("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 2)("IMAGE" "PNG" ("NAME" "a) b") NIL NIL "BASE64" 99) "MIXED")',
        ),
        (
            b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 9 (NIL {3}\r\na"( NIL) ("TEXT" "HTML" NIL NIL NIL "7BIT" 1 2 NIL NIL NIL NIL) 7 NIL NIL NIL NIL)',
            b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 9 (NIL {3}\r\na"( NIL) ("TEXT" "HTML" NIL NIL NIL "7BIT" 1 2) 7)',
        ),
    ],
)
def test_body_is_bodystructure_without_extensions(structure, body):
    assert basic_body(structure) == body
