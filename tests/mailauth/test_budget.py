"""The budget of a message: questions and seconds."""

import asyncio

import pytest

from mailauth.zones import Zones
from mailstead.mailauth.budget import BudgetedResolver
from mailstead.model.errors import DnsUnavailable
from mailstead.ports.clock import SystemClock


class HandClock(SystemClock):
    def __init__(self):
        self.s = 1000.0

    def monotonic_s(self):
        return self.s


class NeverAnswers(Zones):
    async def _ask(self, name, kind, make):
        self.questions.append((name, kind))
        await asyncio.Event().wait()


ZONES = {"example.com": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"], "MX": [(1, "mx.example.com")], "TXT": [b"text"]}}


async def test_it_answers_as_the_resolver_behind_it():
    zones = Zones(ZONES)
    resolver = BudgetedResolver(zones, 100, 20.0, HandClock())
    for kind in ("a", "aaaa", "mx", "txt", "tlsa", "srv", "caa"):
        assert await getattr(resolver, kind)("example.com") == await getattr(zones, kind)("example.com")
    assert (await resolver.ptr("192.0.2.1")).records == ()


async def test_attack_034_questions_are_counted_over_all_kinds():
    zones = Zones(ZONES)
    resolver = BudgetedResolver(zones, 3, 20.0, HandClock())
    await resolver.a("example.com")
    await resolver.txt("example.com")
    await resolver.mx("example.com")
    with pytest.raises(DnsUnavailable):
        await resolver.a("example.com")
    assert len(zones.questions) == 3


async def test_attack_034_questions_asked_at_once_are_counted_too():
    zones = Zones(ZONES)
    resolver = BudgetedResolver(zones, 5, 20.0, HandClock())
    answers = await asyncio.gather(*(resolver.a("example.com") for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(answer, DnsUnavailable) for answer in answers) == 15
    assert len(zones.questions) == 5


async def test_attack_034_after_the_time_nothing_is_asked():
    clock = HandClock()
    zones = Zones(ZONES)
    resolver = BudgetedResolver(zones, 100, 20.0, clock)
    clock.s += 19.9
    await resolver.a("example.com")
    clock.s += 0.2
    with pytest.raises(DnsUnavailable):
        await resolver.a("example.com")
    assert len(zones.questions) == 1


async def test_attack_034_a_server_that_never_answers_is_left_when_the_time_is_over():
    zones = NeverAnswers()
    async with asyncio.timeout(30):
        with BudgetedResolver(zones, 100, 0.01, HandClock()) as resolver:
            with pytest.raises(DnsUnavailable):
                await resolver.txt("example.com")
            with pytest.raises(DnsUnavailable):
                await resolver.a("example.com")
    assert zones.questions == [("example.com", "TXT")]
    assert asyncio.current_task().cancelling() == 0


async def test_attack_034_all_who_wait_are_told_that_the_time_is_over():
    zones = NeverAnswers()
    async with asyncio.timeout(30):
        with BudgetedResolver(zones, 100, 0.01, HandClock()) as resolver:
            answers = await asyncio.gather(*(resolver.txt("example.com") for _ in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [DnsUnavailable] * 5


async def test_who_is_cancelled_by_others_is_told_nothing_about_the_dns():
    async with asyncio.timeout(30):
        with BudgetedResolver(NeverAnswers(), 100, 60.0, HandClock()) as resolver:
            task = asyncio.create_task(resolver.txt("example.com"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_who_is_cancelled_by_others_just_when_the_time_is_over_is_cancelled():
    class IsCancelledMeanwhile(NeverAnswers):
        async def _ask(self, name, kind, make):
            try:
                await super()._ask(name, kind, make)
            except asyncio.CancelledError:
                asyncio.current_task().cancel()
                raise

    async with asyncio.timeout(30):
        with BudgetedResolver(IsCancelledMeanwhile(), 100, 0.01, HandClock()) as resolver:
            task = asyncio.create_task(resolver.txt("example.com"))
            with pytest.raises(asyncio.CancelledError):
                await task
