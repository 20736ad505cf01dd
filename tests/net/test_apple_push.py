"""Apple's push against a real HTTP/2 server that wants our certificate."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailauth.zones import UNAVAILABLE, Zones
from mailstead.model.dav import CollectionKind
from mailstead.model.errors import BadSettings
from mailstead.net.apple_push import ApnsClient, Credentials
from mailstead.ports.apple_push import AppleNotice, PushOutcome
from net.apns_server import ApnsServer
from net.outbound.remote import Authority

CALENDAR, BOOK = CollectionKind.CALENDAR, CollectionKind.ADDRESSBOOK
CALENDARS, CONTACTS = "com.apple.calendar.XServer.0-1", "com.apple.contact.XServer.0-2"
TOKEN = "ab" * 32
CHANGED, NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC), datetime(2026, 1, 1, 12, 0, 2, tzinfo=UTC)
ZONES = Zones({"push.test": {"A": ["127.0.0.1"]}, "other.test": {"A": ["127.0.0.1"]}, "down.test": UNAVAILABLE})
LIMIT_S = 20


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("apns-ca"))


@pytest.fixture(scope="session")
def credentials(authority):
    return {kind: Credentials(*authority.client(topic)) for kind, topic in ((CALENDAR, CALENDARS), (BOOK, CONTACTS))}


@pytest.fixture
async def server(authority):
    started = await ApnsServer().start(authority.server("push.test")[0], authority.file)
    yield started
    await started.stop()


@pytest.fixture
async def client(server, authority, credentials):
    made = ApnsClient(ZONES, credentials, host="push.test", port=server.port, ca_file=str(authority.file))
    yield made
    await made.close()


def notice(token=TOKEN, key="0123-calendars"):
    return AppleNotice(token, key, CHANGED, NOW)


async def tell(client, kind=CALENDAR, **values):
    async with asyncio.timeout(LIMIT_S):
        return await client.tell(kind, notice(**values))


async def test_what_a_device_is_sent(server, client):
    assert await tell(client) is PushOutcome.TAKEN
    (sent,) = server.notices
    assert (sent.path, sent.fields[":method"], sent.topic) == (f"/3/device/{TOKEN}", "POST", CALENDARS)
    assert sent.fields[":authority"] == f"push.test:{server.port}"
    assert sent.json == {
        "key": "0123-calendars",
        "dataChangedTimestamp": int(CHANGED.timestamp()),
        "pushRequestSubmittedTimestamp": int(NOW.timestamp()),
    }
    wanted = {"apns-topic": CALENDARS, "apns-push-type": "background", "apns-priority": "5"}
    assert wanted.items() <= sent.fields.items()
    assert int(sent.fields["apns-expiration"]) == int(NOW.timestamp()) + 86_400


async def test_topics_are_those_of_the_certificates(server, client):
    assert dict(client.topics) == {CALENDAR: CALENDARS, BOOK: CONTACTS}
    assert client.is_production
    await tell(client, BOOK)
    await tell(client)
    assert [each.topic for each in server.notices] == [CONTACTS, CALENDARS]
    assert [each.fields["apns-topic"] for each in server.notices] == [CONTACTS, CALENDARS]


async def test_one_connection_serves_one_after_the_other(server, client):
    for _ in range(5):
        assert await tell(client) is PushOutcome.TAKEN
    assert server.connection_count == 1


async def test_many_at_once_share_a_connection(server, client):
    server.held = 8
    assert await asyncio.gather(*(tell(client, token=f"{n:064x}") for n in range(8))) == [PushOutcome.TAKEN] * 8
    assert (server.connection_count, len({each.path for each in server.notices})) == (1, 8)


async def test_more_than_the_server_lets_run_at_once_wait_their_turn(server, client):
    server.streams_max = 2
    assert await asyncio.gather(*(tell(client, token=f"{n:064x}") for n in range(8))) == [PushOutcome.TAKEN] * 8
    assert server.connection_count == 1


async def test_a_lost_connection_is_made_anew(server, client):
    await tell(client)
    server.hang_up()
    assert await tell(client) is PushOutcome.TAKEN
    assert server.connection_count == 2


@pytest.mark.parametrize("end", ["goodbye", "cut"])
async def test_what_meets_the_end_of_a_connection_goes_over_the_next(server, client, end):
    await tell(client)
    server.answers = [end]
    assert await tell(client) is PushOutcome.TAKEN
    assert ([each.connection for each in server.notices], server.connection_count) == ([1, 2], 2)


async def test_several_that_lose_their_connection_share_the_next(server, client):
    await tell(client)
    server.answers = ["cut"]
    assert await asyncio.gather(*(tell(client) for _ in range(6))) == [PushOutcome.TAKEN] * 6
    assert server.connection_count == 2


async def test_attack_025_a_server_that_hangs_up_always_is_not_asked_for_ever(server, client):
    server.answers = ["cut"] * 10
    assert await tell(client) is PushOutcome.LATER
    assert await tell(client) is PushOutcome.LATER
    server.answers = ["goodbye"] * 10
    assert await tell(client) is PushOutcome.LATER
    server.answers = []
    assert await tell(client) is PushOutcome.TAKEN


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ((410, "Unregistered"), PushOutcome.GONE),
        ((410, ""), PushOutcome.GONE),
        ((400, "BadDeviceToken"), PushOutcome.GONE),
        ((400, "DeviceTokenNotForTopic"), PushOutcome.GONE),
        ((429, "TooManyRequests"), PushOutcome.LATER),
        ((500, "InternalServerError"), PushOutcome.LATER),
        ((503, "Shutdown"), PushOutcome.LATER),
        ((403, "BadCertificate"), PushOutcome.REFUSED),
        ((400, "BadTopic"), PushOutcome.REFUSED),
        ((413, "PayloadTooLarge"), PushOutcome.REFUSED),
        ((400, b"{"), PushOutcome.REFUSED),
        ((400, b"[" * 4000), PushOutcome.REFUSED),
        ((400, b"[1]"), PushOutcome.REFUSED),
        ((400, b'{"reason": ["BadDeviceToken"]}'), PushOutcome.REFUSED),
        ((400, b"x" * 30_000), PushOutcome.REFUSED),
    ],
)
async def test_what_answers_mean(server, client, answer, outcome):
    server.answers = [answer]
    assert await tell(client) is outcome
    assert await tell(client) is PushOutcome.TAKEN


async def test_silence_has_an_end(server, authority, credentials):
    client = ApnsClient(
        ZONES, credentials, host="push.test", port=server.port, ca_file=str(authority.file), limit_s=0.2
    )
    server.answers = ["silence"]
    assert await tell(client) is PushOutcome.LATER
    assert await tell(client) is PushOutcome.TAKEN
    assert server.connection_count == 2
    await client.close()


@pytest.mark.parametrize("host", ["other.test", "down.test", "nowhere.test"])
async def test_who_is_not_the_named_host_is_told_nothing(server, authority, credentials, host):
    client = ApnsClient(ZONES, credentials, host=host, port=server.port, ca_file=str(authority.file))
    assert await tell(client) is PushOutcome.LATER
    assert server.notices == []


async def test_an_unknown_authority_is_not_believed(server, credentials, tmp_path):
    client = ApnsClient(ZONES, credentials, host="push.test", port=server.port, ca_file=str(Authority(tmp_path).file))
    assert await tell(client) is PushOutcome.LATER
    system = ApnsClient(ZONES, credentials, host="push.test", port=server.port, ca_file="")
    assert await tell(system) is PushOutcome.LATER
    assert server.notices == []


async def test_a_certificate_that_is_not_theirs_is_refused_there(server, authority, tmp_path):
    strange = {CALENDAR: Credentials(*Authority(tmp_path).client(CALENDARS))}
    client = ApnsClient(ZONES, strange, host="push.test", port=server.port, ca_file=str(authority.file))
    assert await tell(client) is PushOutcome.LATER
    assert server.notices == []


async def test_neither_token_nor_key_is_logged(server, client, capfd, caplog):
    server.answers = [(403, f"{TOKEN}"), (503, "Shutdown"), (400, "BadTopic"), "cut", "cut"]
    for _ in range(5):
        await tell(client, key="0123-calendars")
    server.hang_up()
    await server.stop()
    assert await tell(client) is PushOutcome.LATER
    said = "".join(capfd.readouterr()) + caplog.text
    assert TOKEN not in said
    assert "0123-calendars" not in said
    assert TOKEN not in repr(notice())


def test_key_and_certificate_may_be_in_one_file(authority, tmp_path):
    certificate, key = authority.client(CALENDARS)
    both = tmp_path / "both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    made = ApnsClient(ZONES, {CALENDAR: Credentials(both, both)}, host="api.sandbox.test", port=443, ca_file="")
    assert dict(made.topics) == {CALENDAR: CALENDARS}
    assert not made.is_production


@pytest.mark.parametrize("what", ["missing", "no certificate", "no topic", "another key", "a password"])
def test_files_that_cannot_be_used(authority, tmp_path, what):
    certificate, key = authority.client("" if what == "no topic" else CALENDARS)
    if what == "missing":
        certificate = Path(tmp_path / "nothing.pem")
    elif what == "no certificate":
        certificate = key
    elif what == "another key":
        key = authority.client(CONTACTS)[1]
    elif what == "a password":
        from cryptography.hazmat.primitives import serialization

        read = serialization.load_pem_private_key(key.read_bytes(), None)
        key.write_bytes(
            read.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            )
        )
    with pytest.raises(BadSettings):
        ApnsClient(ZONES, {CALENDAR: Credentials(certificate, key)}, host="push.test", port=443, ca_file="")
