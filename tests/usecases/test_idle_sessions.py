"""Sessions that are kept for what comes next."""

import pytest

from mailstead.model.queue import Destination, DestinationKind
from mailstead.model.secret import Secret
from mailstead.ports.clock import SystemClock
from mailstead.ports.relay import RelayTerms, Smarthost
from mailstead.usecases.idle_sessions import KEPT_S, IdleSessions, UsedSession

THERE = Destination(DestinationKind.DOMAIN, "elsewhere.test")
ELSEWHERE = Destination(DestinationKind.DOMAIN, "another.test")
TERMS = RelayTerms()


class HandClock(SystemClock):
    def __init__(self):
        self.s = 1000.0

    def monotonic_s(self):
        return self.s


class Session:
    is_open = True

    async def close(self):
        self.is_open = False


def used(destination=THERE, terms=TERMS):
    return UsedSession(Session(), destination, terms)


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
async def idle(clock):
    sessions = IdleSessions(clock)
    yield sessions
    await sessions.close()


async def test_a_kept_session_is_given_once_to_who_goes_there_on_the_same_terms(idle):
    kept = used()
    idle.keep(kept)
    assert idle.take(ELSEWHERE, TERMS) is None
    assert idle.take(THERE, RelayTerms(require_tls=True)) is None
    assert idle.take(THERE, TERMS) is kept
    assert idle.take(THERE, TERMS) is None


async def test_the_same_smarthost_and_password_are_the_same_terms(idle):
    def terms(password):
        return RelayTerms(smarthost=Smarthost("relay.test", 587, "us", Secret(password)))

    kept = used(terms=terms("one"))
    idle.keep(kept)
    assert idle.take(THERE, terms("two")) is None
    assert idle.take(THERE, terms("one")) is kept


async def test_a_session_that_the_server_has_closed_is_not_given(idle):
    kept = used()
    idle.keep(kept)
    kept.session.is_open = False
    assert idle.take(THERE, TERMS) is None


async def test_a_session_that_is_idle_for_long_is_not_given(idle, clock):
    idle.keep(used())
    clock.s += KEPT_S + 1
    assert idle.take(THERE, TERMS) is None


async def test_those_idle_for_longest_are_closed_to_make_room(idle):
    first, second = used(), used()
    idle.keep(first)
    idle.keep(second)
    idle.shrink(1)
    assert idle.take(THERE, TERMS) is second
    assert idle.take(THERE, TERMS) is None
    await idle.close()
    assert not first.session.is_open
    assert second.session.is_open


async def test_all_are_closed_in_the_end(idle):
    kept = [used(), used(ELSEWHERE)]
    for each in kept:
        idle.keep(each)
    await idle.close()
    assert not any(each.session.is_open for each in kept)
