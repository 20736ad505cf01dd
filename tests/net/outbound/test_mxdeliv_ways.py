"""Which way a relay's mail takes: web servers and mail servers with real TLS, found by MX as in life."""

import pytest

from mailstead.config.settings import Relay
from mailstead.model.queue import Destination, DestinationKind
from mailstead.net.outbound import mxdeliv
from mailstead.net.outbound.relay import SmtpRelay
from mailstead.net.web import SafeWebClient
from mailstead.ports.relay import RelayFailed, RelayTerms
from net.outbound.remote import Authority
from net.web_server import WebServer

HOSTS = ("a.there.test", "b.there.test")
STRICT = RelayTerms(requires_verified_tls=True, uses_mxdeliv=True)
TAKEN = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n250 OK"


class Ways:
    """A world that has web servers, too; all of a test share one port, as relays do."""

    def __init__(self, world):
        self.world = world
        self.https_port = 0
        self.allows_private = True
        self.servers = []
        self._relay = None

    async def web(self, address="127.0.0.1", *, tls, answer=TAKEN):
        server = await WebServer().start(tls, address, self.https_port)
        server.answer = answer
        self.https_port = server.port
        self.servers.append(server)
        return server

    @property
    def relay(self):
        """One for all of a test: it remembers."""
        if self._relay is None:
            world, ca_file = self.world, str(self.world.authority.file)
            settings = Relay(
                allows_private_addresses=self.allows_private,
                port=world.port or 25,
                https_port=self.https_port or 443,
                ca_file=ca_file,
            )
            client = SafeWebClient(
                world.names, allows_private=self.allows_private, ca_file=ca_file, hostname="us.test"
            )  # fmt: skip
            self._relay = SmtpRelay(
                world.names, world.policies, world.notes, "us.test", settings, world.clock,
                limits=world.limits, chance=world.chance, web=client,
            )  # fmt: skip
        return self._relay

    async def send(self, domain="there.test", to=(), terms=STRICT, **envelope):
        session = await self.relay.open(Destination(DestinationKind.DOMAIN, domain), terms)
        try:
            return await self.world.send(to=to or (f"a@{domain}",), session=session, **envelope)
        finally:
            await session.close()


@pytest.fixture
async def ways(world):
    ways = Ways(world)
    yield ways
    for server in ways.servers:
        await server.stop()


@pytest.fixture
def certificate(authority):
    """A valid one for a host."""
    return lambda *names: authority.server(*names)[0]


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """An authority that nobody believes."""
    return Authority(tmp_path_factory.mktemp("stranger"))


def verbs(remote):
    return [verb for heard in remote.heard for verb in heard.verbs]


async def test_https_comes_first_and_then_nobody_speaks_smtp(ways, world, certificate):
    remote = await world.mx(tls=certificate("mx.there.test"))
    web = await ways.web(tls=certificate("mx.there.test"))
    [reply] = await ways.send()
    assert (reply.code, reply.text, reply.host, reply.security) == (250, "OK (HTTPS)", "mx.there.test", "verified")
    assert (len(web.requests), remote.heard) == (1, [])
    assert web.requests[0].startswith(b"POST /mxdeliv HTTP/1.1\r\n")


async def test_without_mx_the_domain_itself_is_asked(ways, world, certificate):
    world.names.add("there.test", a=["127.0.0.1"])
    await ways.web(tls=certificate("there.test"))
    assert [each.text for each in await ways.send()] == ["OK (HTTPS)"]


async def test_the_second_host_is_asked_over_https_too(ways, world, certificate):
    await world.mx("there.test", *HOSTS)
    await world.close()
    second = await ways.web("127.0.0.2", tls=certificate(HOSTS[1]))
    [reply] = await ways.send()
    assert (reply.text, reply.host, len(second.requests)) == ("OK (HTTPS)", HOSTS[1], 1)


async def test_smtp_of_a_host_comes_before_https_of_the_next(ways, world, certificate):
    remote = await world.mx("there.test", *HOSTS, tls=certificate(HOSTS[0]))
    second = await ways.web("127.0.0.2", tls=certificate(HOSTS[1]))
    [reply] = await ways.send()
    assert (reply.code, reply.host, reply.security) == (250, HOSTS[0], "verified")
    assert (len(remote.messages), second.requests) == (1, [])


async def test_after_success_by_smtp_a_host_is_left_in_peace_for_half_an_hour(ways, world, certificate, stranger):
    remote = await world.mx(tls=certificate("mx.there.test"))
    web = await ways.web(tls=stranger.server("mx.there.test")[0])
    for _ in range(2):
        assert [each.code for each in await ways.send()] == [250]
    assert (web.connection_count, len(remote.messages)) == (0, 2)  # its handshake fails, so it never sees a request
    await web.stop()
    ways.servers.clear()
    good = await ways.web(tls=certificate("mx.there.test"))
    world.clock.s += 1799
    assert [each.text for each in await ways.send()] != ["OK (HTTPS)"]
    world.clock.s += 2
    assert [each.text for each in await ways.send()] == ["OK (HTTPS)"]
    assert (len(good.requests), len(remote.messages)) == (1, 3)


async def test_without_success_by_smtp_https_is_tried_again_at_once(ways, world, certificate):
    remote = await world.mx(tls=certificate("mx.there.test"), MAIL=b"451 4.3.0 later\r\n")
    web = await ways.web(
        tls=certificate("mx.there.test"), answer=b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
    )
    assert [each.code for each in await ways.send()] == [451]
    web.answer = TAKEN
    assert [each.text for each in await ways.send()] == ["OK (HTTPS)"]
    assert len(remote.heard) == 1


@pytest.mark.parametrize("how", ["no-starttls", "refused", "stranger", "other-name"])
async def test_attack_035_without_a_valid_certificate_nothing_of_a_message_is_said(
    ways, world, authority, stranger, how
):
    contexts = {"stranger": stranger.server("mx.there.test")[0], "other-name": authority.server("mx.else.test")[0]}
    bad = contexts.get(how, contexts["stranger"])
    refusal = {"STARTTLS": b"454 4.7.0 not now\r\n"} if how == "refused" else {}
    remote = await world.mx(tls=None if how == "no-starttls" else bad, **refusal)
    web = await ways.web(tls=bad)
    reply = await refusal_of(ways)
    assert (reply.is_permanent, reply.enhanced[:4]) == (False, "4.7.")
    assert web.requests == []
    assert not {"MAIL", "RCPT", "DATA"} & set(verbs(remote))
    assert remote.messages == []


async def test_attack_035_tlsa_records_that_nobody_understands_do_not_replace_a_valid_certificate(
    ways, world, stranger
):
    remote = await world.mx(tls=stranger.server("mx.there.test")[0])
    world.tlsa("mx.there.test", b"x" * 32, usage=255)
    assert (await refusal_of(ways)).enhanced == "4.7.5"
    assert remote.messages == []


async def test_a_certificate_that_dane_names_is_as_good(ways, world, stranger):
    context, digest = stranger.server("mx.there.test")
    remote = await world.mx(tls=context)
    world.tlsa("mx.there.test", digest)
    [reply] = await ways.send()
    assert (reply.code, reply.security, len(remote.messages)) == (250, "dane", 1)


@pytest.mark.parametrize(
    ("domain", "address"), [("_there.test", None), ("[127.0.0.1]", "127.0.0.1"), ("[ipv6:::1]", "::1")]
)
async def test_where_nobody_can_have_a_certificate_any_is_taken(ways, world, stranger, domain, address):
    if address is None:
        world.names.add(domain, a=["127.0.0.1"])
    web = await ways.web(address or "127.0.0.1", tls=stranger.server("nobody.test")[0])
    [reply] = await ways.send(domain)
    assert (reply.text, reply.security) == ("OK (HTTPS)", "encrypted")
    host = f"[{address}]" if address == "::1" else address or domain
    assert f"\r\nHost: {host}:{ways.https_port}\r\n".encode() in web.requests[0]


@pytest.mark.parametrize(
    ("domain", "address"), [("_there.test", "127.0.0.1"), ("[127.0.0.1]", "127.0.0.1"), ("[ipv6:::1]", "::1")]
)
async def test_attack_035_there_too_it_is_never_in_clear_text(ways, world, stranger, domain, address):
    if domain.startswith("_"):
        world.names.add(domain, a=[address])
    remote = await world.remote(address)
    assert (await refusal_of(ways, domain)).enhanced == "4.7.4"
    assert not {"MAIL", "RCPT", "DATA"} & set(verbs(remote))
    remote.tls = stranger.server("nobody.test")[0]
    [reply] = await ways.send(domain)
    assert (reply.code, reply.security, len(remote.messages)) == (250, "encrypted", 1)


async def test_one_domain_is_sent_to_without_tls(ways, world, certificate):
    remote = await world.mx("nauta.cu", "mx.nauta.cu")
    web = await ways.web(tls=certificate("mx.nauta.cu"))
    [reply] = await ways.send("nauta.cu")
    assert (reply.code, reply.security, len(remote.messages), web.requests) == (250, "none", 1, [])


async def test_where_mail_cannot_go_that_is_told_as_for_everybody(ways, world):
    world.names.add("null.test", mx=[(0, "")])
    world.names.add("dark.test", mx=None)
    for domain, code, enhanced, is_permanent in [
        ("null.test", 556, "5.1.10", True),
        ("absent.test", 0, "5.1.2", True),
        ("dark.test", 0, "4.4.3", False),
        ("[1.2.3]", 0, "5.1.2", True),
    ]:
        reply = await refusal_of(ways, domain)
        assert (reply.code, reply.enhanced, reply.is_permanent) == (code, enhanced, is_permanent)


async def test_attack_037_private_addresses_get_no_mail_over_https_either(ways, world, certificate):
    remote = await world.mx(tls=certificate("mx.there.test"))
    web = await ways.web(tls=certificate("mx.there.test"))
    ways.allows_private = False
    for domain in ("there.test", "[127.0.0.1]"):
        assert (await refusal_of(ways, domain)).enhanced == "5.4.4"
    assert (web.connection_count, remote.heard) == (0, [])


async def test_ordinary_domains_never_ask_for_a_web_server(ways, world, certificate):
    remote = await world.mx(tls=certificate("mx.there.test"))
    web = await ways.web(tls=certificate("mx.there.test"))
    [reply] = await ways.send(terms=RelayTerms())
    assert (reply.security, len(remote.messages), web.connection_count) == ("encrypted", 1, 0)


async def test_many_recipients_are_several_posts_that_every_server_can_read(ways, world, certificate):
    await world.mx()
    web = await ways.web(tls=certificate("mx.there.test"))
    to = [f"{number:09}@there.test" for number in range(1000)]
    replies = await ways.send(to=to)
    assert [each.text for each in replies] == ["OK (HTTPS)"] * 1000
    heads = [request.partition(b"\r\n\r\n")[0] for request in web.requests]
    assert len(heads) > 1
    assert max(map(len, heads)) < 10_000
    named = [line[11:] for head in heads for line in head.decode().split("\r\n") if line.startswith("X-MAIL-TO: ")]
    assert named == to


async def test_what_is_left_after_some_posts_goes_by_smtp(ways, world, certificate, monkeypatch):
    monkeypatch.setattr(mxdeliv, "RECIPIENTS_OCTETS_MAX", 60)
    remote = await world.mx(tls=certificate("mx.there.test"))
    web = await ways.web(tls=certificate("mx.there.test"))

    async def then(_):
        web.answer = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"

    web.then = then
    replies = await ways.send(to=[f"{name}@there.test" for name in "abcd"])
    assert [each.text == "OK (HTTPS)" for each in replies] == [True, True, False, False]
    assert [each.code for each in replies] == [250] * 4
    rcpts = [line for line in remote.heard[0].lines if line.startswith("RCPT")]
    assert [line[9:10] for line in rcpts] == ["c", "d"]


async def test_an_address_that_no_header_can_hold_says_nothing_about_the_host(ways, world, certificate):
    remote = await world.mx(tls=certificate("mx.there.test"), extensions=("PIPELINING", "8BITMIME", "SMTPUTF8"))
    web = await ways.web(tls=certificate("mx.there.test"))
    [reply] = await ways.send(to=("jürgen@there.test",), smtputf8=True)
    assert (reply.code, len(remote.messages), web.requests) == (250, 1, [])
    [reply] = await ways.send()
    assert reply.text == "OK (HTTPS)"


async def refusal_of(ways, domain="there.test"):
    """Give why a message could not go, whether that showed at once or while sending."""
    try:
        [reply] = await ways.send(domain)
    except RelayFailed as failed:
        return failed.reply
    return reply
