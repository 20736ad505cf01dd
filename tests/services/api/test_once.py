"""Idempotency-Key: done once, answered as often as it is asked. Spec: draft-ietf-httpapi-idempotency-key-header."""

import asyncio

import pytest

from mailstead.model.errors import PolicyRefused
from mailstead.services.api import once
from mailstead.services.api.endpoints import Answer, Auth, Endpoint, Model, Right
from services.api.asking import PASSWORD, asking
from services.api.test_limits import Clock


class Body(Model):
    name: str


class Work:
    """What is done, and how often."""

    def __init__(self):
        self.done = []
        self.gate = None
        self.reached = asyncio.Event()

    async def make(self, call):
        if call.body.name == "bad":
            raise PolicyRefused("Not that one")
        self.reached.set()
        if self.gate is not None:
            await self.gate.wait()
        self.done.append(call.body.name)
        return Answer({"name": call.body.name, "number": len(self.done)}, headers={"location": "/v1/made/1"})

    async def password(self, _call):
        self.done.append("password")
        return Answer({"password": PASSWORD}, status=201)

    async def large(self, _call):
        self.done.append("large")
        return Answer("x" * (once.ANSWER_OCTETS_MAX + 1))


@pytest.fixture
def work():
    return Work()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def api(tmp_path, work, clock):
    endpoints = (
        Endpoint(
            "POST", "/v1/made", "make", "x", "t", Auth.BOTH, Right.CALLER, work.make, body=Body, status=201, per_day=9
        ),
        Endpoint("PUT", "/v1/made", "change", "x", "t", Auth.BOTH, Right.CALLER, work.make, body=Body),
        Endpoint("POST", "/v1/large", "large", "x", "t", Auth.BOTH, Right.CALLER, work.large),
        Endpoint("POST", "/v1/secret", "secret", "x", "t", Auth.BOTH, Right.CALLER, work.password, is_idempotent=False),
        Endpoint("POST", "/v1/open", "open", "x", "t", Auth.NONE, Right.ANYBODY, work.make, body=Body),
    )
    async with asking(tmp_path, ("alice", "bob"), endpoints, clock=clock) as made:
        yield made


async def test_the_same_answer_again(api, work):
    first = await api.ask("POST", "/v1/made", {"name": "a"}, idempotency_key="k1")
    assert (first.status, first.json()) == (201, {"name": "a", "number": 1})
    assert "idempotency-replayed" not in first.headers
    again = await api.ask("POST", "/v1/made", {"name": "a"}, idempotency_key="k1")
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == "/v1/made/1"
    assert again.headers["content-type"] == "application/json"
    assert again.headers["cache-control"] == "no-store"
    assert work.done == ["a"]


async def test_without_a_key_or_with_another_it_is_done_again(api, work):
    for key in ({}, {}, {"idempotency_key": "k1"}, {"idempotency_key": "k2"}):
        assert (await api.ask("POST", "/v1/made", {"name": "a"}, **key)).status == 201
    assert work.done == ["a"] * 4


async def test_a_key_is_one_caller_s_and_one_request_s(api, work):
    assert (await api.ask("POST", "/v1/made", {"name": "a"}, idempotency_key="k")).status == 201
    assert (await api.ask("POST", "/v1/made", {"name": "b"}, idempotency_key="k")).status == 409
    assert (await api.ask("POST", "/v1/large", {}, idempotency_key="k")).status == 409
    other = await api.ask("POST", "/v1/made", {"name": "a"}, by="bob@example.test", idempotency_key="k")
    assert (other.status, other.json()["number"]) == (201, 2)
    token = await api.ask("POST", "/v1/made", {"name": "a"}, by="member", idempotency_key="k")
    assert token.json()["number"] == 3


async def test_errors_are_not_kept(api, work):
    assert (await api.ask("POST", "/v1/made", {"name": "bad"}, idempotency_key="k")).status == 400
    assert (await api.ask("POST", "/v1/made", {"title": "a"}, idempotency_key="k")).status == 400
    assert (await api.ask("POST", "/v1/made", {"name": "a"}, idempotency_key="k")).status == 201
    assert work.done == ["a"]


async def test_of_two_at_once_one_is_done(api, work):
    work.gate = asyncio.Event()
    first = asyncio.create_task(api.ask("POST", "/v1/made", {"name": "a"}, idempotency_key="k"))
    await work.reached.wait()
    second = await api.ask("POST", "/v1/made", {"name": "a"}, idempotency_key="k")
    assert second.status == 503
    assert "retry-after" in second.headers
    work.gate.set()
    assert (await first).status == 201
    assert work.done == ["a"]


async def test_after_a_day_a_key_is_new(api, work, clock):
    await api.ask("POST", "/v1/made", {"name": "a"}, idempotency_key="k")
    clock.go(86_401)
    assert (await api.ask("POST", "/v1/made", {"name": "b"}, idempotency_key="k")).status == 201
    assert work.done == ["a", "b"]


async def test_of_secrets_nothing_is_kept_and_nothing_is_done_twice(api, work):
    first = await api.ask("POST", "/v1/secret", idempotency_key="k")
    assert (first.status, first.json()) == (201, {"password": PASSWORD})
    again = await api.ask("POST", "/v1/secret", idempotency_key="k")
    assert (again.status, "secret" in again.message) == (409, True)
    assert work.done == ["password"]


async def test_of_large_answers_nothing_is_kept(api, work):
    assert (await api.ask("POST", "/v1/large", idempotency_key="k")).status == 200
    assert (await api.ask("POST", "/v1/large", idempotency_key="k")).status == 409
    assert work.done == ["large"]


@pytest.mark.parametrize("key", ["x" * 256, "é", "a\tb"])
async def test_keys_that_cannot_be(api, work, key):
    answer = await api.ask("POST", "/v1/made", {"name": "a"}, idempotency_key=key)
    assert (answer.status, work.done) == (400, [])


async def test_keys_of_nobody_are_refused_and_other_methods_have_none(api, work):
    assert (await api.ask("POST", "/v1/open", {"name": "a"}, by=None, idempotency_key="k")).status == 400
    for _ in range(2):
        assert (await api.ask("PUT", "/v1/made", {"name": "a"}, idempotency_key="k")).status == 200
    assert work.done == ["a", "a"]
