"""The link of the first run: who opens it administers the server, and nobody after him."""

import asyncio
from datetime import timedelta

import pytest

from mailstead.config.settings import Limits, Server, Settings, Store
from mailstead.model.address import Address
from mailstead.model.envelope import Peer
from mailstead.model.errors import AuthenticationFailed, BadSettings, PolicyRefused
from mailstead.model.people import Listing
from mailstead.model.secret import Secret
from mailstead.ports.clock import SystemClock
from mailstead.wiring.house import ADMINISTRATOR, open_house

ME, PASSWORD = Address.parse("me@example.test"), Secret("pw-never-in-a-log")
PEER = Peer("127.0.0.1", 1, tls_version="TLSv1.3")


class Clock(SystemClock):
    later = timedelta()

    def now(self):
        return super().now() + self.later


@pytest.fixture
async def house(tmp_path):
    settings = Settings(
        server=Server(hostname="mail.example.test", data_dir=tmp_path / "data"),
        store=Store(master_key=Secret("00" * 32)),
        limits=Limits(password_hash_iterations=1, password_hash_memory_mib=7),
    )
    async with open_house(settings, Clock()) as house:
        yield house


async def administrators(house):
    return [user.address for user in (await house.users.list(ADMINISTRATOR, Listing())).items if user.is_admin]


async def test_who_opens_the_link_has_domain_mailbox_and_all_rights(house):
    assert await house.first_run.is_needed()
    token = house.first_run.token().reveal()
    await house.first_run.begin(token, ME, "mail", PASSWORD, PEER)
    actor = (await house.web_sessions.start(str(ME), PASSWORD, PEER, "")).actor
    assert actor.is_admin
    assert actor.account_id is not None
    assert await administrators(house) == ["me@example.test"]
    assert not await house.first_run.is_needed()


async def test_the_link_is_good_once(house):
    first, second = house.first_run.token().reveal(), house.first_run.token().reveal()
    await house.first_run.begin(first, ME, "mail", PASSWORD, PEER)
    for token in (first, second):
        with pytest.raises(PolicyRefused, match="not good"):
            await house.first_run.begin(token, Address.parse("eve@example.test"), "mail", PASSWORD, PEER)
    assert await administrators(house) == ["me@example.test"]


async def test_of_two_at_once_one_becomes_it(house):
    token = house.first_run.token().reveal()
    people = [Address.parse(f"{name}@example.test") for name in ("one", "two", "three")]
    done = await asyncio.gather(
        *(house.first_run.begin(token, each, "mail", PASSWORD, PEER) for each in people), return_exceptions=True
    )
    assert [type(each) for each in done if each is not None] == [PolicyRefused, PolicyRefused]
    assert len(await administrators(house)) == 1


@pytest.mark.parametrize("wrong", ["", "x", "é", "AAAA", "!" * 5000, "A" * 48])
async def test_what_is_no_link_is_refused(house, wrong):
    with pytest.raises(PolicyRefused, match="not good"):
        await house.first_run.check(wrong)


async def test_a_changed_link_and_an_old_one_are_refused(house):
    token = house.first_run.token().reveal()
    other = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    with pytest.raises(PolicyRefused, match="not good"):
        await house.first_run.check(other)
    house.clock.later = timedelta(days=2)
    await house.first_run.check(token)
    house.clock.later = timedelta(days=4)
    with pytest.raises(PolicyRefused, match="not good"):
        await house.first_run.check(token)


async def test_after_a_refused_password_it_goes_on(house):
    token = house.first_run.token().reveal()
    with pytest.raises(PolicyRefused):
        await house.first_run.begin(token, ME, "mail", Secret(""), PEER)
    with pytest.raises(BadSettings):
        await house.first_run.begin(token, Address.parse("me@other.test"), "nonsense", PASSWORD, PEER)
    assert await administrators(house) == []
    await house.first_run.begin(token, ME, "mail", PASSWORD, PEER)
    assert await administrators(house) == ["me@example.test"]


async def test_a_mailbox_that_is_there_is_shown_to_be_ones_own(house):
    await house.domains.add(ADMINISTRATOR, "example.test")
    await house.accounts.create(ADMINISTRATOR, ME, PASSWORD)
    token = house.first_run.token().reveal()
    with pytest.raises(AuthenticationFailed):
        await house.first_run.begin(token, ME, "mail", Secret("another one"), PEER)
    assert await administrators(house) == []
    await house.first_run.begin(token, ME, "mail", PASSWORD, PEER)
    assert await administrators(house) == ["me@example.test"]


async def test_a_chatmail_domain_has_an_administrator_without_mailbox(house):
    await house.first_run.begin(house.first_run.token().reveal(), ME, "chatmail", PASSWORD, PEER)
    actor = (await house.web_sessions.start(str(ME), PASSWORD, PEER, "")).actor
    assert actor.is_admin
    assert actor.account_id is None
    assert await house.accounts.list(ADMINISTRATOR) == []
