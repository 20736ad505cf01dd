"""Rows 44, 45, 48, 61, 64 and 72 through all protocols in turn, on the ports of a whole house."""

import asyncio
import time
from datetime import UTC, datetime

import pytest

from attacks.home import DOMAIN, PASSWORD, open_home, plain
from mailstead.model.address import Address
from mailstead.model.secret import Secret
from mailstead.wiring.house import ADMINISTRATOR


def message(number, octets=2000):
    return b"Subject: %d\r\n\r\n" % number + (b"%070d\r\n" % number) * (octets // 72)


async def test_attack_044_pipelined_fetches_do_not_hold_up_the_others(home):
    """One client asks for everything, over and over; the others wait no longer than for one bounded step of it."""
    filler = await home.imap("alice", select=True)
    for number in range(20):
        assert "OK" in await filler.append(message(number, 50_000))
    others = [await home.imap("bob", select=True) for _ in range(10)]

    async def round_of_others():
        begin = time.perf_counter()
        for replies in await asyncio.gather(*(client.imap("NOOP") for client in others)):
            assert "OK" in replies[-1]
        return time.perf_counter() - begin

    alone = max([await round_of_others() for _ in range(5)])
    hostile = await home.imap("alice", select=True)
    await hostile.send(b"".join(b"h%d FETCH 1:* (BODY.PEEK[] BODY.PEEK[] BODY.PEEK[])\r\n" % n for n in range(500)))
    taken = 0

    async def take():
        nonlocal taken
        while data := await hostile.reader.read(1 << 20):
            taken += len(data)

    taking = asyncio.create_task(take())
    while taken < 5_000_000:
        await asyncio.sleep(0)
    beside = max([await round_of_others() for _ in range(5)])
    assert not taking.done(), "the flood was over before the others were measured"
    taking.cancel()
    assert beside < max(20 * alone, 2.0), (alone, beside)


async def test_attack_044_a_pop3_client_that_pipelines_retr_is_paced_too(home):
    filler = await home.imap("alice")
    for number in range(5):
        assert "OK" in await filler.append(message(number, 50_000))
    hostile = await home.pop3("alice")
    await hostile.send(b"RETR 1\r\nRETR 5\r\nTOP 2 0\r\n" * 2000)  # and reads nothing
    other = await home.pop3("bob")
    async with asyncio.timeout(5):
        for _ in range(50):
            assert (await other.pop3("NOOP")).startswith("+OK")
    assert "OK" in (await filler.imap("NOOP"))[-1]


async def test_attack_045_searches_of_one_account_leave_the_others_quick(home):
    filler = await home.imap("alice")
    for number in range(200):
        assert "OK" in await filler.append(message(number, 5000))
    words = " ".join(f"OR BODY word{n}" for n in range(40)) + " BODY last"
    hostile = [await home.imap("alice", select=True) for _ in range(10)]
    searches = [asyncio.create_task(client.imap(f"SEARCH {words}")) for client in hostile]
    other = await home.imap("bob", select=True)
    begin = time.perf_counter()
    for _ in range(20):
        assert "OK" in (await other.imap("NOOP"))[-1]
        assert "OK" in (await other.imap("SEARCH ALL"))[-1]
    assert time.perf_counter() - begin < 5
    for done in await asyncio.gather(*searches):
        assert any(mark in done[-1] for mark in (" OK ", " NO [LIMIT]", " NO [UNAVAILABLE]")), done[-1]


async def test_attack_048_sessions_of_one_account_are_counted_over_imap_and_pop3(tmp_path):
    async with open_home(tmp_path / "data", limits={"sessions_per_account_max": 5}) as home:
        idlers = [await home.imap("alice", select=True) for _ in range(5)]
        for client in idlers:
            await client.send(b"i IDLE\r\n")
            assert (await client.line()).startswith("+ ")
        one_more = await home.dial("imaps")
        await one_more.line()
        assert " NO [LIMIT]" in (await one_more.imap(f'LOGIN alice@{DOMAIN} "{PASSWORD}"'))[-1]
        pop = await home.dial("pop3s")
        await pop.line()
        await pop.pop3(f"USER alice@{DOMAIN}")
        assert (await pop.pop3(f"PASS {PASSWORD}")).startswith("-ERR [IN-USE]")
        await home.imap("bob")  # others are not touched
        await idlers[0].send(b"DONE\r\n")
        await idlers[0].imap_until("i")
        await idlers[0].imap("LOGOUT")
        await idlers[0].rest()
        await home.pop3("alice")


async def test_attack_048_connections_of_one_process_are_counted_over_all_ports(tmp_path):
    async with open_home(tmp_path / "data", limits={"connections_max": 8}) as home:
        names = ("mx", "imap", "pop3", "submission")
        held = [await home.dial(name) for name in names * 2]
        for client in held:
            assert await client.line()
        for name, word in (("mx", "421 "), ("imap", "* BYE "), ("pop3", "-ERR [SYS/TEMP]"), ("submission", "421 ")):
            refused = await home.dial(name)
            assert (await refused.line()).startswith(word)
            assert await refused.rest() == b""
        await held[0].smtp("QUIT")
        await held[0].rest()
        await held[0].close()
        async with asyncio.timeout(5):
            while not (await (await home.dial("mx")).line()).startswith("220 "):
                await asyncio.sleep(0)


async def test_attack_048_idle_and_done_ten_thousand_times(home):
    client = await home.imap("alice", select=True)
    other = await home.imap("bob", select=True)
    for _ in range(10):
        await client.send(b"i IDLE\r\nDONE\r\n" * 1000)
        for _ in range(1000):
            await client.imap_until("i")
        assert "OK" in (await other.imap("NOOP"))[-1]


class StandingClock:
    """So that no delay is over before the next guess, however busy the machine."""

    def now(self):
        return datetime(2026, 11, 3, 9, 0, tzinfo=UTC)

    def monotonic_s(self):
        return 1000.0


async def guess(home, protocol, name="alice", password="wrong"):
    """One log-in on a fresh connection; whether it was let in, and the answer."""
    if protocol == "imap":
        client = await home.dial("imaps")
        await client.line()
        answer = (await client.imap(f'LOGIN {name}@{DOMAIN} "{password}"'))[-1]
        right = " OK " in answer
    elif protocol == "pop3":
        client = await home.dial("pop3s")
        await client.line()
        await client.pop3(f"USER {name}@{DOMAIN}")
        answer = await client.pop3(f"PASS {password}")
        right = answer.startswith("+OK")
    else:
        client = await home.dial("submissions")
        await client.smtp_reply()
        await client.smtp("EHLO client.test")
        [answer] = await client.smtp(plain(name, password))
        right = answer.startswith("235")
    await client.close()
    return right, answer


async def test_attack_061_one_counter_over_imap_pop3_and_submission(tmp_path):
    """What is guessed at one port counts at the others; another account on another address is not touched."""
    async with open_home(tmp_path / "data", clock=StandingClock(), limits={"login_failures_max": 3}) as home:
        answers = [await guess(home, protocol) for protocol in ("imap", "pop3", "submission") * 2]
        assert not any(right for right, _ in answers)
        for protocol, word in (("imap", "[LIMIT]"), ("pop3", "[LOGIN-DELAY]"), ("submission", "421 4.7.0")):
            right, answer = await guess(home, protocol, password=PASSWORD)
            assert not right
            assert word in answer, answer


async def test_attack_061_a_success_ends_the_count_of_its_own_only(tmp_path):
    async with open_home(tmp_path / "data", limits={"login_failures_max": 4}) as home:
        for protocol in ("imap", "pop3"):
            await guess(home, protocol)
        assert (await guess(home, "imap", "bob", PASSWORD))[0]
        assert (await guess(home, "submission", "alice", PASSWORD))[0]


async def test_attack_064_a_new_password_ends_sessions_of_all_protocols(home):
    imap, idler = await home.imap("alice"), await home.imap("alice", select=True)
    pop, submission = await home.pop3("alice"), await home.submission("alice")
    untouched = await home.imap("bob")
    await idler.send(b"i IDLE\r\n")
    assert (await idler.line()).startswith("+ ")
    alice = Address("alice", DOMAIN)
    await home.house.accounts.set_password(ADMINISTRATOR, alice, Secret("pw-never-in-a-log-new"))
    async with asyncio.timeout(5):
        assert b"* BYE " in await imap.rest()
        assert b"* BYE " in await idler.rest()
        assert (await pop.rest()).startswith((b"-ERR", b""))
        assert (await submission.rest()).startswith(b"421 ")
    assert "OK" in (await untouched.imap("NOOP"))[-1]
    for protocol in ("imap", "pop3", "submission"):
        assert not (await guess(home, protocol, password=PASSWORD))[0]
        assert (await guess(home, protocol, password="pw-never-in-a-log-new"))[0]


async def test_attack_064_a_session_that_just_submits_is_ended_before_it_sends_again(home):
    submission = await home.submission("alice")
    await home.house.accounts.remove(ADMINISTRATOR, Address("alice", DOMAIN))
    async with asyncio.timeout(5):
        with pytest.raises((EOFError, ConnectionError)):
            while True:
                [reply] = await submission.smtp("MAIL FROM:<alice@example.test>")
                assert reply[:3] in {"250", "421", "503", "530", "535", "553"}  # 553: the name is nobody's any more


async def test_attack_072_a_hundred_appends_and_deliveries_at_once(tmp_path):
    """Each is 90 % of the quota; exactly one is kept, whichever door it came through."""
    async with open_home(tmp_path / "data", names=(), limits={"sessions_per_account_max": 100}) as home:
        alice = await home.account("alice", 100_000)
        octets = b"Subject: big\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"x" * 76 + b"\r\n") * 1150
        imap = [await home.imap("alice") for _ in range(50)]
        mx = [await home.mx() for _ in range(50)]
        answers = await asyncio.gather(
            *(client.append(octets) for client in imap), *(home.deliver(client, "alice", octets) for client in mx)
        )
        kept = [answer for answer in answers if "OK [APPENDUID" in answer or answer.startswith("250")]
        refused = [answer for answer in answers if "NO [OVERQUOTA]" in answer or answer[:3] in {"552", "452"}]
        assert (len(kept), len(refused)) == (1, 99)
        assert len(await home.stored(alice)) == 1
        assert home.house.staging.octets == 0
