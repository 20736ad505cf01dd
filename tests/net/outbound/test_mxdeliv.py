"""Mail over HTTPS: what each answer means, and when SMTP takes over."""

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Envelope, Recipient
from mailstead.model.errors import WebFailed, WebRefused
from mailstead.model.queue import RemoteReply
from mailstead.net.outbound import mxdeliv
from mailstead.net.outbound.mxdeliv import MxdelivSession, SmtpHosts, SmtpSearch
from mailstead.ports.relay import RelayFailed
from mailstead.ports.web import WebResponse

OCTETS = b"Subject: x\r\n\r\nhello\r\n"
BOTH = (Recipient(Address("bob", "two.test")), Recipient(Address("eve", "two.test")))
ENVELOPE = Envelope(Address("ann", "one.test"), BOTH)


class HandClock:
    seconds = 0.0

    def monotonic_s(self):
        return self.seconds


class Web:
    """What the other server says."""

    def __init__(self):
        self.says = WebResponse(200, {}, b"250 OK")
        self.posted = []

    async def post(self, url, octets, headers, **how):
        self.posted.append((url, octets, headers, how))
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


class Smtp:
    is_open, offers_dsn = True, True

    def __init__(self):
        self.sent = 0

    async def send(self, envelope, octets):
        self.sent += 1
        return [RemoteReply(250, "2.0.0", "OK (SMTP)", "mx.two.test")] * len(envelope.recipients)

    async def close(self):
        self.is_open = False


@pytest.fixture
def web():
    return Web()


@pytest.fixture
def smtp():
    return Smtp()


@pytest.fixture
def hosts():
    return SmtpHosts(HandClock())


@pytest.fixture
def session(web, smtp, hosts):
    async def at(host):
        assert host == "mx.two.test"
        return smtp

    async def begin():
        return SmtpSearch(at, None)

    return MxdelivSession(web, ("mx.two.test",), 443, begin, hosts, verifies=True)


async def test_a_message_is_posted_once_for_all_recipients(session, web, smtp):
    replies = await session.send(ENVELOPE, OCTETS)
    assert [(each.code, each.text, each.security) for each in replies] == [(250, "OK (HTTPS)", "verified")] * 2
    [(url, octets, headers, how)] = web.posted
    assert (url, octets) == ("https://mx.two.test/mxdeliv", OCTETS)
    assert headers[1:] == [
        ("X-MAIL-FROM", "ann@one.test"),
        ("X-MAIL-TO", "bob@two.test"),
        ("X-MAIL-TO", "eve@two.test"),
    ]
    assert (how["verifies"], how["limit_s"]) == (True, 60.0)
    assert (smtp.sent, session.is_open, session.offers_dsn) == (0, True, False)
    await session.send(Envelope(None, BOTH[:1]), OCTETS)
    assert web.posted[1][2][1] == ("X-MAIL-FROM", "")


@pytest.mark.parametrize(
    ("status", "body", "code", "enhanced", "is_permanent"),
    [
        (400, b"523 5.7.10 Encryption Needed: Invalid Unencrypted Mail", 523, "5.7.10", True),
        (400, b"550 5.7.1 Not wanted", 550, "5.7.1", True),
        (400, b"554 No DKIM signature found\r\n", 554, "5.0.0", True),
        (400, b"450 4.7.1: later", 450, "4.7.1", False),
        (413, b"552 Message exceeds maximum size", 552, "5.0.0", True),
    ],
)
async def test_a_definite_refusal_of_a_message_is_the_answer(
    session, web, smtp, status, body, code, enhanced, is_permanent
):
    web.says = WebResponse(status, {}, body)
    for reply in await session.send(ENVELOPE, OCTETS):
        assert (reply.code, reply.enhanced, reply.is_permanent) == (code, enhanced, is_permanent)
        assert reply.text.endswith("(forwarded from mx.two.test)")
    assert smtp.sent == 0


@pytest.mark.parametrize(
    "says",
    [
        WebFailed("no connection"),
        WebFailed("certificate", certificate="expired"),
        WebRefused("private"),
        WebResponse(404, {}, b"Not found"),
        WebResponse(405, {}, b""),
        WebResponse(301, {}, b"250 OK"),
        WebResponse(503, {}, b"Service Unavailable"),
        WebResponse(200, {"content-type": "text/html; charset=utf-8"}, b"<h1>Welcome</h1>"),
        WebResponse(200, {"content-type": "Text/HTML"}, b"250 OK"),
        WebResponse(400, {}, b"<html>bad request</html>"),
        WebResponse(413, {}, b"Request Entity Too Large"),
    ],
)
async def test_all_else_goes_by_smtp_and_stays_there(session, web, smtp, hosts, says):
    web.says = says
    assert [each.text for each in await session.send(ENVELOPE, OCTETS)] == ["OK (SMTP)"] * 2
    assert (session.offers_dsn, "mx.two.test" in hosts) == (True, True)
    await session.send(ENVELOPE, OCTETS)
    assert (len(web.posted), smtp.sent) == (1, 2)
    await session.close()
    assert not session.is_open


async def test_a_host_without_a_web_server_is_remembered_for_half_an_hour(hosts, monkeypatch):
    hosts.note("mx.two.test")
    hosts._clock.seconds = 1799
    assert "mx.two.test" in hosts
    hosts._clock.seconds = 1801
    assert "mx.two.test" not in hosts
    monkeypatch.setattr(mxdeliv, "REMEMBERED_MAX", 2)
    for name in ("a", "b", "c"):
        hosts.note(name)
    assert ["a" in hosts, "b" in hosts, "c" in hosts] == [False, True, True]


@pytest.mark.parametrize(
    "body", [b"550 5.1.1 No such user", b"552 5.2.2 Full", b"450 4.2.1 later", b"550 no such user"]
)
async def test_a_refusal_that_may_be_of_one_recipient_is_asked_for_each_by_smtp(session, web, smtp, hosts, body):
    web.says = WebResponse(400, {}, body)
    assert [each.text for each in await session.send(ENVELOPE, OCTETS)] == ["OK (SMTP)"] * 2
    assert (smtp.sent, "mx.two.test" in hosts) == (1, False)  # it has a web server for mail


@pytest.mark.parametrize("body", [b"550 5.1.1 No such user", b"552 5.2.2 Full", b"550 no such user"])
async def test_where_there_is_but_one_recipient_it_is_the_answer(session, web, smtp, body):
    web.says = WebResponse(400, {}, body)
    [reply] = await session.send(Envelope(None, BOTH[:1]), OCTETS)
    assert (reply.code, reply.is_permanent, smtp.sent) == (int(body[:3]), True, 0)


async def test_who_says_come_by_smtp_is_asked_over_https_again(session, web, smtp, hosts):
    web.says = WebResponse(503, {}, b"451 4.3.0 later")
    assert [each.text for each in await session.send(ENVELOPE, OCTETS)] == ["OK (SMTP)"] * 2
    assert (smtp.sent, "mx.two.test" in hosts) == (1, False)


async def test_attack_025_an_answer_with_control_characters_is_cleaned(session, web):
    web.says = WebResponse(400, {}, b"554 5.7.1 a\x00b\x1b[2Jc" + b"x" * 4000)
    reply = (await session.send(ENVELOPE, OCTETS))[0]
    assert reply.text.isprintable()
    assert len(reply.text) < 600


async def test_where_smtp_is_not_to_be_had_either_that_is_told(web, hosts):
    async def at(host):
        return None

    async def last():
        raise RelayFailed(RemoteReply(0, "4.4.1", "No connection"))

    async def begin():
        return SmtpSearch(at, last)

    web.says = WebFailed("no connection")
    names = tuple(f"mx{number}.two.test" for number in range(10))
    session = MxdelivSession(web, names, 8443, begin, hosts, verifies=False)
    assert [each.enhanced for each in await session.send(ENVELOPE, OCTETS)] == ["4.4.1"] * 2
    assert (session.is_open, [name for name in names if name in hosts]) == (False, [])
    assert [posted[0] for posted in web.posted] == [f"https://{name}:8443/mxdeliv" for name in names[:3]]
    assert web.posted[0][3]["verifies"] is False
    await session.close()


async def test_what_requires_tls_on_all_its_way_goes_by_smtp(session, web, smtp):
    await session.send(Envelope(None, BOTH, require_tls=True), OCTETS)
    assert (web.posted, smtp.sent) == ([], 1)
