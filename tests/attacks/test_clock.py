"""Row 77: the wall clock jumps by a year, both ways, under a whole serving house. Nothing but dates may notice."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest

from attacks.home import DOMAIN, PASSWORD, open_home, plain
from mailstead.ports.clock import SystemClock
from mailstead.wiring import house

YEAR = timedelta(days=365)


class JumpingClock(SystemClock):
    """`jump` moves the day, as a wrong NTP server does; seconds go on as they were."""

    moved = timedelta()

    def now(self):
        return datetime.now(UTC) + self.moved


@pytest.fixture
async def home(tmp_path, monkeypatch):
    clocks = []

    def made():
        clocks.append(JumpingClock())
        return clocks[-1]

    monkeypatch.setattr(house, "SystemClock", made)
    async with open_home(tmp_path / "data") as opened:
        assert len(clocks) == 1, "the house has one clock"

        def jump(by):
            clocks[0].moved += by

        opened.jump = jump
        yield opened


@pytest.mark.parametrize("by", [YEAR, -YEAR], ids=["forward", "back"])
async def test_attack_077_open_conversations_live_on(home, by):
    idler, mx = await home.imap("alice", select=True), await home.mx()
    pop, submission = await home.pop3("bob"), await home.submission("alice")
    await idler.send(b"i IDLE\r\n")
    assert (await idler.line()).startswith("+ ")
    home.jump(by)
    assert (await home.deliver(mx, "alice", b"Subject: jumped\r\n\r\nx")).startswith("250 2.0.0")
    assert (await idler.line()) == "* 1 EXISTS"
    assert (await pop.pop3("STAT")).startswith("+OK 0 ")
    assert (await submission.smtp("NOOP"))[0].startswith("250")
    home.jump(-by)
    assert (await home.deliver(mx, "alice", b"Subject: back\r\n\r\nx")).startswith("250 2.0.0")
    lines = [await idler.line()]
    while lines[-1] != "* 2 EXISTS":
        lines.append(await idler.line())
    await home.imap("alice")  # log-in too


@pytest.mark.parametrize("by", [YEAR, -YEAR], ids=["forward", "back"])
async def test_attack_077_uids_modseqs_and_uidvalidity_only_ascend(home, by):
    client = await home.imap("alice", select=True)
    seen = []
    for step in (timedelta(), by, -2 * by, by):
        home.jump(step)
        answer = await client.append(b"Subject: x\r\n\r\nx\r\n")
        uidvalidity, uid = map(int, re.search(r"APPENDUID (\d+) (\d+)", answer).groups())
        status = (await client.imap("STATUS INBOX (HIGHESTMODSEQ UIDVALIDITY)"))[-2]
        seen.append((uid, int(re.search(r"HIGHESTMODSEQ (\d+)", status)[1]), uidvalidity))
        assert str(uidvalidity) in status
    assert [uid for uid, _, _ in seen] == [1, 2, 3, 4]
    assert [modseq for _, modseq, _ in seen] == sorted({modseq for _, modseq, _ in seen})
    assert len({uidvalidity for *_, uidvalidity in seen}) == 1
    # A mailbox deleted and made again while the clock is back must not get an old UIDVALIDITY (RFC 9051 §2.3.1.1).
    values = []
    for step in (timedelta(), -2 * YEAR, 3 * YEAR):
        home.jump(step)
        assert "OK" in (await client.imap("CREATE Again"))[-1]
        values.append(int(re.search(r"UIDVALIDITY (\d+)", (await client.imap("STATUS Again (UIDVALIDITY)"))[0])[1]))
        assert "OK" in (await client.imap("DELETE Again"))[-1]
    assert values == sorted(set(values))


async def test_attack_077_a_jump_opens_no_account_to_guessing(tmp_path, monkeypatch):
    """Failures are remembered by a clock that only goes forward, so a jump does not make them forgotten."""
    clock = JumpingClock()
    monkeypatch.setattr(house, "SystemClock", lambda: clock)
    async with open_home(tmp_path / "data", limits={"login_failures_max": 2}) as home:
        for by in (YEAR, -2 * YEAR, YEAR):
            for _ in range(2):
                client = await home.dial("imaps")
                await client.line()
                await client.imap(f"LOGIN alice@{DOMAIN} wrong")
            clock.moved += by
        seconds = clock.monotonic_s()
        clock.monotonic_s = lambda: seconds  # or a slow machine would outlive the refusal
        client = await home.dial("submissions")
        await client.smtp_reply()
        await client.smtp("EHLO client.test")
        async with asyncio.timeout(20):
            assert (await client.smtp(plain("alice", PASSWORD)))[0].startswith("421 4.7.0")


async def test_attack_077_dates_tell_the_clock_and_search_stays_sound(home):
    client, mx = await home.imap("alice", select=True), await home.mx()
    home.jump(-YEAR)
    assert (await home.deliver(mx, "alice", b"Subject: x\r\n\r\nx")).startswith("250")
    year = (datetime.now(UTC) - YEAR).year
    assert "* 1 EXISTS" in await client.imap("NOOP")
    lines = await client.imap("FETCH 1 INTERNALDATE")
    assert any(f"-{year} " in line for line in lines), lines
    home.jump(2 * YEAR)
    assert any(line == "* SEARCH 1" for line in await client.imap("SEARCH OLDER 86400"))
    assert any(line.strip() == "* SEARCH" for line in await client.imap("SEARCH YOUNGER 86400"))
