"""The task: when it orders, what it leaves in the folder, what a failure does."""

import asyncio
import fcntl
import json
import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mailstead.model.errors import BadSettings
from mailstead.net.acme.challenges import ChallengeFiles, HttpProver
from mailstead.net.acme.client import AcmeClient
from mailstead.net.acme.ordering import LOOK_MAX_S, LOOK_MIN_S, Ordering, read_failure, read_held
from mailstead.net.acme.problems import AcmeFailed
from mailstead.net.certificates import Certificates, make_self_signed, open_certificates
from mailstead.ports.web import WebResponse
from net.acme.authority import BASE, LIFE, NOW, FakeAuthority, StillClock, problem

NAMES = ("mail.test", "mta-sts.test")


class World:
    """A data folder, its ordering, its authority, and a clock that stands until it is moved."""

    def __init__(self, folder):
        self.data = folder
        self.folder = folder / "tls" / "acme"
        self.clock = StillClock()
        self.files = ChallengeFiles(self.folder / "challenges")
        self.authority = FakeAuthority(lambda name, token: self.files.http_answer(token))
        self.names = NAMES
        self.present = []
        self.ordering = self.made()

    def made(self, mark="settings"):
        async def wanted(present):
            self.present.append(present)
            return self.names

        async def pause(_):
            await asyncio.sleep(0)  # the authority in memory is never slow

        def client(key):
            url = f"{BASE}/directory"
            return AcmeClient(self.authority, key, self.clock, directory_url=url, pause=pause)

        prover = HttpProver(self.files)
        return Ordering(self.folder, client, prover, wanted, self.clock, mark=mark, chance=0.0)

    def self_sign(self):
        return open_certificates("", "", self.data, "mail.test", is_ordered=True)

    @property
    def pair(self):
        return [(self.folder / name).read_bytes() for name in ("certificate.pem", "key.pem")]

    @property
    def orders(self):
        return self.authority.asked.count("/order")

    async def look(self, *, hours=0):
        self.clock.time += timedelta(hours=hours)
        self.authority.now = self.clock.time
        return await self.ordering._look()


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


async def test_the_first_one_takes_the_place_of_the_self_signed_one_with_its_key(world):
    world.self_sign()
    key = world.pair[1]
    assert read_held(world.folder / "certificate.pem").is_self_signed
    assert await world.look() == LOOK_MAX_S
    held = read_held(world.folder / "certificate.pem")
    assert (held.names, held.is_self_signed) == (frozenset(NAMES), False)
    assert world.pair[1] == key
    assert stat.S_IMODE((world.folder / "key.pem").stat().st_mode) == 0o600
    assert not list((world.folder / "challenges").iterdir())
    assert world.present == [frozenset({"mail.test", "localhost"})]


async def test_a_server_takes_the_new_pair_over(tmp_path):
    world = World(tmp_path)
    world.clock.time = world.authority.now = datetime.now(UTC)
    certificates = world.self_sign()
    before = certificates.context()
    await world.ordering.order()
    assert certificates.look()
    assert certificates.context() is not before
    again = open_certificates("", "", tmp_path, "mail.test", is_ordered=True)
    assert isinstance(again, Certificates)
    assert not read_held(world.folder / "certificate.pem").is_self_signed, "a start does not undo it"


async def test_what_is_good_is_left_alone_until_two_thirds_of_its_life(world):
    await world.look()
    assert world.orders == 1
    assert await world.look(hours=24) == LOOK_MAX_S
    assert await world.look(hours=58 * 24 + 23.5) == 1800, "the moment is not slept over"
    assert world.orders == 1
    first = world.pair
    await world.look(hours=0.5)
    assert world.orders == 2
    assert world.pair[0] != first[0]
    assert world.pair[1] == first[1]


async def test_a_new_name_is_ordered_at_once_and_one_less_is_not(world):
    await world.look()
    world.names = (*NAMES, "autoconfig.test")
    await world.look()
    assert read_held(world.folder / "certificate.pem").names == frozenset(world.names)
    world.names = NAMES
    await world.look()
    assert world.orders == 2


async def test_a_failure_leaves_the_pair_and_is_tried_later_and_later(world):
    await world.look()
    before = world.pair
    world.authority.answers["/order"] = problem("serverInternal", "we are down", 500)
    assert await world.look(hours=60 * 24) == 3600
    failed = read_failure(world.folder)
    assert failed.in_row_count == 1
    assert failed.again_at == world.clock.time + timedelta(hours=1)
    assert "we are down" in failed.reason
    tried = world.orders
    assert await world.look(hours=0.9) == pytest.approx(360)
    assert world.orders == tried, "not before the time"
    waits = []
    for _ in range(6):
        world.clock.time = read_failure(world.folder).again_at
        await world.look()
        waits.append((read_failure(world.folder).again_at - world.clock.time) / timedelta(hours=1))
    assert waits == [2, 4, 8, 16, 24, 24]
    assert world.pair == before
    del world.authority.answers["/order"]
    await world.look(hours=24)
    assert world.pair[0] != before[0]
    assert read_failure(world.folder) is None


async def test_an_authority_that_wants_a_longer_wait_gets_it(world):
    limited = problem("rateLimited", "too many", 429).octets
    world.authority.answers["/order"] = WebResponse(429, {"retry-after": "172800"}, limited)
    await world.look()
    assert read_failure(world.folder).again_at == world.clock.time + timedelta(days=2)


async def test_a_restart_does_not_ask_again_but_other_settings_do(world):
    world.authority.answers["/order"] = problem("serverInternal")
    await world.look()
    world.ordering = world.made()
    await world.look()
    assert world.orders == 1
    world.ordering = world.made(mark="other settings")
    await world.look()
    assert world.orders == 2
    assert read_failure(world.folder).in_row_count == 1
    world.names = ("mail.test",)
    await world.look()
    assert world.orders == 3


async def test_a_command_orders_whatever_is_due_and_tells_its_failure(world):
    await world.ordering.order()
    await world.ordering.order()
    assert world.orders == 2
    world.authority.is_down = True
    with pytest.raises(AcmeFailed, match="does not answer in time"):
        await world.ordering.order()


async def test_one_process_orders_at_a_time(world):
    world.folder.mkdir(parents=True)
    with (world.folder / ".order.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(AcmeFailed, match="Another process"):
            await world.ordering.order()
        assert await world.look() == LOOK_MIN_S
    assert world.orders == 0
    assert read_failure(world.folder) is None
    await world.ordering.order()


def spoil_key(authority):
    authority.key_signed = ec.generate_private_key(ec.SECP256R1()).public_key()


def spoil_names(authority):
    authority.names_signed = ["mail.test"]


def spoil_life(authority):
    authority.now = NOW - 2 * LIFE


def spoil_form(authority):
    authority.answers["/certificate/1"] = WebResponse(200, {}, b"<html>")


@pytest.mark.parametrize("spoil", [spoil_key, spoil_names, spoil_life, spoil_form])
async def test_what_could_not_serve_takes_no_place(world, spoil):
    world.self_sign()
    before = world.pair
    spoil(world.authority)
    with pytest.raises(AcmeFailed):
        await world.ordering.order()
    assert world.pair == before
    assert read_failure(world.folder) is not None


async def test_a_key_that_is_gone_is_made_anew(world):
    await world.ordering.order()
    first = world.pair[1]
    (world.folder / "key.pem").unlink()
    world.authority.answers["/order"] = problem("serverInternal")
    with pytest.raises(AcmeFailed):
        await world.ordering.order()
    assert not (world.folder / "key.pem").exists(), "no new key beside the old certificate"
    del world.authority.answers["/order"]
    await world.ordering.order()
    certificate, key = world.pair
    assert key != first
    public = serialization.load_pem_private_key(key, None).public_key()
    assert x509.load_pem_x509_certificate(certificate).public_key() == public
    assert stat.S_IMODE((world.folder / "key.pem").stat().st_mode) == 0o600


async def test_an_rsa_key_that_was_put_there_is_kept(world):
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    world.folder.mkdir(parents=True)
    (world.folder / "key.pem").write_bytes(pem)
    await world.ordering.order()
    assert world.pair[1] == pem


async def test_a_damaged_account_key_is_told_and_does_not_end_the_task(world):
    world.folder.mkdir(parents=True)
    (world.folder / "account-key.pem").write_text("damaged")
    with pytest.raises(BadSettings):
        await world.ordering.order()
    await world.look()
    assert "account-key.pem" in read_failure(world.folder).reason


async def test_a_bug_does_not_end_the_task(world):
    world.authority.at_order = lambda payload: 1 / 0
    assert await world.look() == LOOK_MAX_S


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"count": "x"}', json.dumps({"count": 1, "again_at": "soon"})])
def test_a_damaged_note_of_a_failure_is_none(tmp_path, note):
    (tmp_path / "failure.json").write_text(note)
    assert read_failure(tmp_path) is None


def test_at_start_a_pair_that_does_not_fit_gives_way_to_a_self_signed_one(tmp_path):
    folder = tmp_path / "tls" / "acme"
    make_self_signed(folder / "certificate.pem", folder / "other.pem", "mail.test")
    make_self_signed(folder / "more.pem", folder / "key.pem", "mail.test")
    open_certificates("", "", tmp_path, "mail.test", is_ordered=True)


def test_at_start_an_expired_pair_is_kept(tmp_path):
    folder = tmp_path / "tls" / "acme"
    make_self_signed(folder / "certificate.pem", folder / "key.pem", "mail.test", NOW - timedelta(days=3000))
    before = (folder / "certificate.pem").read_bytes()
    open_certificates("", "", tmp_path, "mail.test", is_ordered=True)
    assert (folder / "certificate.pem").read_bytes() == before


async def test_the_task_sleeps_between_its_looks(world, monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 3:
            raise asyncio.CancelledError

    async def look():
        return 5.0

    world.ordering._look = look
    monkeypatch.setattr("mailstead.net.acme.ordering.asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await world.ordering.run()
    assert slept == [5.0, 5.0, 5.0]
