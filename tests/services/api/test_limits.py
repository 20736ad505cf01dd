"""How much somebody may send: by the minute and network, by the day and caller."""

from datetime import UTC, datetime, timedelta

import pytest

from mailstead.services.api import limits
from mailstead.services.api.endpoints import Answer, Auth, Endpoint, Right
from services.api.asking import asking


class Clock:
    """Time that goes when it is told to."""

    def __init__(self):
        self.at = datetime(2026, 1, 2, 23, 59, tzinfo=UTC)

    def now(self):
        return self.at

    def monotonic_s(self):
        return self.at.timestamp()

    def go(self, seconds):
        self.at += timedelta(seconds=seconds)


async def done(_call):
    return Answer({"done": True})


ENDPOINTS = (
    Endpoint("GET", "/v1/free", "free", "x", "test", Auth.NONE, Right.ANYBODY, done),
    Endpoint("GET", "/v1/emails", "emails", "x", "test", Auth.NONE, Right.ANYBODY, done),
    Endpoint("POST", "/v1/few", "few", "x", "test", Auth.BOTH, Right.CALLER, done, per_day=2),
    Endpoint("POST", "/v1/few-for-all", "few-for-all", "x", "test", Auth.NONE, Right.ANYBODY, done, per_day=1),
)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def api(tmp_path, clock):
    terms = {"requests_per_minute": 5, "allows_clear_text": True}
    async with asking(tmp_path, ("alice", "bob"), ENDPOINTS, terms, clock) as made:
        yield made


async def test_by_the_minute_and_network(api, clock):
    api.address = "192.0.2.1"
    for left in (4, 3, 2, 1, 0):
        answer = await api.ask("GET", "/v1/free", by=None)
        assert answer.status == 200
        assert answer.headers["x-ratelimit-limit"] == "5"
        assert answer.headers["x-ratelimit-remaining"] == str(left)
        assert answer.headers["x-ratelimit-reset"] == str(int(clock.now().timestamp()) + 60)
    clock.go(20)
    for path in ("/v1/free", "/v1/nothing"):
        answer = await api.ask("GET", path, by=None)
        assert (answer.status, answer.headers["x-ratelimit-remaining"]) == (429, "0")
        assert answer.headers["retry-after"] == "41"
    # Not counted there, and others are not concerned: but those of the same IPv6 /64 are.
    assert (await api.ask("GET", "/v1/emails", by=None)).status == 200
    api.address = "192.0.2.2"
    assert (await api.ask("GET", "/v1/free", by=None)).status == 200
    statuses = []
    for host in range(6):
        api.address = f"2001:db8:0:1::{host + 1}"
        statuses.append((await api.ask("GET", "/v1/free", by=None)).status)
    assert statuses == [200] * 5 + [429]
    clock.go(40)
    api.address = "192.0.2.1"
    assert (await api.ask("GET", "/v1/free", by=None)).status == 200


async def test_attack_061_who_asks_too_often_does_not_get_to_guess_passwords(api):
    api.address = "192.0.2.1"
    for _ in range(5):
        await api.ask("GET", "/v1/free", by=None)
    answer = await api.ask("POST", "/v1/few", authorization="Basic YTpi", by=None)
    assert answer.status == 429


async def test_by_the_day_and_caller(api, clock):
    for left in (1, 0):
        answer = await api.ask("POST", "/v1/few")
        assert (answer.status, answer.headers["x-ratelimit-remaining"]) == (200, str(left))
        assert answer.headers["x-ratelimit-limit"] == "2"
    answer = await api.ask("POST", "/v1/few")
    assert (answer.status, answer.headers["retry-after"]) == (429, "61")
    api.address = "127.0.0.2"  # he is the same from elsewhere, and others are others
    assert (await api.ask("POST", "/v1/few")).status == 429
    assert (await api.ask("POST", "/v1/few", by="bob@example.test")).status == 200
    assert (await api.ask("POST", "/v1/few-for-all", by=None)).status == 200
    assert (await api.ask("POST", "/v1/few-for-all", by=None)).status == 429
    clock.go(60)
    assert (await api.ask("POST", "/v1/few")).status == 200


def test_counts_are_bounded(clock, monkeypatch):
    monkeypatch.setattr(limits, "NETWORKS_MAX", 100)
    minutes = limits.Minutes(5, clock)
    for number in range(1000):
        assert minutes.count(f"10.0.{number // 250}.{number % 250}").left == 4
    assert len(minutes._windows) == 100


def test_without_a_limit_nothing_is_counted(clock):
    minutes = limits.Minutes(0, clock)
    assert minutes.count("192.0.2.1") is None
    assert limits.headers_of(None) == {}
