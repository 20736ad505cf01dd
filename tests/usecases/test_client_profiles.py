"""Devices set up in one go: a password of their own, a link that works once, codes for others."""

import asyncio
import json
import plistlib
from datetime import UTC, datetime, timedelta

import pytest

from mailstead.config.settings import Server, Settings, Store
from mailstead.model.address import Address
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import AuthenticationFailed, NoSuchAccount, NotAllowed, PolicyRefused
from mailstead.model.secret import Secret
from mailstead.policy.client_setup import Offer
from mailstead.usecases.client_profiles import LIFE, LIFE_MAX, PATH, ClientProfiles
from mailstead.usecases.publications import HouseOffers
from mailstead.wiring.house import ADMINISTRATOR, open_house

PASSWORD = Secret("pw-never-in-a-log")
ALICE, BOB = Address("alice", "example.test"), Address("bob", "example.test")
PEER = Peer("192.0.2.7", 4711)
BASE = "https://mx.example.test"
OFFERS = HouseOffers(
    "mx.example.test",
    (Offer("imap", 993, is_tls=True), Offer("submission", 465, is_tls=True), Offer("caldav", 443, is_tls=True)),
)


class HandClock:
    def __init__(self):
        self.present = datetime.now(UTC)

    def now(self):
        return self.present

    def monotonic_s(self):
        return self.present.timestamp()


@pytest.fixture
async def house(tmp_path):
    settings = Settings(
        server=Server(hostname="mx.example.test", data_dir=tmp_path / "data"),
        store=Store(master_key=Secret("42" * 32), disk_reserve_octets=0),
    )
    async with open_house(settings, HandClock()) as house:
        await house.domains.add(ADMINISTRATOR, "example.test")
        for address in (ALICE, BOB):
            await house.accounts.create(ADMINISTRATOR, address, PASSWORD)
        yield house


@pytest.fixture
def profiles(house):
    async def sign(octets):
        return b"signed:" + octets

    return ClientProfiles(house.storage, house.accounts, house.clock, OFFERS, sign, base_url=BASE)


@pytest.fixture
async def alice(house):
    return await house.accounts.log_in(str(ALICE), PASSWORD, PEER, "imap")


def token_of(prepared):
    link = prepared.link.reveal()
    assert link.startswith(BASE + PATH)
    return link.removeprefix(BASE + PATH)


def password_in(profile):
    assert profile.octets.startswith(b"signed:")
    mail, *_ = plistlib.loads(profile.octets.removeprefix(b"signed:"))["PayloadContent"]
    return mail.get("IncomingPassword")


async def test_a_device_gets_a_password_of_its_own_that_works(house, profiles, alice):
    prepared = await profiles.prepare(alice, ALICE, "Phone", name="Alice")
    made = prepared.app_password
    assert (made.app_password.label, made.app_password.scopes) == ("Phone", frozenset({"imap", "smtp", "dav"}))
    for service in ("imap", "smtp", "dav"):
        assert await house.accounts.log_in(str(ALICE), made.secret, PEER, service)
    with pytest.raises(AuthenticationFailed):
        await house.accounts.log_in(str(ALICE), made.secret, PEER, "api")
    profile = await profiles.take(token_of(prepared))
    assert password_in(profile) == made.secret.reveal()
    assert (profile.is_signed, profile.file_name) == (True, "example.test.mobileconfig")
    assert profile.media_type == "application/x-apple-aspen-config"


async def test_the_codes_hold_the_same(profiles, alice):
    prepared = await profiles.prepare(alice, ALICE, "Phone")
    codes = {code.kind: code.text.reveal() for code in prepared.codes}
    assert list(codes) == ["apple", "delta chat", "thunderbird", "imap", "mailto"]
    secret = prepared.app_password.secret.reveal()
    assert json.loads(codes["thunderbird"])[2][-1] == secret
    assert codes["delta chat"].startswith("dclogin:alice@example.test?p=")
    assert codes["apple"] == prepared.link.reveal()
    for kind in ("apple", "imap", "mailto"):
        assert secret not in codes[kind]
    assert secret not in repr(prepared)
    assert token_of(prepared) not in repr(prepared)


async def test_a_link_works_once(profiles, alice):
    token = token_of(await profiles.prepare(alice, ALICE, "Phone"))
    for _ in range(3):
        found = await profiles.look(token)
        assert (found.address, found.has_password) == (ALICE, True)
    results = await asyncio.gather(*(profiles.take(token) for _ in range(5)), return_exceptions=True)
    assert [type(each).__name__ for each in results].count("ClientProfile") == 1
    assert all(isinstance(each, PolicyRefused) for each in results if not hasattr(each, "octets"))
    for again in (profiles.look, profiles.take):
        with pytest.raises(PolicyRefused, match="used already"):
            await again(token)


@pytest.mark.parametrize("asked", [None, timedelta(hours=1), LIFE_MAX + timedelta(days=30)])
async def test_a_link_runs_out(house, profiles, alice, asked):
    prepared = await profiles.prepare(alice, ALICE, "Phone", **({} if asked is None else {"life": asked}))
    token, life = token_of(prepared), min(asked or LIFE, LIFE_MAX)
    house.clock.present += life - timedelta(seconds=2)
    assert await profiles.look(token)
    house.clock.present += timedelta(seconds=4)
    with pytest.raises(PolicyRefused):
        await profiles.take(token)


@pytest.mark.parametrize("bad", ["", "x", "ü", "a" * 5000, "../../x", "%00"])
async def test_what_is_no_link_is_refused_in_the_same_words(profiles, bad):
    with pytest.raises(PolicyRefused, match="make a new one"):
        await profiles.look(bad)


async def test_links_of_an_account_that_is_gone_or_switched_off_are_no_good(house, profiles, alice):
    token = token_of(await profiles.prepare(alice, ALICE, "Phone"))
    await house.accounts.set_enabled(ADMINISTRATOR, ALICE, is_enabled=False)
    with pytest.raises(PolicyRefused):
        await profiles.take(token)


async def test_attack_073_what_is_kept_of_a_link_opens_nothing(house, profiles, alice):
    prepared = await profiles.prepare(alice, ALICE, "Phone")
    kept = await house.storage.memory.recall_all("device links", house.clock.now())
    [(name, octets)] = kept.items()
    for secret in (prepared.app_password.secret.reveal(), token_of(prepared)):
        assert secret not in name
        assert secret.encode() not in octets
    with pytest.raises(PolicyRefused):
        await profiles.take(name)
    await profiles.take(token_of(prepared))
    assert await house.storage.memory.recall_all("device links", house.clock.now()) == {}


async def test_attack_092_nobody_sets_up_a_device_for_others(house, profiles, alice):
    for verb in (profiles.apple(alice, BOB), profiles.codes(alice, BOB), profiles.prepare(alice, BOB, "Phone")):
        with pytest.raises((NotAllowed, NoSuchAccount)):
            await verb
    assert await house.accounts.list_app_passwords(ADMINISTRATOR, BOB) == ()
    nobody = Actor(None, None)
    with pytest.raises((NotAllowed, NoSuchAccount)):
        await profiles.apple(nobody, ALICE)


async def test_who_has_logged_in_gets_it_at_once(profiles, alice):
    assert password_in(await profiles.apple(alice, ALICE)) is None
    assert (
        password_in(await profiles.apple(alice, ALICE, secret=Secret("pw-never-in-a-log x"))) == "pw-never-in-a-log x"
    )
    kinds = [code.kind for code in await profiles.codes(alice, ALICE)]
    assert kinds == ["thunderbird", "imap", "mailto"]


async def test_without_certificate_it_is_not_signed(house, alice):
    async def sign(_):
        return None

    profiles = ClientProfiles(house.storage, house.accounts, house.clock, OFFERS, sign, base_url=BASE)
    profile = await profiles.apple(alice, ALICE)
    assert not profile.is_signed
    assert profile.octets.startswith(b"<?xml")


async def test_where_nothing_is_offered_no_password_is_made_for_nothing(house, alice):
    async def sign(octets):
        return octets

    smtp = HouseOffers("mx.example.test", (Offer("submission", 465, is_tls=True),))
    profiles = ClientProfiles(house.storage, house.accounts, house.clock, smtp, sign, base_url=BASE)
    for verb in (profiles.prepare(alice, ALICE, "Phone"), profiles.apple(alice, ALICE)):
        with pytest.raises(PolicyRefused, match="neither IMAP"):
            await verb
    assert await house.accounts.list_app_passwords(alice, ALICE) == ()
