"""Every command as a table: text in, dataclass out; and texts that are refused."""

# ruff: noqa: F403, F405  the table names every command there is

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from mailstead.mime.ordering import SortCriterion, SortKey
from mailstead.model import search as m
from mailstead.model.flags import FlagOperation
from mailstead.model.search import DateField, TextField
from mailstead.proto.imap.parse import ARGUMENTS, BARE, Refusal
from mailstead.proto.imap.states import RULES
from mailstead.proto.imap.types.commands import *
from mailstead.proto.imap.types.events import Result
from mailstead.proto.imap.types.fetch import *
from mailstead.proto.imap.types.search import *
from mailstead.proto.imap.types.sequence import SAVED, STAR, SequenceSet


def seq(*runs: tuple[int, int]) -> SequenceSet:
    return SequenceSet(runs)


def body(label: bytes, section: Section, *, peek: bool = False, partial=None) -> BodySection:
    return BodySection(section, peek, partial, label)


ONE = seq((1, 1))
DAY = date(1994, 2, 1).toordinal()
HEADER_FIELDS = Section("", SectionText.HEADER_FIELDS, ("Date", "FROM"))

ACCEPTED = [
    ("CAPABILITY", Capability()),
    ("NOOP", Noop()),
    ("noop", Noop()),
    ("LOGOUT", Logout()),
    ("STARTTLS", StartTls()),
    ("IDLE", Idle()),
    ("NAMESPACE", Namespace()),
    ("CHECK", Check()),
    ("CLOSE", Close()),
    ("UNSELECT", Unselect()),
    ("UNAUTHENTICATE", Unauthenticate()),
    ("EXPUNGE", Expunge()),
    ("UID EXPUNGE 3000:3002", Expunge(seq((3000, 3002)))),
    ("ID NIL", Id()),
    ('ID ("name" "sodr" "version" NIL)', Id((("name", "sodr"), ("version", None)))),
    ("ID ()", Id(())),
    ("AUTHENTICATE GSSAPI", Authenticate("GSSAPI")),
    ("AUTHENTICATE plain =", Authenticate("PLAIN", b"")),
    ("AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=", Authenticate("PLAIN", b"test\0test\0test")),
    ("ENABLE CONDSTORE x-good-idea", Enable(("CONDSTORE", "X-GOOD-IDEA"))),
    ("SELECT INBOX", Select("INBOX")),
    ('SELECT "a b\\"c"', Select('a b"c')),
    ("SELECT {5}\r\nab cd", Select("ab cd")),
    ("EXAMINE blurdybloop", Select("blurdybloop", is_examine=True)),
    ("SELECT INBOX (CONDSTORE)", Select("INBOX", condstore=True)),
    (
        "SELECT INBOX (QRESYNC (67890007 20050715194045000))",
        Select("INBOX", qresync=QresyncKnown(67890007, 20050715194045000)),
    ),
    (
        "SELECT INBOX (QRESYNC (67890007 90060115194045000 41:211,214:541))",
        Select("INBOX", qresync=QresyncKnown(67890007, 90060115194045000, seq((41, 211), (214, 541)))),
    ),
    (
        "SELECT INBOX (QRESYNC (67890007 90060115194045000 41:211 (1,29 41,90)))",
        Select(
            "INBOX",
            qresync=QresyncKnown(
                67890007, 90060115194045000, seq((41, 211)), seq((1, 1), (29, 29)), seq((41, 41), (90, 90))
            ),
        ),
    ),
    (
        "SELECT INBOX (QRESYNC (1 2 (1 41)) CONDSTORE)",
        Select("INBOX", condstore=True, qresync=QresyncKnown(1, 2, None, ONE, seq((41, 41)))),
    ),
    ("CREATE owatagusiam/", Create("owatagusiam")),
    ("CREATE owatagusiam/blurdybloop", Create("owatagusiam/blurdybloop")),
    ("CREATE MySpecial (USE (\\drafts \\Sent))", Create("MySpecial", ("\\Drafts", "\\Sent"))),
    ("CREATE Plain (USE ())", Create("Plain")),
    ("DELETE foo", Delete("foo")),
    ("RENAME blurdybloop sarasoon", Rename("blurdybloop", "sarasoon")),
    ("SUBSCRIBE #news.comp", Subscribe("#news.comp", True)),
    ("UNSUBSCRIBE a]b", Subscribe("a]b", False)),
    ('LIST "" ""', List("", ("",))),
    ("LIST ~/Mail/ %", List("~/Mail/", ("%",))),
    ('LIST "" (INBOX Drafts Sent/%)', List("", ("INBOX", "Drafts", "Sent/%"), is_extended=True)),
    ('LIST (SUBSCRIBED) "" "*"', List("", ("*",), is_extended=True, select_subscribed=True)),
    ('LIST () "" "*" RETURN ()', List("", ("*",), is_extended=True)),
    (
        'LIST (SUBSCRIBED RECURSIVEMATCH REMOTE SPECIAL-USE) "" * RETURN (CHILDREN SUBSCRIBED SPECIAL-USE STATUS (MESSAGES UNSEEN))',
        List(
            "",
            ("*",),
            True,
            select_subscribed=True,
            select_remote=True,
            select_recursive_match=True,
            select_special_use=True,
            return_subscribed=True,
            return_children=True,
            return_special_use=True,
            return_status=(StatusItem.MESSAGES, StatusItem.UNSEEN),
        ),
    ),
    ('LSUB "#news." "comp.mail.*"', Lsub("#news.", "comp.mail.*")),
    ("STATUS blurdybloop (UIDNEXT MESSAGES uidnext)", Status("blurdybloop", (StatusItem.UIDNEXT, StatusItem.MESSAGES))),
    (
        "STATUS x (RECENT UIDVALIDITY DELETED DELETED-STORAGE SIZE HIGHESTMODSEQ APPENDLIMIT MAILBOXID)",
        Status(
            "x",
            (
                StatusItem.RECENT,
                StatusItem.UIDVALIDITY,
                StatusItem.DELETED,
                StatusItem.DELETED_STORAGE,
                StatusItem.SIZE,
                StatusItem.HIGHESTMODSEQ,
                StatusItem.APPENDLIMIT,
                StatusItem.MAILBOXID,
            ),
        ),
    ),
    ('GETQUOTA ""', GetQuota("")),
    ("GETQUOTAROOT INBOX", GetQuotaRoot("INBOX")),
    ('SETQUOTA "" (STORAGE 512)', SetQuota("", (("STORAGE", 512),))),
    ('SETQUOTA "" ()', SetQuota("", ())),
    ('GETMETADATA "" /shared/comment', GetMetadata(None, ("/shared/comment",))),
    (
        'GETMETADATA "INBOX" (/shared/comment /Private/comment)',
        GetMetadata("INBOX", ("/shared/comment", "/private/comment")),
    ),
    ("GETMETADATA (MAXSIZE 1024 DEPTH 1) INBOX /private/filters", GetMetadata("INBOX", ("/private/filters",), 1024, 1)),
    (
        'GETMETADATA "INBOX" (DEPTH infinity) (/private/filters/values)',
        GetMetadata("INBOX", ("/private/filters/values",), None, None),
    ),
    (
        'SETMETADATA INBOX (/private/comment "x" /shared/comment NIL)',
        SetMetadata("INBOX", (("/private/comment", b"x"), ("/shared/comment", None))),
    ),
    ("GETMETADATA INBOX (/private/a /private/b )", GetMetadata("INBOX", ("/private/a", "/private/b"))),
    ('SETMETADATA INBOX (/private/a "x" )', SetMetadata("INBOX", (("/private/a", b"x"),))),
    ('SETMETADATA "" (/private/comment ~{3}\r\na\0b)', SetMetadata(None, (("/private/comment", b"a\0b"),))),
    ("SETMETADATA INBOX (/private/comment {3}\r\na\r\n)", SetMetadata("INBOX", (("/private/comment", b"a\r\n"),))),
    ("NOTIFY NONE", Notify()),
    (
        "NOTIFY SET STATUS (selected MessageNew (UID BODY.PEEK[HEADER.FIELDS (From)]) ) ".replace(
            "selected MessageNew", "selected (MessageNew"
        ).replace(") ) ", ") MessageExpunge))"),
        Notify(
            (
                NotifyGroup(
                    NotifyMailboxes.SELECTED,
                    (),
                    frozenset({NotifyEvent.MESSAGE_NEW, NotifyEvent.MESSAGE_EXPUNGE}),
                    (
                        Attribute.UID,
                        body(
                            b"BODY[HEADER.FIELDS (From)]", Section("", SectionText.HEADER_FIELDS, ("From",)), peek=True
                        ),
                    ),
                ),
            ),
            True,
        ),
    ),
    (
        "NOTIFY SET (personal (MailboxName SubscriptionChange)) (subtree (Lists a) (MessageNew MessageExpunge FlagChange)) (mailboxes INBOX NONE)",
        Notify(
            (
                NotifyGroup(
                    NotifyMailboxes.PERSONAL, (), frozenset({NotifyEvent.MAILBOX_NAME, NotifyEvent.SUBSCRIPTION_CHANGE})
                ),
                NotifyGroup(
                    NotifyMailboxes.SUBTREE,
                    ("Lists", "a"),
                    frozenset({NotifyEvent.MESSAGE_NEW, NotifyEvent.MESSAGE_EXPUNGE, NotifyEvent.FLAG_CHANGE}),
                ),
                NotifyGroup(NotifyMailboxes.MAILBOXES, ("INBOX",)),
            )
        ),
    ),
    ("COMPRESS DEFLATE", Compress()),
    ("FETCH 2:4 FLAGS", Fetch(seq((2, 4)), (Attribute.FLAGS,))),
    ("FETCH $ ALL", Fetch(SAVED, (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE, Attribute.ENVELOPE))),
    ("FETCH 1 fast", Fetch(ONE, (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE))),
    (
        "FETCH 1 FULL",
        Fetch(ONE, (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE, Attribute.ENVELOPE, Attribute.BODY)),
    ),
    (
        "FETCH 1 (FLAGS FLAGS body[header.fields (Date FROM date)])",
        Fetch(ONE, (Attribute.FLAGS, body(b"BODY[HEADER.FIELDS (Date FROM)]", HEADER_FIELDS))),
    ),
    (
        'FETCH 1 (BODY.PEEK[1.2.HEADER.FIELDS.NOT ("a b")]<5.10>)',
        Fetch(
            ONE,
            (
                body(
                    b'BODY[1.2.HEADER.FIELDS.NOT ("a b")]<5>',
                    Section("1.2", SectionText.HEADER_FIELDS_NOT, ("a b",)),
                    peek=True,
                    partial=(5, 10),
                ),
            ),
        ),
    ),
    ("FETCH 1 BODY[]<0.2048>", Fetch(ONE, (body(b"BODY[]<0>", Section(), partial=(0, 2048)),))),
    ("FETCH 1 BODY[4.1.MIME]", Fetch(ONE, (body(b"BODY[4.1.MIME]", Section("4.1", SectionText.MIME)),))),
    (
        "FETCH 1 (BODY BODYSTRUCTURE BODY[1])",
        Fetch(ONE, (Attribute.BODY, Attribute.BODYSTRUCTURE, body(b"BODY[1]", Section("1")))),
    ),
    (
        "FETCH 1 (BODY[TEXT] BODY[3.HEADER])",
        Fetch(
            ONE,
            (
                body(b"BODY[TEXT]", Section("", SectionText.TEXT)),
                body(b"BODY[3.HEADER]", Section("3", SectionText.HEADER)),
            ),
        ),
    ),
    (
        "FETCH 1 (RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE)",
        Fetch(
            ONE,
            (
                body(b"RFC822", Section()),
                body(b"RFC822.HEADER", Section("", SectionText.HEADER), peek=True),
                body(b"RFC822.TEXT", Section("", SectionText.TEXT)),
                Attribute.SIZE,
            ),
        ),
    ),
    (
        "FETCH 1 (BINARY[1.2]<3.4> BINARY.PEEK[] BINARY.SIZE[2])",
        Fetch(
            ONE,
            (
                BinarySection("1.2", False, (3, 4), b"BINARY[1.2]<3>"),
                BinarySection("", True, None, b"BINARY[]"),
                BinarySize("2", b"BINARY.SIZE[2]"),
            ),
        ),
    ),
    (
        "FETCH 1 (PREVIEW (LAZY) SAVEDATE EMAILID THREADID MODSEQ)",
        Fetch(ONE, (Attribute.PREVIEW, Attribute.SAVEDATE, Attribute.EMAILID, Attribute.THREADID, Attribute.MODSEQ)),
    ),
    (
        "FETCH 1:* (FLAGS) (CHANGEDSINCE 12345)",
        Fetch(seq((1, STAR)), (Attribute.FLAGS, Attribute.MODSEQ), changed_since=12345),
    ),
    (
        "UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)",
        Fetch(seq((300, 500)), (Attribute.UID, Attribute.FLAGS, Attribute.MODSEQ), True, 12345, True),
    ),
    (
        "UID FETCH 25900:26600 (UID FLAGS) (PARTIAL -1:-100)",
        Fetch(seq((25900, 26600)), (Attribute.UID, Attribute.FLAGS), True, partial=PartialRange(-1, -100)),
    ),
    ("STORE 2:4 +FLAGS (\\deleted $Junk)", Store(seq((2, 4)), FlagOperation.ADD, ("\\Deleted", "$Junk"))),
    ("STORE 1 flags.silent ()", Store(ONE, FlagOperation.REPLACE, (), is_silent=True)),
    (
        "UID STORE * -FLAGS \\Seen \\Flagged",
        Store(seq((STAR, STAR)), FlagOperation.REMOVE, ("\\Seen", "\\Flagged"), by_uid=True),
    ),
    (
        "STORE 7,5,9 (UNCHANGEDSINCE 0) +FLAGS.SILENT (\\Deleted)",
        Store(seq((7, 7), (5, 5), (9, 9)), FlagOperation.ADD, ("\\Deleted",), True, False, 0),
    ),
    ("COPY 2:4 MEETING", Copy(seq((2, 4)), "MEETING")),
    ("UID COPY 1 x", Copy(ONE, "x", by_uid=True)),
    ("MOVE 42:69 foo", Move(seq((42, 69)), "foo")),
    ("UID MOVE 1 x", Move(ONE, "x", by_uid=True)),
    ("SEARCH ALL", Search(m.Everything())),
    ("SEARCH UNSEEN", Search(NotKey(m.HasFlag("\\Seen")))),
    ("SEARCH NEW", Search(m.Nothing())),
    ("SEARCH 1:3 UID 5", Search(AllOf((Numbered(seq((1, 3))), Numbered(seq((5, 5)), by_uid=True))))),
    ("SEARCH $", Search(Numbered(SAVED))),
    (
        'SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"',
        Search(
            AllOf(
                (
                    m.HasFlag("\\Flagged"),
                    m.OnDays(DateField.INTERNAL, DAY, None),
                    NotKey(m.Contains(TextField.FROM, "Smith")),
                )
            )
        ),
    ),
    ("SEARCH CHARSET UTF-8 TEXT {5}\r\ngr\xfc\xdf".encode(), None),
    ('SEARCH CHARSET utf-8 TEXT "grüß"', Search(m.Contains(TextField.TEXT, "grüß"), has_charset=True)),
    (
        "SEARCH OR SEEN OR 1 2 ANSWERED",
        Search(AllOf((AnyOf((m.HasFlag("\\Seen"), Numbered(ONE), Numbered(seq((2, 2))))), m.HasFlag("\\Answered")))),
    ),
    ("SEARCH NOT NOT SEEN", Search(m.HasFlag("\\Seen"))),
    (
        "SEARCH NOT (SEEN DRAFT) ((DELETED))",
        Search(AllOf((NotKey(AllOf((m.HasFlag("\\Seen"), m.HasFlag("\\Draft")))), m.HasFlag("\\Deleted")))),
    ),
    ("SEARCH (OR (SEEN) NOT DRAFT)", Search(AnyOf((m.HasFlag("\\Seen"), NotKey(m.HasFlag("\\Draft")))))),
    (
        'SEARCH HEADER Message-ID "<x>" HEADER X ""',
        Search(AllOf((m.HeaderContains("Message-ID", "<x>"), m.HeaderContains("X", "")))),
    ),
    ("SEARCH KEYWORD $Junk UNKEYWORD a", Search(AllOf((m.HasFlag("$Junk"), NotKey(m.HasFlag("a")))))),
    (
        'SEARCH ON 1-Feb-1994 BEFORE "1-feb-1994" SENTON 1-Feb-1994',
        Search(
            AllOf(
                (
                    m.OnDays(DateField.INTERNAL, DAY, DAY + 1),
                    m.OnDays(DateField.INTERNAL, None, DAY),
                    m.OnDays(DateField.SENT, DAY, DAY + 1),
                )
            )
        ),
    ),
    (
        "SEARCH SAVEDBEFORE 1-Feb-1994 SAVEDSINCE 1-Feb-1994 SAVEDATESUPPORTED",
        Search(
            AllOf((m.OnDays(DateField.SAVED, None, DAY), m.OnDays(DateField.SAVED, DAY, None), m.SaveDateSupported()))
        ),
    ),
    ("SEARCH LARGER 10 SMALLER 4294967296", Search(AllOf((m.SizeBetween(above=10), m.SizeBetween(below=4294967296))))),
    ("SEARCH YOUNGER 259200 OLDER 5", Search(AllOf((Aged(259200, False), Aged(5, True))))),
    ('SEARCH MODSEQ "/flags/\\\\draft" all 620162338', Search(m.ModSeqAtLeast(620162338), has_modseq=True)),
    ("SEARCH MODSEQ 0", Search(m.ModSeqAtLeast(0), has_modseq=True)),
    (
        "SEARCH EMAILID M6d99ac3275bb4e THREADID T64b478a75b7ea9",
        Search(AllOf((m.HasEmailId("M6d99ac3275bb4e"), m.HasThreadId("T64b478a75b7ea9")))),
    ),
    ("SEARCH RETURN () SEEN", Search(m.HasFlag("\\Seen"), returns=ReturnOptions(all=True))),
    (
        "UID SEARCH RETURN (MIN MAX COUNT SAVE) ALL",
        Search(m.Everything(), True, ReturnOptions(min=True, max=True, count=True, save=True)),
    ),
    ("SEARCH RETURN (PARTIAL 500:1) ALL", Search(m.Everything(), returns=ReturnOptions(partial=PartialRange(1, 500)))),
    (
        "SORT (REVERSE DATE SUBJECT) UTF-8 ALL",
        Sort((SortCriterion(SortKey.DATE, True), SortCriterion(SortKey.SUBJECT)), m.Everything()),
    ),
    (
        "UID SORT RETURN (COUNT) (DISPLAYFROM) US-ASCII SEEN",
        Sort((SortCriterion(SortKey.DISPLAYFROM),), m.HasFlag("\\Seen"), True, ReturnOptions(count=True)),
    ),
    ("THREAD REFERENCES UTF-8 ALL", Thread(ThreadAlgorithm.REFERENCES, m.Everything())),
    ("UID THREAD ORDEREDSUBJECT US-ASCII SEEN", Thread(ThreadAlgorithm.ORDEREDSUBJECT, m.HasFlag("\\Seen"), True)),
]


@pytest.mark.parametrize(("text", "command"), [case for case in ACCEPTED if case[1] is not None])
def test_command_is_read(command_of, text, command):
    assert command_of(text) == command


def test_login_in_all_string_forms(command_of):
    for text in ("LOGIN a b\xe4", 'LOGIN "a" "b\xe4"', "LOGIN {1}\r\na {3+}\r\nb\xe4"):
        try:
            login = command_of(text)
        except Refusal:
            assert text == "LOGIN a b\xe4", "an atom has no 8-bit octets"
            continue
        assert (login.user, login.password.reveal()) == ("a", "b\xe4")
        assert "b\xe4" not in repr(login)


def test_every_verb_has_a_rule_and_a_parser_and_appears_in_the_table():
    streamed = {b"APPEND", b"REPLACE", b"UID REPLACE"}
    assert set(RULES) == set(BARE) | set(ARGUMENTS) | streamed
    seen = {text.split()[0].upper().encode() for text, _ in ACCEPTED if isinstance(text, str)}
    seen |= {
        b"UID " + text.split()[1].upper().encode()
        for text, _ in ACCEPTED
        if isinstance(text, str) and text.startswith("UID ")
    }
    assert set(RULES) - streamed - seen == {b"LOGIN"}


REFUSED = [
    "NOOP x",
    "LOGIN a",
    "LOGIN a b c",
    "SELECT",
    "SELECT ",
    "SELECT a (X)",
    "SELECT a (CONDSTORE",
    "EXAMINE {3}\r\nab",
    "SELECT INBOX (QRESYNC (1 2 1:*))",
    "SELECT INBOX (QRESYNC (0 2))",
    'SELECT "a',
    'SELECT "a\\x"',
    'SELECT "a"b',
    "CREATE",
    "RENAME a",
    'LIST ""',
    'LIST (X) "" *',
    'LIST (RECURSIVEMATCH) "" *',
    'LIST "" * RETURN (X)',
    'LIST "" ()',
    "STATUS a ()",
    "STATUS a (X)",
    "STATUS a",
    "ENABLE",
    "ID x",
    "ID (a b)",
    'ID ("a")',
    "COMPRESS LZW",
    "FETCH 1",
    "FETCH 0 FLAGS",
    "FETCH 1,,2 FLAGS",
    "FETCH 4294967296 FLAGS",
    "FETCH 1 ()",
    "FETCH 1 (ALL)",
    "FETCH 1 XYZ",
    "FETCH 1 BODY[MIME]",
    "FETCH 1 BODY[0]",
    "FETCH 1 BODY[1.]",
    "FETCH 1 BODY[HEADER.FIELDS ()]",
    "FETCH 1 BODY[]<0.0>",
    "FETCH 1 BODY[1",
    "FETCH 1 (FLAGS",
    "FETCH 1 FLAGS (CHANGEDSINCE 0)",
    "FETCH 1 FLAGS (CHANGEDSINCE 5 VANISHED)",
    "UID FETCH 1 FLAGS (VANISHED)",
    "FETCH 1 FLAGS (PARTIAL 1:2)",
    "UID FETCH 1 FLAGS (PARTIAL 1:-2)",
    "FETCH 1 PREVIEW (EAGER)",
    "STORE 1 FLAGS",
    "STORE 1 FLAGS (\\Seen",
    "STORE 1 XFLAGS ()",
    "STORE 1 (UNCHANGEDSINCE) FLAGS ()",
    "COPY 1",
    "MOVE x y",
    "UID EXPUNGE",
    "EXPUNGE 1",
    "SEARCH",
    "SEARCH OR SEEN",
    "SEARCH NOT",
    "SEARCH (SEEN",
    "SEARCH ()",
    "SEARCH SEEN)",
    "SEARCH XYZ",
    "SEARCH SINCE 30-Feb-1994",
    "SEARCH ON 1-Foo-1994",
    "SEARCH RETURN (ALL PARTIAL 1:2) ALL",
    "SEARCH RETURN (X) ALL",
    "SEARCH YOUNGER 0",
    "SEARCH SEEN ",
    "SEARCH 1:2:3",
    "SORT () UTF-8 ALL",
    "SORT (X) UTF-8 ALL",
    "THREAD X UTF-8 ALL",
    "THREAD REFERENCES UTF-8",
    "GETMETADATA INBOX comment",
    "GETMETADATA INBOX /x/comment",
    "GETMETADATA INBOX /private/a*",
    "SETMETADATA INBOX ()",
    "SETMETADATA INBOX ( )",
    'SETMETADATA INBOX (/private/a "x"  )',
    "GETMETADATA INBOX ( )",
    "SETMETADATA INBOX (/private/a b)",
    "NOTIFY",
    "NOTIFY SET",
    "NOTIFY SET (x NONE)",
    "NOTIFY SET (selected (MessageNew))",
    "NOTIFY SET (selected NONE) (selected-delayed NONE)",
    "NOTIFY SET (inboxes (MessageNew (FLAGS) MessageExpunge))",
    "SETQUOTA a (STORAGE)",
    "AUTHENTICATE PLAIN !!!",
    "AUTHENTICATE PLAIN abc",
]


@pytest.mark.parametrize("text", REFUSED)
def test_bad_syntax_is_refused(command_of, text):
    with pytest.raises(Refusal) as refused:
        command_of(text)
    assert refused.value.result is Result.BAD


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SEARCH CHARSET KOI8-R TEXT x", b"BADCHARSET (UTF-8 US-ASCII)"),
        ("SORT (DATE) ALL", b"BADCHARSET (UTF-8 US-ASCII)"),
        ("CREATE x (USE (\\Foo))", b"USEATTR"),
        (
            "NOTIFY SET (selected (AnnotationChange))",
            b"BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange)",
        ),
        ('SELECT "&Jjo!"', b"CANNOT"),
    ],
)
def test_refusals_with_a_code_are_no(command_of, text, code):
    with pytest.raises(Refusal) as refused:
        command_of(text)
    assert (refused.value.result, refused.value.code) == (Result.NO, code)


def test_names_are_modified_utf7_until_utf8_is_enabled(command_of):
    assert command_of("SELECT &U,BTFw-").mailbox == "台北"
    assert command_of('SELECT "台北"', is_utf8=True).mailbox == "台北"
    assert command_of('SELECT "&U,BTFw-"', is_utf8=True).mailbox == "&U,BTFw-"
    assert command_of('LIST "" &U,BTFw-/*').patterns == ("台北/*",)


def test_date_time(command_of):
    from mailstead.proto.imap.parse import Cursor

    moment = Cursor(b'" 7-Feb-1994 21:52:25 -0830"').date_time()
    assert moment == datetime(1994, 2, 7, 21, 52, 25, tzinfo=timezone(-timedelta(hours=8, minutes=30)))
    assert Cursor(b'"07-Feb-1994 21:52:60 +0000"').date_time() == datetime(1994, 2, 7, 21, 52, 59, tzinfo=UTC)
    for bad in (
        b'"7-Feb-1994 21:52:25 -0800"',
        b'"31-Feb-1994 21:52:25 +0000"',
        b'"01-Feb-1994 25:52:25 +0000"',
        b'"01-Feb-1994 20:52:25 +9900"',
    ):
        with pytest.raises(Refusal):
            Cursor(bad).date_time()


def test_attack_042_nesting_and_counts_are_bounded(command_of):
    for text in (
        "SEARCH " + "(" * 30000 + "SEEN" + ")" * 30000,
        "SEARCH " + "NOT (" * 9000 + "SEEN" + ")" * 9000,
        "SEARCH " + "NOT OR " * 5000 + "SEEN",
        "SEARCH " + "(" * 60000,
    ):
        with pytest.raises(Refusal):
            command_of(text)
    # the limit itself, and long flat chains, are fine
    assert command_of("SEARCH " + "(" * 63 + "SEEN" + ")" * 63).key == m.HasFlag("\\Seen")
    with pytest.raises(Refusal):
        command_of("SEARCH " + "(" * 64 + "SEEN" + ")" * 64)
    assert len(command_of("SEARCH " + "OR SEEN " * 4000 + "SEEN").key.keys) == 4001
    with pytest.raises(Refusal, match="10000"):
        command_of("SEARCH " + " ".join(["1"] * 10_001))
    assert isinstance(command_of("FETCH 1 (" + " ".join(["FLAGS"] * 9000) + ")"), Fetch)
    with pytest.raises(Refusal):
        command_of("FETCH 1 (" + "(" * 50000)


def test_attack_047_sequence_sets_stay_ranges(command_of):
    assert command_of("UID FETCH 1:4294967295 FLAGS").messages == seq((1, 4294967295))
    assert len(command_of("FETCH " + ",".join(["1"] * 10_000) + " FLAGS").messages.runs) == 10_000
    with pytest.raises(Refusal) as refused:
        command_of("FETCH " + ",".join(["1"] * 100_000) + " FLAGS")
    assert refused.value.code == b"TOOBIG"


@pytest.mark.parametrize(
    "name", [b"a&", b"&AAA", b"&ZZZ-", b"&AGE-", b"&2D0-", b"&Jjo-&Jjo-", b"a\xffb", b"&====-", b"&-&"]
)
def test_attack_051_bad_mailbox_names_are_refused(command_of, name):
    with pytest.raises(Refusal) as refused:
        command_of(b'SELECT "' + name + b'"')
    assert (refused.value.result, refused.value.code) == (Result.NO, b"CANNOT")


@pytest.mark.parametrize("name", [b"\xff", b"\xe5\x8f", b"\xed\xa0\x80", b"\xc0\xaf"])
def test_attack_051_cut_utf8_in_names_is_refused(command_of, name):
    with pytest.raises(Refusal) as refused:
        command_of(b'SELECT "' + name + b'"', is_utf8=True)
    assert refused.value.code == b"CANNOT"


def test_attack_043_reading_costs_in_proportion_to_length(command_of):
    """Count steps, not seconds: no token pattern may hold a repetition inside a repetition that can match the same octets twice."""
    import re

    from mailstead.proto.imap.parse import cursor, fetch

    patterns = [value for module in (cursor, fetch) for value in vars(module).values() if isinstance(value, re.Pattern)]
    assert len(patterns) > 10
    hostile = [
        b'"' + b"\\\\" * 20000,
        b"(" * 20000,
        b"(" + b"[" * 20000,
        b"(" + b"[]" * 20000,
        b"1," * 20000,
        b"a" * 40000,
        b"(" + b"a " * 20000,
        b"&" * 40000,
    ]
    for pattern in patterns:
        for text in hostile:
            # exponential or cubic patterns would not come back within the test's time limit
            pattern.match(text) if isinstance(pattern.pattern, bytes) else pattern.match(text.decode())


@pytest.mark.parametrize(
    "grow",
    [
        lambda n: "SEARCH " + "OR SEEN " * n + "SEEN",
        lambda n: "SEARCH " + "NOT " * n + "SEEN",
        lambda n: "SEARCH " + "(SEEN) " * n + "SEEN",
        lambda n: "SEARCH " + "(" * n,
        lambda n: "FETCH " + "1:2," * n + "3 FLAGS",
        lambda n: "FETCH 1 (" + "BODY[HEADER.FIELDS (A)] " * n + "FLAGS)",
        lambda n: "FETCH 1 BODY[HEADER.FIELDS (" + "A" * n + " B" * n + ")]",
        lambda n: "STORE 1 FLAGS (" + "\\Seen " * n + "x)",
        lambda n: 'SELECT "' + "\\\\" * n + '"',
        lambda n: "LIST (" + "SUBSCRIBED " * n + 'REMOTE) "" *',
        lambda n: "ID (" + '"a" NIL ' * n,
    ],
)
def test_attack_043_twice_the_input_costs_twice_the_steps(command_of, grow):
    """Calls are counted, not seconds: machines differ, counts do not."""
    import contextlib
    import sys

    def calls(text):
        count = 0

        def seen(_frame, event, _argument):
            nonlocal count
            count += event in {"call", "c_call"}

        sys.setprofile(seen)
        try:
            with contextlib.suppress(Refusal):
                command_of(text)
        finally:
            sys.setprofile(None)
        return count

    assert calls(grow(2000)) <= 2.2 * calls(grow(1000)) + 50
