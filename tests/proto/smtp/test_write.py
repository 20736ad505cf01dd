import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.model.address import Address
from mailstead.model.envelope import Envelope, Recipient
from mailstead.proto.connection import LocalProtocolError
from mailstead.proto.smtp import write
from mailstead.proto.smtp.types import Reply, reply


def test_replies():
    assert write.reply_octets(reply(250, "2.1.0", "OK")) == b"250 2.1.0 OK\r\n"
    assert write.reply_octets(reply(250, "2.1.0", "a", "b")) == b"250-2.1.0 a\r\n250 2.1.0 b\r\n"
    assert write.reply_octets(Reply(250, "", ("a",))) == b"250 a\r\n"
    assert write.reply_octets(reply(550, "5.1.1", "No j\u00fcrgen here")) == "550 5.1.1 No jürgen here\r\n".encode()


def test_commands_have_no_line_end_inside():
    with pytest.raises(LocalProtocolError):
        write.command_octets("MAIL", "FROM:<a\r\nRCPT TO:<b>")


def test_parameters_only_as_offered():
    envelope = Envelope(Address("a", "b.test"), (), "8BITMIME", size_octets=5, ret="HDRS", envid="x y+z")
    assert write.mail_from(envelope, frozenset()) == b"MAIL FROM:<a@b.test>\r\n"
    assert (
        write.mail_from(envelope, frozenset({"SIZE", "8BITMIME", "DSN"}))
        == b"MAIL FROM:<a@b.test> SIZE=5 BODY=8BITMIME RET=HDRS ENVID=x+20y+2Bz\r\n"
    )
    recipient = Recipient(Address("a b", "c.test"), frozenset({"FAILURE", "DELAY"}), "rfc822;a+b@c.test")
    assert write.rcpt_to(recipient, frozenset()) == b'RCPT TO:<"a b"@c.test>\r\n'
    assert (
        write.rcpt_to(recipient, frozenset({"DSN"}))
        == b'RCPT TO:<"a b"@c.test> NOTIFY=DELAY,FAILURE ORCPT=rfc822;a+2Bb@c.test\r\n'
    )


@pytest.mark.parametrize(
    ("octets", "wire"),
    [
        (b"", b".\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\r\n.\r\n.b", b"a\r\n..\r\n..b\r\n.\r\n"),
    ],
)
def test_data(octets, wire):
    assert write.data_octets(octets) == wire


@pytest.mark.parametrize(
    "variant", [b"\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\r.\n", b"\n.\r", b"\r.\r", b"\r\n.\r"]
)
def test_attack_001_and_002_nothing_bare_is_sent_on(variant):
    wire = write.data_octets(b"a" + variant + b"MAIL FROM:<x@y.test>")
    assert wire.count(b"\r\n.\r\n") == 1
    assert wire.endswith(b"\r\n.\r\n")
    assert wire.count(b"\n") == wire.count(b"\r") == wire.count(b"\r\n")


@given(
    st.lists(st.sampled_from([b"\r\n", b".", b"\r", b"\n", b"a", b"bcd"]), max_size=60).map(b"".join),
    st.integers(1, 20),
)
def test_attack_001_slices_of_a_message_are_the_message(octets, slice_octets):
    assert b"".join(write.data_slices(octets, slice_octets)) == write.data_octets(octets)
