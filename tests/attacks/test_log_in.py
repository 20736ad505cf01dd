"""Coming in, through every door at once: guesses counted together, nothing told by time, second factors not gone round."""

import asyncio
import dataclasses
import statistics
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pyotp
import pytest

from attacks.home import DOMAIN, PASSWORD, open_home
from attacks.test_over_protocols import guess
from mailstead.config.settings import Settings
from mailstead.model.address import Address
from mailstead.model.envelope import Peer
from mailstead.model.errors import AuthenticationFailed, TooManyFailures
from mailstead.model.secret import Secret
from mailstead.policy.failures import FREE_COUNT, SLOWED_MAX_S
from mailstead.usecases import passwords as passwords_module
from mailstead.usecases.factor_settings import MailPrograms
from mailstead.usecases.passwords import HashCost
from mailstead.wiring.house import ADMINISTRATOR, open_house

ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"
RIGHT, WRONG = Secret(PASSWORD), Secret("pw-never-in-a-log-wrong")
WEB = Peer("192.0.2.1", 4711, tls_version="TLSv1.3")


class HandClock:
    """Stands still until it is moved."""

    def __init__(self):
        self.passed_s = 0.0

    def now(self):
        return datetime.fromtimestamp(1_790_000_000 + self.passed_s, UTC)

    def monotonic_s(self):
        return 1000.0 + self.passed_s


@pytest.fixture
async def processes(tmp_path):
    """Three houses over one folder, as three worker processes of a host have them, and their clock."""
    clock = HandClock()
    settings = Settings()
    settings = dataclasses.replace(
        settings,
        server=dataclasses.replace(settings.server, data_dir=tmp_path / "data", hostname="mx.example.test"),
        store=dataclasses.replace(settings.store, master_key=Secret("42" * 32)),
    )
    async with AsyncExitStack() as opened:
        houses = [await opened.enter_async_context(open_house(settings, clock)) for _ in range(3)]
        await houses[0].domains.add(ADMINISTRATOR, DOMAIN)
        for name in (ALICE, BOB):
            await houses[0].accounts.create(ADMINISTRATOR, Address.parse(name), RIGHT)
        yield houses, clock


async def test_attack_061_what_one_process_counts_the_others_refuse_over_protocols_in_turn(processes):
    houses, clock = processes
    outcomes = []
    for number in range(12):
        house, service = houses[number % 3], ("imap", "smtp", "pop3", "sieve", "dav", "api")[number % 6]
        with pytest.raises((AuthenticationFailed, TooManyFailures)) as refused:
            await house.accounts.log_in(ALICE, WRONG, WEB, service)
        outcomes.append(type(refused.value))
    assert outcomes == [AuthenticationFailed] * 5 + [TooManyFailures] * 7
    for house in houses:
        with pytest.raises(TooManyFailures):  # the right one, too, while it is to wait
            await house.accounts.log_in(ALICE, RIGHT, WEB, "imap")
    clock.passed_s += 2
    await houses[2].accounts.log_in(ALICE, RIGHT, WEB, "imap")
    await houses[0].accounts.log_in(ALICE, RIGHT, WEB, "imap")  # forgotten in all of them


async def test_attack_061_a_thousand_accounts_from_one_address_over_all_processes(processes):
    houses, clock = processes
    guessed = 0
    for number in range(1000):
        failures = houses[number % 3].failures
        clock.passed_s += 0.1
        if not failures.judge("192.0.2.1", f"user{number}@{DOMAIN}", clock.monotonic_s()).refused_s:
            failures.failed("192.0.2.1", f"user{number}@{DOMAIN}", clock.monotonic_s())
            guessed += 1
    assert guessed <= FREE_COUNT + 7


async def test_attack_061_one_account_from_a_thousand_addresses_over_all_processes(processes):
    houses, clock = processes
    houses[0].failures.succeeded("192.0.2.1", ALICE, clock.monotonic_s())
    for number in range(1000):
        address = f"198.51.{number // 250}.{number % 250}"
        houses[number % 3].failures.failed(address, ALICE, clock.monotonic_s())
    for house in houses:
        assert house.failures.judge("203.0.113.9", ALICE, clock.monotonic_s()).slowed_s == SLOWED_MAX_S
        owner = house.failures.judge("192.0.2.1", ALICE, clock.monotonic_s())
        assert (owner.slowed_s, owner.refused_s) == (0, 0)


async def test_attack_095_codes_tried_in_several_processes_at_once_are_counted_together(processes):
    houses, clock = processes
    begun = await houses[0].web_sessions.start(ALICE, RIGHT, WEB, "")
    totp = await turn_on(houses[0], begun.actor, clock)
    asked = [await house.web_sessions.start(ALICE, RIGHT, WEB, "") for house in houses]
    looked_at = 0
    for number in range(30):
        which = number % 3
        try:
            await houses[which].web_sessions.finish(asked[which].token, Secret(f"{number:06}"), WEB, "")
        except AuthenticationFailed:
            looked_at += 1
        except TooManyFailures:
            pass
    assert looked_at == 5
    with pytest.raises(TooManyFailures):
        await houses[1].web_sessions.finish(asked[1].token, code(totp, clock), WEB, "")
    clock.passed_s += 30
    assert await houses[1].web_sessions.finish(asked[1].token, code(totp, clock), WEB, "")


async def test_attack_095_a_code_used_in_one_process_is_used_in_all(processes):
    houses, clock = processes
    begun = await houses[0].web_sessions.start(ALICE, RIGHT, WEB, "")
    totp = await turn_on(houses[0], begun.actor, clock)
    asked = [await house.web_sessions.start(ALICE, RIGHT, WEB, "") for house in houses]
    outcomes = await asyncio.gather(
        *(
            house.web_sessions.finish(one.token, code(totp, clock), WEB, "")
            for house, one in zip(houses, asked, strict=True)
        ),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in outcomes) == ["AuthenticationFailed"] * 2 + ["Begun"]


async def test_attack_064_a_session_ended_in_one_process_is_ended_in_all(processes):
    houses, _ = processes
    begun = await houses[0].web_sessions.start(ALICE, RIGHT, WEB, "")
    assert (await houses[1].web_sessions.act(begun.token, WEB)).actor.account_id == begun.actor.account_id
    ended = asyncio.Event()
    with houses[2].accounts.watch_revocations(begun.actor, ended.set):
        await houses[1].web_sessions.end(begun.token)
        async with asyncio.timeout(20):
            await ended.wait()
    with pytest.raises(AuthenticationFailed):
        await houses[0].web_sessions.act(begun.token, WEB)


# nothing is told by time


async def nobodies(house):
    """Names that are refused for different reasons: wrong password, nobody's, disabled, an alias; a second factor."""
    await house.accounts.set_enabled(ADMINISTRATOR, Address.parse(BOB), is_enabled=False)
    await house.aliases.create(ADMINISTRATOR, Address.parse(f"alias@{DOMAIN}"), [Address.parse(ALICE)])
    carol = await house.accounts.create(ADMINISTRATOR, Address.parse(f"carol@{DOMAIN}"), RIGHT)
    await turn_on(house, (await house.web_sessions.start(str(carol.address), RIGHT, WEB, "")).actor, house.clock)
    return {
        "wrong": (ALICE, WRONG),
        "unknown": (f"nobody@{DOMAIN}", WRONG),
        "disabled": (BOB, RIGHT),
        "alias": (f"alias@{DOMAIN}", RIGHT),
        "elsewhere": ("x@elsewhere.test", WRONG),
        "factor": (str(carol.address), RIGHT),
    }


async def refused(house, name, secret, number):
    peer = Peer(f"2001:db8:{number:x}::1", 1, tls_version="TLSv1.3")  # none has failed before
    with pytest.raises(AuthenticationFailed):
        await house.accounts.log_in(name, secret, peer, "imap")


async def test_attack_062_all_that_are_refused_cost_the_same_hashes(processes, monkeypatch):
    (house, *_), _ = processes
    cases = await nobodies(house)
    work, fits = [], passwords_module._fits
    monkeypatch.setattr(
        passwords_module, "_fits", lambda octets, phc: work.append(passwords_module.cost_of(phc)) or fits(octets, phc)
    )
    costs = {}
    for number, (case, (name, secret)) in enumerate(cases.items()):
        work.clear()
        await refused(house, name, secret, number)
        costs[case] = tuple(work)
    assert set(costs.values()) == {(HashCost(iterations=2, memory_kib=19 * 1024),)}


async def test_attack_062_times_of_all_that_are_refused_lie_in_each_others_noise(processes):
    """Medians of interleaved log-ins; a difference that tells something would be a whole hash, half or twice the time.

    Ten thousand of each, and the statistics of them: ``python -m bench --only log-in``.
    """
    (house, *_), clock = processes
    cases = await nobodies(house)
    times = {case: [] for case in cases}
    for number in range(15):
        clock.passed_s += 700  # no account is slow for having been guessed at
        for offset, (case, (name, secret)) in enumerate(cases.items()):
            started = time.perf_counter()
            await refused(house, name, secret, 100 * number + offset)
            times[case].append(time.perf_counter() - started)
    medians = {case: statistics.median(values) for case, values in times.items()}
    assert max(medians.values()) < 1.6 * min(medians.values()), medians


# a second factor is not gone round


def code(totp, clock):
    return Secret(totp.at(int(clock.now().timestamp())))


async def turn_on(house, actor, clock):
    """Give what makes the codes."""
    made = await house.factor_settings.enrol_totp(actor, RIGHT)
    totp = pyotp.TOTP(made.secret.reveal())
    await house.factor_settings.confirm_totp(actor, made.factor_id, code(totp, clock), MailPrograms.NONE)
    if isinstance(clock, HandClock):
        clock.passed_s += 30
    return totp


async def test_attack_095_no_protocol_lets_in_past_the_second_factor(tmp_path):
    async with open_home(tmp_path / "data", limits={"login_failures_max": 1000}) as home:
        house = home.house
        imap, idler = await home.imap("alice"), await home.imap("alice", select=True)
        await idler.send(b"i IDLE\r\n")
        assert (await idler.line()).startswith("+ ")
        begun = await house.web_sessions.start(ALICE, RIGHT, WEB, "")
        made = await house.accounts.add_app_password(begun.actor, Address.parse(ALICE), "phone")
        await turn_on(house, begun.actor, house.clock)
        async with asyncio.timeout(20):  # what was open by the main password ends
            assert b"* BYE " in await imap.rest()
            assert b"* BYE " in await idler.rest()
        for protocol in ("imap", "pop3", "submission"):
            right, told = await guess(home, protocol, password=PASSWORD)
            _, wrong = await guess(home, protocol, name="nobody")
            assert not right
            assert told.split(" ", 1)[1] == wrong.split(" ", 1)[1]  # nobody learns that the password was right
            assert (await guess(home, protocol, password=made.secret.reveal()))[0]
