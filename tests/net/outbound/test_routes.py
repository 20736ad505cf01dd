import random

import pytest

from mailstead.net.outbound.routes import addresses_of, route_of_domain
from mailstead.ports.relay import RelayFailed


async def hosts(world, domain="there.test", hostname="us.test", chance=None):
    return (await route_of_domain(domain, world.names, hostname, chance or random.Random(1))).hosts


async def failure(awaitable):
    with pytest.raises(RelayFailed) as failed:
        await awaitable
    return failed.value.reply


async def test_hosts_come_by_preference(world):
    world.names.add("there.test", mx=[(20, "c.test"), (5, "a.test"), (10, "b.test")])
    assert await hosts(world) == ("a.test", "b.test", "c.test")


async def test_equal_preferences_are_shuffled_and_only_they(world):
    equals = [(10, f"{letter}.test") for letter in "abcd"]
    world.names.add("there.test", mx=[(5, "first.test"), *equals, (20, "last.test")])
    seen = {await hosts(world, chance=random.Random(seed)) for seed in range(50)}
    assert len(seen) > 5
    assert {found[0] for found in seen} == {"first.test"}
    assert {found[-1] for found in seen} == {"last.test"}


async def test_a_domain_without_mx_is_its_own_host(world):
    world.names.add("there.test", a=["192.0.2.1"])
    assert await hosts(world) == ("there.test",)


async def test_null_mx_takes_no_mail_for_good(world):
    world.names.add("there.test", mx=[(0, "")], a=["192.0.2.1"])
    reply = await failure(hosts(world))
    assert (reply.code, reply.enhanced, reply.is_permanent) == (556, "5.1.10", True)


async def test_null_mx_beside_others_means_nothing(world):
    world.names.add("there.test", mx=[(0, ""), (10, "a.test")])
    assert await hosts(world) == ("a.test",)


async def test_a_domain_that_is_not_there_is_permanent_and_dns_trouble_is_not(world):
    reply = await failure(hosts(world, "absent.test"))
    assert (reply.enhanced, reply.is_permanent) == ("5.1.2", True)
    world.names.add("there.test", mx=None)
    reply = await failure(hosts(world))
    assert (reply.enhanced, reply.is_permanent) == ("4.4.3", False)


async def test_our_own_host_and_all_behind_it_are_left_out(world):
    world.names.add("there.test", mx=[(5, "a.test"), (10, "us.test"), (10, "b.test"), (20, "c.test")])
    assert await hosts(world, hostname="US.test") == ("a.test",)


async def test_mail_that_would_come_back_to_us_is_a_loop(world):
    world.names.add("there.test", mx=[(10, "us.test"), (20, "c.test")])
    reply = await failure(hosts(world))
    assert (reply.enhanced, reply.is_permanent) == ("5.4.6", True)


async def test_hosts_are_bounded_and_the_preferred_ones_are_kept(world):
    world.names.add("there.test", mx=[(i, f"h{i}.test") for i in reversed(range(500))])
    assert await hosts(world) == tuple(f"h{i}.test" for i in range(10))


@pytest.mark.parametrize(
    ("domain", "host"), [("[192.0.2.1]", "192.0.2.1"), ("[ipv6:2001:db8::1]", "2001:db8::1"), ("[192.0.2]", None),
                         ("[2001:db8::1]", None), ("[ipv6:192.0.2.1]", None), ("[x400:abc]", None)]
)  # fmt: skip
async def test_address_literals_stand_for_themselves(world, domain, host):
    if host is None:
        assert (await failure(hosts(world, domain))).is_permanent
    else:
        assert await hosts(world, domain) == (host,)
    assert world.names.questions == []


async def addresses(world, host="mx.test", version="auto", allows_private=True):
    return await addresses_of(host, world.names, version, allows_private=allows_private)


async def test_both_kinds_come_in_turn_ipv6_first_and_bounded(world):
    world.names.add("mx.test", a=[f"192.0.2.{i}" for i in range(9)], aaaa=["2001:db8::1", "2001:db8::2", "2001:db8::3"])
    assert await addresses(world) == ("2001:db8::1", "192.0.2.0", "2001:db8::2", "192.0.2.1")
    assert await addresses(world, version="4") == tuple(f"192.0.2.{i}" for i in range(4))
    assert await addresses(world, version="6") == ("2001:db8::1", "2001:db8::2", "2001:db8::3")


async def test_one_kind_is_enough_when_dns_fails_for_the_other(world):
    world.names.add("mx.test", a=["192.0.2.1"], aaaa=None)
    assert await addresses(world) == ("192.0.2.1",)
    world.names.add("mx.test", a=[])
    reply = await failure(addresses(world))
    assert (reply.enhanced, reply.is_permanent) == ("4.4.3", False)


async def test_hosts_without_address_are_permanent(world):
    assert (await failure(addresses(world))).enhanced == "5.1.2"
    world.names.add("mx.test", txt=[b""])
    assert (await failure(addresses(world))).enhanced == "5.4.4"
    assert (await failure(addresses(world, "2001:db8::1", version="4"))).is_permanent


async def test_attack_037_mail_is_not_delivered_to_private_addresses(world):
    private = ["127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "192.168.1.1"]
    world.names.add("mx.test", a=private, aaaa=["::1", "fe80::1", "::ffff:10.0.0.1", "fd00::1"])
    assert (await failure(addresses(world, allows_private=False))).enhanced == "5.4.4"
    for literal in private:
        assert (await failure(addresses(world, literal, allows_private=False))).enhanced == "5.4.4"
    world.names.add("mx.test", a=[*private, "8.8.8.8"])
    assert await addresses(world, allows_private=False) == ("8.8.8.8",)


async def test_an_mx_that_is_an_alias_is_followed(world):
    world.names.add("mx.test", cname="real.test")
    world.names.add("real.test", a=["192.0.2.1"])
    assert await addresses(world) == ("192.0.2.1",)
