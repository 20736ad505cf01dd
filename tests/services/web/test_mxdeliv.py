"""Mail that other relays bring over HTTPS, through the house's real reception."""

import asyncio
import ssl

import pytest

from mailstead.config.settings import Authentication, Server, Settings, Smtp, Store, Web
from mailstead.model.address import Address
from mailstead.model.secret import Secret
from mailstead.net.certificates import open_certificates
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
        for domain, profile in (("chat.test", "chatmail"), ("ord.test", "mail")):
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


async def test_one_that_cannot_be_had_stops_the_message_for_all(relay):
    headers = {**HEAD, "X-MAIL-TO": ["somebody1@chat.test", "nobody123@chat.test"]}
    assert (await relay.ask(mail(sender="carl@relay.test"), headers=headers))[0] == 400
    assert await relay.stored("somebody1@chat.test") == 0


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
