"""Policies fetched from a real HTTPS server with a certificate of an authority of the test's own."""

import asyncio

import pytest

from mailauth.zones import UNAVAILABLE, Zones
from mailstead.mailauth.mta_sts import BadPolicy, Mode, MtaSts, Policy, parse_policy, published_id
from mailstead.net.web import SafeWebClient
from net.outbound.remote import Authority
from net.web_server import WebServer

POLICY = b"version: STSv1\r\nmode: enforce\r\nmx: mx.example.test\r\nmx: *.mail.example.test\r\nmax_age: 86400\r\n"


def response(body=POLICY, *, status=b"200 OK", media_type=b"text/plain", more=b""):
    return b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b\r\n%b" % (
        status,
        media_type,
        len(body),
        more,
        body,
    )


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


class World:
    """A domain with a policy, and we who look for it."""

    def __init__(self, server, authority, memory, clock):
        self.server, self.clock = server, clock
        self.zones = Zones({"mta-sts.example.test": {"A": ["127.0.0.1"]}})
        self.publish("1")
        web = SafeWebClient(
            self.zones, allows_private=True, ca_file=str(authority.file), hostname="us.test", https_port=server.port
        )
        self.sts = MtaSts(self.zones, web, memory, clock)
        self.again = lambda: MtaSts(self.zones, web, memory, clock)

    def publish(self, policy_id):
        self.zones.names["_mta-sts.example.test"] = {"TXT": [f"v=STSv1; id={policy_id};"]}

    async def policy(self):
        return await self.sts.policy_for("example.test")

    async def fetches_end(self):
        await asyncio.gather(*self.sts._fetching.values())


@pytest.fixture
async def world(authority, memory, clock):
    tls, _ = authority.server("mta-sts.example.test")
    server = await WebServer().start(tls)
    server.answer = response()
    yield World(server, authority, memory, clock)
    await server.stop()


async def test_a_policy_is_fetched_once_and_remembered(world):
    found = await world.policy()
    assert found.failure == ""
    assert found.policy == Policy(
        Mode.ENFORCE,
        ("mx.example.test", "*.mail.example.test"),
        86400,
        "1",
        ("version: STSv1", "mode: enforce", "mx: mx.example.test", "mx: *.mail.example.test", "max_age: 86400"),
    )
    (request,) = world.server.requests
    assert request.startswith(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\n")
    assert (await world.again().policy_for("Example.Test.")) == found
    assert len(world.server.requests) == 1


async def test_many_at_a_time_fetch_once(world):
    found = await asyncio.gather(*(world.policy() for _ in range(20)))
    assert len(world.server.requests) == 1
    assert all(result.policy.mode is Mode.ENFORCE for result in found)


async def test_a_new_id_brings_the_new_policy(world):
    await world.policy()
    world.server.answer = response(POLICY.replace(b"enforce", b"testing"))
    world.publish("2")
    found = await world.policy()
    assert (found.policy.mode, found.policy.policy_id) == (Mode.TESTING, "2")


async def test_no_record_no_policy(world):
    del world.zones.names["_mta-sts.example.test"]
    assert (await world.policy()).policy is None
    assert world.server.requests == []


async def test_a_policy_is_fetched_anew_in_the_second_half_of_its_life_behind_the_mail(world):
    await world.policy()
    world.clock.pass_time(hours=11)
    await world.policy()
    await world.fetches_end()
    assert len(world.server.requests) == 1
    world.clock.pass_time(hours=2)
    assert (await world.policy()).policy.mode is Mode.ENFORCE
    await world.fetches_end()
    assert len(world.server.requests) == 2
    world.clock.pass_time(hours=23)  # the first one has run out
    assert (await world.policy()).policy.mode is Mode.ENFORCE
    await world.fetches_end()


async def test_the_policy_of_a_domain_does_not_hold_below_it(world):
    assert (await world.sts.policy_for("sub.example.test")).policy is None


async def test_what_cannot_be_had_is_told_and_not_asked_for_again_for_a_while(world):
    world.server.answer = response(b"", status=b"404 Not Found")
    for _ in range(3):
        found = await world.policy()
        assert (found.policy, found.failure) == (None, "sts-policy-fetch-error")
    assert len(world.server.requests) == 1
    world.server.answer = response()
    world.clock.pass_time(minutes=6)
    assert (await world.policy()).policy is not None


async def test_a_new_id_is_tried_at_once_although_the_old_one_failed(world):
    world.server.answer = response(b"rubbish")
    assert (await world.policy()).failure == "sts-policy-invalid"
    world.server.answer = response()
    world.publish("2")
    assert (await world.policy()).policy is not None


async def test_a_policy_that_cannot_be_remembered_still_holds(world, memory, monkeypatch):
    from mailstead.model.errors import StorageFull

    async def full(*_):
        raise StorageFull

    monkeypatch.setattr(memory, "remember", full)
    assert (await world.policy()).policy.mode is Mode.ENFORCE


async def attacked(world, **answer):
    """A policy is known; then an attacker has the id changed, and the policy host gives something else."""
    await world.policy()
    world.publish("evil")
    world.server.answer = response(**answer)
    found = await world.policy()
    assert found.policy.mode is Mode.ENFORCE
    assert found.policy.policy_id == "1"
    return found.failure


async def test_attack_036_a_known_policy_stays_when_its_host_cannot_be_reached(world):
    await world.policy()
    await world.server.stop()
    world.publish("2")
    found = await world.policy()
    assert (found.policy.mode, found.failure) == (Mode.ENFORCE, "sts-policy-fetch-error")
    world.clock.pass_time(hours=23)
    assert (await world.policy()).policy.mode is Mode.ENFORCE
    world.clock.pass_time(hours=2)
    assert (await world.policy()).policy is None


@pytest.mark.parametrize(
    "entry", [None, UNAVAILABLE, {"TXT": []}, {"TXT": ["v=STSv1; id=1;", "v=STSv1; id=2;"]}, {"TXT": ["v=STSv1;"]}]
)
async def test_attack_036_a_known_policy_stays_whatever_dns_says(world, entry):
    await world.policy()
    if entry is None:
        del world.zones.names["_mta-sts.example.test"]
    else:
        world.zones.names["_mta-sts.example.test"] = entry
    found = await world.policy()
    assert (found.policy.mode, found.failure) == (Mode.ENFORCE, "")


async def test_attack_036_mode_none_from_a_host_with_a_wrong_certificate_ends_nothing(world, authority):
    await world.policy()
    await world.server.stop()
    tls, _ = authority.server("mta-sts.other.test")
    evil = await WebServer().start(tls)
    evil.answer = response(POLICY.replace(b"enforce", b"none"))
    world.sts._web._https_port = evil.port
    world.publish("2")
    found = await world.policy()
    assert (found.policy.mode, found.failure) == (Mode.ENFORCE, "sts-webpki-invalid")
    assert evil.requests == []
    await evil.stop()


async def test_attack_036_an_old_certificate_is_none(authority, memory, clock):
    tls, _ = authority.server("mta-sts.example.test", days=-1)
    server = await WebServer().start(tls)
    server.answer = response()
    found = await World(server, authority, memory, clock).policy()
    assert (found.policy, found.failure) == (None, "sts-webpki-invalid")
    await server.stop()


async def test_attack_036_an_id_that_is_rolled_back_brings_what_the_host_says_now(world):
    await world.policy()
    world.publish("2")
    world.server.answer = response(POLICY.replace(b"mx.example.test", b"new.example.test"))
    await world.policy()
    world.publish("1")
    found = await world.policy()
    assert found.policy.mx[0] == "new.example.test"


async def test_attack_036_ten_megabytes_are_no_policy(world):
    assert await attacked(world, body=POLICY + b"x: " + b"y" * 10_000_000 + b"\r\n") == "sts-policy-fetch-error"


async def test_attack_036_redirects_are_not_followed(world):
    more = f"Location: https://mta-sts.example.test:{world.server.port}/other\r\n".encode()
    assert await attacked(world, status=b"301 Moved", more=more) == "sts-policy-fetch-error"
    assert len(world.server.requests) == 2


async def test_attack_036_what_users_may_upload_is_no_policy(world):
    assert await attacked(world, media_type=b"text/html") == "sts-policy-fetch-error"


async def test_attack_036_rubbish_is_no_policy(world):
    assert await attacked(world, body=b"\x00\xff") == "sts-policy-invalid"


async def test_attack_037_a_policy_host_in_a_private_network_is_not_asked(world):
    world.sts._web._allows_private = False
    found = await world.policy()
    assert (found.policy, found.failure) == (None, "sts-policy-fetch-error")
    assert world.server.connection_count == 0


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((b"v=STSv1; id=20160831085700Z;",), "20160831085700Z"),
        ((b"v=STSv1;id=1",), "1"),
        ((b"v=STSv1 ; id = 1 ; future=x;",), "1"),
        ((b"v=spf1 -all", b"v=STSv1; id=1"), "1"),
        ((b"v=STSv1; id=1", b"v=STSv1; id=1"), ""),
        ((b"v=STSv1; id=;",), ""),
        ((b"v=STSv1; id=a-b;",), ""),
        ((b"v=STSv1; id=" + b"a" * 33,), ""),
        ((b"v=STSv1; id=1; id=2",), ""),
        ((b"v=STSv2; id=1",), ""),
        ((b"V=STSv1; id=1",), ""),
        ((b" v=STSv1; id=1",), ""),
        ((), ""),
    ],
)
def test_records(texts, expected):
    assert published_id(texts) == expected


def test_a_policy_may_be_written_freely():
    policy = parse_policy(
        b"max_age:99999999999\nfuture-key: x y z\nmx:MX.Example.\n\nmode: testing\nmode: none\nversion:   STSv1  \n".replace(
            b"99999999999", b"9999999999"
        ),
        "1",
    )
    assert (policy.mode, policy.mx, policy.max_age_s) == (Mode.TESTING, ("mx.example",), 31_557_600)


def test_mode_none_needs_no_mx():
    assert parse_policy(b"version: STSv1\nmode: none\nmax_age: 60", "1").mode is Mode.NONE


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"version: STSv1\nmode: enforce\nmax_age: 60",
        b"version: STSv2\nmode: enforce\nmx: a.test\nmax_age: 60",
        b"mode: enforce\nmx: a.test\nmax_age: 60",
        b"version: STSv1\nmx: a.test\nmax_age: 60",
        b"version: STSv1\nmode: strict\nmx: a.test\nmax_age: 60",
        b"version: STSv1\nmode: enforce\nmx: a.test",
        b"version: STSv1\nmode: enforce\nmx: a.test\nmax_age: -1",
        b"version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 1e9",
        b"version: STSv1\nmode: enforce\nmx: *.*.test\nmax_age: 60",
        b"version: STSv1\nmode: enforce\nmx: a.*.test\nmax_age: 60",
        b"version: STSv1\nmode: enforce\nmx: *\nmax_age: 60",
        b"version: STSv1\nmode: enforce\nmx: \nmax_age: 60",
        b"version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 60\nno field",
        b"version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 60\nx: \x01",
        b"version: STSv1\nmode: enforce\nmx: a\xff.test\nmax_age: 60",
        b"version: STSv1\nmode: enforce\nmax_age: 60\n" + b"mx: a.test\n" * 201,
    ],
)
def test_attack_036_what_is_no_policy_is_not_guessed_at(octets):
    with pytest.raises(BadPolicy):
        parse_policy(octets, "1")


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("mx.example.test", True),
        ("MX.Example.Test.", True),
        ("a.mail.example.test", True),
        ("mail.example.test", False),
        ("a.b.mail.example.test", False),
        ("amail.example.test", False),
        ("mx.example.test.evil.test", False),
        ("", False),
    ],
)
def test_hosts_are_allowed_by_name_or_one_label_of_an_asterisk(host, is_allowed):
    assert parse_policy(POLICY, "1").allows(host) is is_allowed
