import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Envelope, Recipient
from mailstead.proto.connection import NEED_DATA, LocalProtocolError, RemoteProtocolError
from mailstead.proto.smtp.client import ClientConnection
from mailstead.proto.smtp.types import Reply, ReplyReceived, reply


def greeted(extensions=b""):
    client = ClientConnection()
    client.receive_data(b"220 mx.test ESMTP\r\n")
    assert client.next_event() == ReplyReceived("GREETING", Reply(220, "", ("mx.test ESMTP",)))
    client.send_ehlo("client.example")
    client.receive_data(b"250-mx.test\r\n" + extensions + b"250 SIZE 1000\r\n")
    assert client.next_event().to == "EHLO"
    client.data_to_send()
    return client


def test_extensions_are_remembered():
    assert greeted(b"250-PIPELINING\r\n250-AUTH PLAIN LOGIN\r\n").extensions == {
        "PIPELINING": "",
        "AUTH": "PLAIN LOGIN",
        "SIZE": "1000",
    }


def test_pipelining_only_where_offered():
    client = greeted()
    client.send_mail(Envelope(None))
    with pytest.raises(LocalProtocolError):
        client.send_rcpt(Recipient(Address("a", "b.test")))
    client = greeted(b"250-PIPELINING\r\n")
    client.send_mail(Envelope(None, size_octets=3))
    client.send_rcpt(Recipient(Address("a", "b.test")))
    client.send_data()
    assert client.data_to_send() == b"MAIL FROM:<> SIZE=3\r\nRCPT TO:<a@b.test>\r\nDATA\r\n"
    client.receive_data(b"250 2.1.0 OK\r\n550-5.1.1 No\r\n550 5.1.1 really\r\n354 go\r\n")
    assert [client.next_event() for _ in range(4)] == [
        ReplyReceived("MAIL", reply(250, "2.1.0", "OK")),
        ReplyReceived("RCPT", reply(550, "5.1.1", "No", "really")),
        ReplyReceived("DATA", Reply(354, "", ("go",))),
        NEED_DATA,
    ]
    assert client.time_limit_s is None


def test_421_at_any_time_is_the_end():
    client = greeted()
    client.receive_data(b"421 4.3.2 Bye\r\n")
    assert client.next_event() == ReplyReceived("421", reply(421, "4.3.2", "Bye"))
    assert client.wants_close


def test_close_without_answer_is_an_error():
    client = greeted()
    client.send_noop()
    client.receive_eof()
    with pytest.raises(RemoteProtocolError):
        client.next_event()


def test_auth_and_bdat():
    client = greeted(b"250-PIPELINING\r\n")
    client.send_auth("PLAIN", b"")
    client.send_auth_response(b"x")
    client.send_auth_response(None)
    client.send_bdat(b"\n.\n", is_last=True)
    assert client.data_to_send() == b"AUTH PLAIN =\r\neA==\r\n*\r\nBDAT 3 LAST\r\n\n.\n"


def test_large_messages_are_given_in_pieces():
    client = greeted()
    pieces = list(client.message_slices(b".a\r\n" * 10, 8))
    assert b"".join(pieces) == b"..a\r\n" * 10 + b".\r\n"
    assert len(pieces) > 5
    client.receive_data(b"250 2.0.0 taken\r\n")
    assert client.next_event() == ReplyReceived("MESSAGE", reply(250, "2.0.0", "taken"))
    client.send_bdat_line(1_000_000, is_last=True)
    assert client.data_to_send() == b"BDAT 1000000 LAST\r\n"
    assert client.expected_count == 1


def test_attack_004_replies_behind_starttls_are_discarded():
    client = greeted(b"250-STARTTLS\r\n")
    client.send_starttls()
    client.receive_data(b"220 Go\r\n250-mx.test\r\n250 AUTH PLAIN\r\n")
    with pytest.raises(RemoteProtocolError):
        client.next_event()
    assert client.wants_close
    assert client.next_event() is NEED_DATA
    client = greeted(b"250-STARTTLS\r\n")
    client.send_starttls()
    client.receive_data(b"220 Go\r\n")
    assert client.next_event().reply.code == 220
    assert client.extensions == {}  # asked anew under TLS
    client.receive_data(b"250 injected\r\n")
    assert client.drop_input() > 0


@pytest.mark.parametrize(
    "flood",
    [
        b"2" * 5000,
        b"220-" + b"x" * 5000 + b"\r\n",
        b"220-x\r\n" * 10_000,
        (b"220-" + b"x" * 4000 + b"\r\n") * 100,
        b"220-a\r\n250 b\r\n",
        b"hello\r\n",
        b"220 a\n",
        b"999 a\r\n",
        b"220 a\r\n220 b\r\n",
        b"220 a\0b\r\n",
    ],
)
def test_attack_025_hostile_servers(flood):
    client = ClientConnection(reply_limit_s=30)
    assert client.time_limit_s == 30
    with pytest.raises(RemoteProtocolError):
        for start in range(0, len(flood), 1000):
            client.receive_data(flood[start : start + 1000])
            while client.next_event() is not NEED_DATA:
                pass
            assert len(client._buffer) < 8192
    assert client.wants_close
    client.receive_data(b"x" * 1_000_000)
    assert len(client._buffer) == 0


def test_attack_025_a_stalling_server_is_given_up():
    client = ClientConnection(reply_limit_s=30)
    client.time_limit_passed()
    assert client.wants_close
