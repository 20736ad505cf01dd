"""Dialogues of the RFCs: what the client says, the events it gives, and what goes back."""

from collections.abc import Callable

import pytest

from mailstead.model.flags import FlagOperation
from mailstead.model.message import Changes, FlagChange
from mailstead.model.uidset import UidSet
from mailstead.proto.connection import NEED_DATA
from mailstead.proto.imap.connection import ImapConnection
from mailstead.proto.imap.types import commands as wire
from mailstead.proto.imap.types.events import AppendBegin, AppendEnd, Closed, IdleDone, Request, Result
from mailstead.proto.imap.view import View
from mailstead.proto.imap.write import code, fetch, responses, values


class Dialogue:
    """One client's side, line by line."""

    def __init__(self, connection: ImapConnection) -> None:
        self.connection = connection

    def client(self, text: str) -> object:
        self.connection.receive_data(text.encode())
        return self.connection.next_event()

    def server(self, *lines: str) -> None:
        assert self.connection.data_to_send().decode().split("\r\n")[:-1] == list(lines)


@pytest.fixture(name="dialogue")
def _dialogue(selected: Callable[..., ImapConnection]) -> Dialogue:
    return Dialogue(selected())


def test_rfc_9051_section_8(dialogue):
    """Spec: RFC 9051 §8."""
    connection = dialogue.connection
    event = dialogue.client("a003 fetch 12 full\r\n")
    assert isinstance(event.command, wire.Fetch)
    column = fetch.Column(b"FLAGS (%b)", [values.flag_text(frozenset({"\\Seen"}))])
    date = fetch.Column(b"INTERNALDATE %b", [values.internaldate(837596665, -420)])
    connection.send(b"".join(fetch.fetch_lines([12], [column, date, fetch.Column(b"RFC822.SIZE %d", [4286])])))
    connection.finish(Result.OK, "FETCH completed")
    dialogue.server(
        '* 12 FETCH (FLAGS (\\Seen) INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 4286)',
        "a003 OK FETCH completed",
    )
    event = dialogue.client("a004 fetch 12 body[header]\r\n")
    [item] = event.command.items
    connection.send(fetch.fetch_heads([12], [])[0] + fetch.literal_head(item.label, 6) + b"a: b\r\n" + fetch.FETCH_TAIL)
    connection.finish(Result.OK, "FETCH completed")
    dialogue.server("* 12 FETCH (BODY[HEADER] {6}", "a: b", ")", "a004 OK FETCH completed")
    event = dialogue.client("a005 store 12 +flags \\deleted\r\n")
    assert (event.command.operation, event.command.flags) == (FlagOperation.ADD, ("\\Deleted",))
    changed = [FlagChange(1, frozenset({"\\Seen", "\\Deleted"}), 5)]
    connection.send(fetch.flag_lines([12], changed, with_uid=False, with_modseq=False))
    connection.finish(Result.OK, "+FLAGS completed")
    dialogue.server("* 12 FETCH (FLAGS (\\Deleted \\Seen))", "a005 OK +FLAGS completed")
    assert dialogue.client("a006 logout\r\n") == Closed()
    dialogue.server("* BYE Until next time", "a006 OK Logged out")


def test_rfc_9051_section_6_3_12_append(dialogue):
    """Spec: RFC 9051 §6.3.12, the example with a synchronising literal."""
    event = dialogue.client("A003 APPEND saved-messages (\\Seen) {10}\r\n")
    assert isinstance(event, AppendBegin)
    dialogue.connection.accept_literal()
    dialogue.server("+ Ready for the message")
    dialogue.client("0123456789\r\n")
    assert dialogue.connection.next_event() == AppendEnd(b"A003")
    dialogue.connection.finish(Result.OK, "APPEND completed", code.appenduid(38505, UidSet.of([3955])))
    dialogue.server("A003 OK [APPENDUID 38505 3955] APPEND completed")


def test_rfc_9051_section_6_3_13_idle(dialogue):
    """Spec: RFC 9051 §6.3.13: what others did while the client idles."""
    connection = dialogue.connection
    view = View(UidSet([(1, 3)]), 1, 4)
    assert dialogue.client("A002 IDLE\r\n") == Request(b"A002", wire.Idle())
    connection.begin_idle()
    assert connection.next_event() is NEED_DATA
    changes = Changes(2, [FlagChange(4, frozenset(), 2)], UidSet(), uidnext=5)
    connection.send(view.apply(changes, may_expunge=True, with_modseq=False, with_vanished=False))
    dialogue.server("+ idling", "* 4 EXISTS")
    changes = Changes(3, [], UidSet.of([3]), uidnext=5)
    connection.send(view.apply(changes, may_expunge=True, with_modseq=False, with_vanished=False))
    dialogue.server("* 3 EXPUNGE")
    assert dialogue.client("DONE\r\n") == IdleDone(b"A002")
    connection.finish(Result.OK, "IDLE terminated")
    dialogue.server("A002 OK IDLE terminated")


def test_rfc_7162_section_3_1_3_conditional_store(dialogue):
    """Spec: RFC 7162 §3.1.3, examples 10 and 11."""
    event = dialogue.client("d105 STORE 7,5,9 (UNCHANGEDSINCE 320162338) +FLAGS.SILENT (\\Deleted)\r\n")
    assert event.command.unchanged_since == 320162338
    changed = [FlagChange(50, frozenset(), 320162350)]
    dialogue.connection.send(fetch.flag_lines([5], changed, with_uid=False, with_modseq=True, with_flags=False))
    dialogue.connection.finish(Result.OK, "Conditional STORE failed", code.modified([7, 9]))
    dialogue.server("* 5 FETCH (MODSEQ (320162350))", "d105 OK [MODIFIED 7,9] Conditional STORE failed")


def test_rfc_7162_section_3_2_5_qresync(dialogue):
    """Spec: RFC 7162 §3.2.5.1."""
    event = dialogue.client("A02 SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))\r\n")
    assert event.command.qresync.known_uids.runs == ((41, 41), (43, 211), (214, 541))
    dialogue.connection.send(responses.ok("Closed", b"CLOSED") + responses.exists(314))
    dialogue.connection.send(responses.vanished(UidSet([(41, 41), (43, 116)]), is_earlier=True))
    dialogue.connection.finish(Result.OK, "mailbox selected", b"READ-WRITE")
    dialogue.server(
        "* OK [CLOSED] Closed", "* 314 EXISTS", "* VANISHED (EARLIER) 41,43:116", "A02 OK [READ-WRITE] mailbox selected"
    )


def test_rfc_8508_section_3_5_replace(dialogue):
    """Spec: RFC 8508 §3.5, and a refusal before the octets are sent."""
    event = dialogue.client("A003 REPLACE 4 Drafts (\\Seen \\Draft) {312}\r\n")
    assert event.command == wire.Replace(4, "Drafts")
    dialogue.connection.refuse_literal(Result.NO, "No such mailbox", b"TRYCREATE")
    dialogue.server("A003 NO [TRYCREATE] No such mailbox")
    assert dialogue.client("A004 NOOP\r\n") == Request(b"A004", wire.Noop())


def test_rfc_9394_section_3_partial(dialogue):
    """Spec: RFC 9394 §3.1: the last results first asked."""
    event = dialogue.client("A01 UID SEARCH RETURN (PARTIAL -1:-100) UNDELETED UNKEYWORD $Junk\r\n")
    partial = event.command.returns.partial
    dialogue.connection.send(responses.esearch(b"A01", by_uid=True, partial=(partial, [*range(200, 251), 300])))
    dialogue.connection.finish(Result.OK, "Completed")
    dialogue.server('* ESEARCH (TAG "A01") UID PARTIAL (-1:-100 200:250,300)', "A01 OK Completed")
