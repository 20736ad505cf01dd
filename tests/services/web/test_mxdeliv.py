"""Mail that other relays bring over HTTPS, through the house's real reception."""

import asyncio
import contextlib
import ssl
from dataclasses import replace

import pytest

from mailstead.config.settings import Authentication, Server, Settings, Smtp, Store, Web
from mailstead.model.address import Address
from mailstead.model.secret import Secret
from mailstead.net.certificates import open_certificates
from mailstead.services.web import mxdeliv
from mailstead.wiring.house import ADMINISTRATOR, open_house
from mailstead.wiring.web import make_web_service
from policy.pgp import mail, plain
from services.web.test_web import Answer

LIMIT_S = 30
HEAD = {"X-MAIL-FROM": ["carl@relay.test"], "X-MAIL-TO": ["somebody1@chat.test"]}


class Mxdeliv:
    """The web service of a house with a relay and an ordinary domain."""

    def __init__(self, house, service, folder):
        self.house = house
        self.receptions = house.receptions
        self.service = service
        self.clear_port, self.port = (endpoint.port for endpoint in service.bound)
        self.context = ssl.create_default_context(cafile=folder / "tls" / "certificate.pem")

    async def ask(self, octets, *, headers=HEAD, method="POST", host="localhost", is_clear=False, path="/mxdeliv"):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(octets)}", "Connection: close"]
        lines += [f"{name}: {value}" for name, values in headers.items() for value in values]
        context = None if is_clear else self.context
        async with asyncio.timeout(LIMIT_S):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self.clear_port if is_clear else self.port, ssl=context,
                server_hostname="localhost" if context else None,
            )  # fmt: skip
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + octets)
            answer = Answer(await reader.read())
            writer.close()
            return answer.status, answer.body

    async def begin(self, size_octets, first=b"", *, headers=HEAD):
        """Begin to bring a message of that size, and send its first octets."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.context, server_hostname="localhost"
        )
        lines = ["POST /mxdeliv HTTP/1.1", "Host: localhost", f"Content-Length: {size_octets}"]
        lines += [f"{name}: {value}" for name, values in headers.items() for value in values]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + first)
        await writer.drain()
        return reader, writer

    async def stored(self, name):
        account = await self.house.storage.directory.find(Address.parse(name))
        return (await self.house.storage.accounts.of(account.account_id).mailbox("INBOX")).message_count


@pytest.fixture
async def relay(tmp_path):
    settings = Settings(
        server=Server(hostname="localhost", data_dir=tmp_path, services=("mx", "web")),
        store=Store(master_key=Secret("33" * 32)),
        smtp=Smtp(message_octets_max=4 * 1024 * 1024),
        web=Web(listen=("127.0.0.1:0",), listen_tls=("127.0.0.1:0",)),
        authentication=Authentication(is_enabled=False),
    )
    async with open_house(settings) as house:
        for domain, profile in (
            ("chat.test", "chatmail"),
            ("[127.0.0.1]", "chatmail"),
            ("ord.test", "mail"),
        ):
            await house.domains.add(ADMINISTRATOR, domain, profile)
            await house.accounts.create(ADMINISTRATOR, Address("somebody1", domain), Secret("a password"))
        certificates = open_certificates("", "", tmp_path, "localhost", 5.0)
        service = make_web_service(house, certificates)
        service.bind()
        stop = asyncio.Event()
        running = asyncio.create_task(service.run(stop))
        yield Mxdeliv(house, service, tmp_path)
        stop.set()
        await running


async def test_an_encrypted_message_is_stored_before_the_answer(relay):
    assert await relay.ask(mail(sender="carl@relay.test")) == (200, b"250 OK")
    assert await relay.stored("somebody1@chat.test") == 1


async def test_a_message_above_a_mebibyte_is_taken(relay):
    from policy.pgp import armored, data, session_key

    large = mail(armored(session_key() + data(2_000_000), checksum=False), sender="carl@relay.test")
    assert await relay.ask(large) == (200, b"250 OK")


@pytest.mark.parametrize(
    ("octets", "headers", "status", "said"),
    [
        (plain("carl@relay.test"), {}, 400, b"523 5.7.10 Encryption Needed: Invalid Unencrypted Mail"),
        (mail(sender="carl@relay.test"), {"X-MAIL-TO": ["nobody123@chat.test"]}, 400, b"550 5.1.1"),
        (mail(sender="carl@relay.test"), {"X-MAIL-TO": ["somebody1@ord.test"]}, 400, b"554 5.7.1 Relay access denied"),
        (mail(sender="carl@relay.test"), {"X-MAIL-TO": ["x@other.test"]}, 400, b"554 5.7.1 Relay access denied"),
        (mail(sender="carl@relay.test"), {"X-MAIL-TO": []}, 400, b"501 5.1.3"),
        (mail(sender="carl@relay.test"), {"X-MAIL-TO": ["not an address"]}, 400, b"501 5.1.3"),
        (mail(sender="carl@relay.test"), {"X-MAIL-FROM": []}, 400, b"501 5.1.3"),
        (mail(sender="carl@relay.test"), {"X-MAIL-FROM": ["a@b.test", "c@d.test"]}, 400, b"501 5.1.3"),
        (b"From: <carl@relay.test>\nSubject: x\r\n\r\n", {}, 400, b"554 5.6.0 The header has"),
        (b"Received: x\r\n" * 60 + mail(sender="carl@relay.test"), {}, 400, b"554 5.4.6"),
        (b"x" * 5_000_000, {}, 413, b"552 Message exceeds maximum size"),
        (b"", {}, 400, b"500"),
    ],
)
async def test_a_refusal_says_what_smtp_would(relay, octets, headers, status, said):
    found = await relay.ask(octets, headers={**HEAD, **headers})
    assert found[0] == status, found
    assert found[1].startswith(said), found
    assert await relay.stored("somebody1@chat.test") == 0


async def test_the_null_sender_and_brackets_are_understood(relay):
    headers = {"X-MAIL-FROM": ["<>"], "X-MAIL-TO": ["<somebody1@chat.test>"]}
    assert await relay.ask(mail(sender="carl@relay.test"), headers=headers) == (200, b"250 OK")


async def test_where_one_of_several_cannot_be_had_smtp_is_to_tell_which(relay):
    headers = {**HEAD, "X-MAIL-TO": ["somebody1@chat.test", "nobody123@chat.test"]}
    status, said = await relay.ask(mail(sender="carl@relay.test"), headers=headers)
    assert (status, said[:10]) == (503, b"451 4.3.0 ")
    assert await relay.stored("somebody1@chat.test") == 0


async def test_where_none_of_several_can_be_had_that_is_the_answer(relay):
    headers = {**HEAD, "X-MAIL-TO": ["nobody124@chat.test", "nobody123@chat.test"]}
    status, said = await relay.ask(mail(sender="carl@relay.test"), headers=headers)
    assert (status, said[:9]) == (400, b"550 5.1.1")


async def test_a_relay_at_an_address_is_asked_by_it(relay):
    headers = {"X-MAIL-FROM": ["carl@[127.0.0.2]"], "X-MAIL-TO": ["somebody1@[127.0.0.1]"]}
    octets = mail(sender="carl@[127.0.0.2]")
    assert await relay.ask(octets, headers=headers, host="127.0.0.1") == (200, b"250 OK")
    assert await relay.stored("somebody1@[127.0.0.1]") == 1


async def test_a_message_in_chunks_is_taken(relay):
    octets = mail(sender="carl@relay.test")
    chunks = [octets[at : at + 100] for at in range(0, len(octets), 100)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", relay.port, ssl=relay.context, server_hostname="localhost"
        )
        head = "POST /mxdeliv HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
        head += "X-MAIL-FROM: carl@relay.test\r\nX-MAIL-TO: somebody1@chat.test\r\n\r\n"
        writer.write(head.encode() + body)
        assert Answer(await reader.read()).status == 200
        writer.close()
    assert await relay.stored("somebody1@chat.test") == 1


async def test_who_is_refused_for_a_recipient_hears_it_behind_a_large_message(relay):
    headers = {**HEAD, "X-MAIL-TO": ["nobody123@chat.test"]}
    status, said = await relay.ask(b"x" * 3_000_000, headers=headers)
    assert (status, said[:9]) == (400, b"550 5.1.1")


async def test_attack_010_who_brings_a_message_too_slowly_is_told_to_go(relay, monkeypatch):
    monkeypatch.setattr(mxdeliv, "PACE_GRACE_S", 0.2)
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await relay.begin(1_000_000, b"From: ")
        answer = Answer(await reader.read())
        writer.close()
    assert (answer.status, answer.body[:9], answer.headers["connection"]) == (408, b"421 4.4.2", "close")
    assert relay.receptions.staging.octets == 0


async def test_attack_010_only_so_many_bring_mail_at_a_time(relay, monkeypatch):
    monkeypatch.setattr(mxdeliv, "BRINGERS_MAX", 1)
    octets = mail(sender="carl@relay.test")
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await relay.begin(len(octets), octets[:500])
        while not relay.receptions.staging.octets:
            await asyncio.sleep(0.001)  # looks again at whether the server has begun to read
        status, said = await relay.ask(octets)
        assert (status, said[:9]) == (503, b"421 4.3.2")
        assert (await relay.ask(b"", method="GET", path="/.well-known/mta-sts.txt", host="chat.test"))[0] == 200
        writer.write(octets[500:])
        assert (await reader.readline()).split()[1] == b"200"
        writer.close()
    assert (await relay.ask(octets))[0] == 200


@pytest.mark.parametrize("headers", [HEAD, {**HEAD, "X-MAIL-TO": ["x@other.test"]}])
async def test_attack_023_what_is_refused_is_not_read_without_end(relay, monkeypatch, headers):
    monkeypatch.setattr(mxdeliv, "DRAINED_OCTETS_MAX", 1_000_000)
    sent = 0
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await relay.begin(10**12, headers=headers)
        ending = asyncio.create_task(reader.read())
        with contextlib.suppress(ConnectionError):
            while not ending.done():
                writer.write(b"x" * 65536)
                await writer.drain()
                await asyncio.sleep(0)  # let the other side read: a drain that need not wait yields to nobody
                sent += 65536
        writer.transport.abort()
        await asyncio.gather(ending, return_exceptions=True)
    assert sent < 100_000_000
    assert relay.receptions.staging.octets == 0


async def test_attack_010_only_who_is_bringing_a_message_may_stay_longer(relay, monkeypatch):
    monkeypatch.setattr(relay.service, "terms", replace(relay.service.terms, connection_s=0.5))
    octets = mail(sender="carl@relay.test")
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await relay.begin(len(octets), octets[:500])
        await asyncio.sleep(0.7)  # the life of other connections, of which nothing tells from outside
        writer.write(octets[500:])
        assert (await reader.readline()).split()[1] == b"200"
        writer.close()
        reader, writer = await relay.begin(len(octets), octets)
        assert (await reader.readline()).split()[1] == b"200"
        writer.write(b"POST /mxdeliv HTTP/1.1\r\n")
        with pytest.raises(ConnectionError):  # its message has been answered, and a head that never ends is no other
            while True:
                writer.write(b"X-A: b\r\n")
                await writer.drain()
                await asyncio.sleep(0.05)  # one small piece now and then is what this attack is
        writer.transport.abort()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_only_post_brings_mail(relay, method):
    assert (await relay.ask(b"", method=method))[0] == 405


async def test_nothing_is_taken_in_clear_text(relay):
    assert await relay.ask(mail(sender="carl@relay.test"), is_clear=True) == (
        400,
        b"530 5.7.0 Must be brought over TLS",
    )
    assert await relay.stored("somebody1@chat.test") == 0


async def test_attack_091_it_is_there_under_names_of_ours_only(relay):
    assert (await relay.ask(mail(), host="evil.test"))[0] == 421


async def test_a_bringer_who_goes_away_leaves_nothing(relay):
    octets = mail(sender="carl@relay.test")
    async with asyncio.timeout(LIMIT_S):
        _, writer = await asyncio.open_connection(
            "127.0.0.1", relay.port, ssl=relay.context, server_hostname="localhost"
        )
        head = f"POST /mxdeliv HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(octets)}\r\n"
        head += "X-MAIL-FROM: carl@relay.test\r\nX-MAIL-TO: somebody1@chat.test\r\n\r\n"
        writer.write(head.encode() + octets[:100])
        await writer.drain()
        writer.transport.abort()
        assert await relay.ask(octets) == (200, b"250 OK")
    assert await relay.stored("somebody1@chat.test") == 1
