import asyncio
import socket
from dataclasses import replace

import pytest

from mailstead.mailauth.mta_sts import PolicyResult
from mailstead.model.errors import StorageUnavailable
from mailstead.model.queue import DestinationKind
from net.outbound.remote import DROP, STALL, until

HOSTS = ("a.there.test", "b.there.test")


async def test_the_preferred_host_is_used_and_the_next_when_it_cannot_be_reached(world):
    second = await world.mx("there.test", *HOSTS, address="127.0.0.2")
    session = await world.open()
    assert session.security == "none"
    assert len(second.heard) == 1
    first = await world.remote("127.0.0.1")
    session = await world.open()
    assert len(first.heard) == 1


@pytest.mark.parametrize("greeting", [b"421 busy\r\n", b"454 no\r\n", b"554 go away\r\n", b"220-half", DROP, b"x\r\n"])
async def test_a_host_that_will_not_talk_is_passed_over(world, greeting):
    world.limits = replace(world.limits, command_s=0.3)
    await world.mx("there.test", *HOSTS, GREETING=greeting)
    second = await world.remote("127.0.0.2")
    session = await world.open()
    assert session.is_open
    assert len(second.heard) == 1


async def test_nobody_there_is_temporary_and_says_where(world):
    await world.mx()
    await world.close()
    reply = await world.refusal()
    assert (reply.code, reply.enhanced, reply.is_permanent) == (0, "4.4.1", False)
    assert (reply.host, reply.address) == ("mx.there.test", "127.0.0.1")
    assert "refused" in reply.text.lower()


async def test_the_most_telling_refusal_is_given(world):
    world.names.add("there.test", mx=[(1, "absent.test"), (2, "dead.test"), (3, "rude.test")])
    world.names.add("dead.test", a=["127.0.0.3"])
    world.names.add("rude.test", a=["127.0.0.1"])
    await world.remote(GREETING=b"554 5.7.1 you are on a list\r\n")
    reply = await world.refusal()
    assert (reply.code, reply.text, reply.host) == (554, "you are on a list", "rude.test")
    assert not reply.is_permanent


@pytest.mark.parametrize("code", [521, 556])
async def test_hosts_that_never_take_mail_are_permanent(world, code):
    await world.mx(GREETING=b"%d no mail here\r\n" % code)
    reply = await world.refusal()
    assert (reply.code, reply.is_permanent) == (code, True)


async def test_one_temporary_refusal_makes_the_whole_temporary(world):
    await world.mx("there.test", *HOSTS, GREETING=b"521 no mail here\r\n")
    reply = await world.refusal()  # nobody listens on the second
    assert (reply.enhanced, reply.is_permanent) == ("4.4.1", False)


async def test_an_address_that_was_unreached_is_tried_last_for_a_while(world):
    second = await world.mx("there.test", *HOSTS, address="127.0.0.2")
    relay = world.relay()
    world.relay = lambda: relay
    await world.open()
    first = await world.remote("127.0.0.1")
    await world.open()
    assert (len(first.heard), len(second.heard)) == (0, 2)
    world.clock.s += 301
    await world.open()
    assert (len(first.heard), len(second.heard)) == (1, 2)


async def test_unreached_addresses_are_tried_all_the_same_when_there_is_no_other(world):
    await world.mx("there.test", *HOSTS, address="127.0.0.3")
    relay = world.relay()
    world.relay = lambda: relay
    await world.refusal()
    first = await world.remote("127.0.0.1")
    await world.open()
    assert len(first.heard) == 1


async def test_only_so_many_addresses_are_tried(world):
    hosts = [f"h{i}.test" for i in range(10)]
    await world.mx("there.test", *hosts, address="127.0.1.1")
    for i, host in enumerate(hosts):
        world.names.add(host, a=[f"127.0.{i + 1}.{j}" for j in range(1, 5)])
    remotes = [await world.remote(f"127.0.{i + 1}.{j}", GREETING=b"421 no\r\n") for i in range(10) for j in range(1, 5)
               if (i, j) != (0, 1)]  # fmt: skip
    world.remotes[0].replies["GREETING"] = b"421 no\r\n"
    await world.refusal()
    assert sum(len(remote.heard) for remote in world.remotes) == 20
    assert not remotes[-1].heard


async def test_the_search_ends_in_time(world):
    async def slow(reader, writer):
        world.clock.s += 1000
        writer.write(b"421 later\r\n")

    await world.mx("there.test", *HOSTS, GREETING=slow)
    second = await world.remote("127.0.0.2")
    assert (await world.refusal()).code == 421
    assert not second.heard


async def test_helo_is_said_to_who_does_not_know_ehlo(world):
    remote = await world.mx(EHLO=b"502 what?\r\n")
    [reply] = await world.send()
    assert reply.code == 250
    assert remote.heard[0].verbs == ["EHLO", "HELO", "MAIL", "RCPT", "DATA"]


async def test_who_refuses_helo_too_is_passed_over(world):
    await world.mx("there.test", *HOSTS, EHLO=b"502 what?\r\n", HELO=b"550 bad name\r\n")
    second = await world.remote("127.0.0.2")
    await world.open()
    assert len(second.heard) == 1


async def test_a_policy_that_cannot_be_recalled_defers_the_mail(world):
    async def policy_for(domain):
        raise StorageUnavailable

    remote = await world.mx()
    world.policies.policy_for = policy_for
    reply = await world.refusal()
    assert (reply.enhanced, reply.is_permanent) == ("4.3.0", False)
    assert remote.heard == []


async def test_a_policy_that_cannot_be_fetched_is_noted_and_mail_goes(world):
    await world.mx()
    world.policies.of["there.test"] = PolicyResult(None, "sts-policy-fetch-error")
    [reply] = await world.send()
    assert reply.code == 250
    assert world.notes.results[0] == ("sts", "", "sts-policy-fetch-error")


async def test_a_host_destination_has_no_mx_and_a_port_of_its_own(world):
    remote = await world.remote()
    world.names.add("inner.test", mx=[(1, "never.test")], a=["127.0.0.1"])
    world.settings["port"] = 1
    await world.open("inner.test", DestinationKind.HOST, remote.port)
    await world.open("127.0.0.1", DestinationKind.HOST, remote.port)
    assert len(remote.heard) == 2
    assert not [kind for _, kind in world.names.questions if kind == "MX"]
    assert world.notes == []


async def test_an_address_literal_is_reached_without_dns(world):
    remote = await world.remote()
    await world.open("[127.0.0.1]")
    assert len(remote.heard) == 1
    assert world.names.questions == []
    assert world.notes == []


async def test_the_source_address_is_bound(world):
    remote = await world.mx()
    await world.open(source_ipv4="127.0.0.9")
    assert remote.heard[0].peer == "127.0.0.9"
    world.settings["source_ipv4"] = "127.0.0.8"
    await world.open()
    assert remote.heard[1].peer == "127.0.0.8"
    reply = await world.refusal(source_ipv4="192.0.2.1")  # not ours
    assert (reply.enhanced, reply.is_permanent) == ("4.4.1", False)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
async def test_ipv6_is_tried_first_and_ipv4_when_it_fails(world):
    remote = await world.mx()
    world.names.add("mx.there.test", aaaa=["::1"])
    session = await world.open()  # nobody listens on ::1
    assert len(remote.heard) == 1
    await session.close()
    six = await world.remote("::1")
    await world.open()
    assert len(six.heard) == 1
    await world.open(ip_version="4")
    assert (len(remote.heard), len(six.heard)) == (2, 1)
    world.settings["ip_version"] = "4"
    await world.open(ip_version="6")
    assert len(six.heard) == 2


async def test_attack_037_a_name_that_leads_to_loopback_is_not_followed(world):
    world.settings["allows_private_addresses"] = False
    remote = await world.mx()
    reply = await world.refusal()
    assert (reply.enhanced, reply.is_permanent) == ("5.4.4", True)
    await world.refusal("127.0.0.1", DestinationKind.HOST, remote.port)
    assert not remote.heard


@pytest.mark.parametrize(
    "greeting",
    [b"220-x\r\n" * 10_000 + b"220 x\r\n", b"2" * 1_000_000, b"220 x" + b"y" * 100_000 + b"\r\n", STALL,
     b"220-" + b"x" * 4000 + b"\r\n220-"],
)  # fmt: skip
async def test_attack_025_endless_greetings_cost_little_and_the_next_host_is_tried(world, greeting):
    world.limits = replace(world.limits, command_s=0.3)
    await world.mx("there.test", *HOSTS, GREETING=greeting)
    second = await world.remote("127.0.0.2")
    await world.open()
    assert len(second.heard) == 1


async def test_attack_025_a_reply_line_without_end_is_cut_off(world):
    sent = []

    async def endless(reader, writer):
        writer.write(b"250-")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            sent.append(65536)

    await world.mx("there.test", *HOSTS, EHLO=endless)
    second = await world.remote("127.0.0.2")
    await world.open()
    assert len(second.heard) == 1
    count = len(sent)
    await until(lambda: not world.remotes[0].is_busy)  # its connection is closed
    assert sum(sent[: count + 1]) < 20_000_000


async def test_attack_025_a_trickling_server_meets_the_limit(world):
    world.limits = replace(world.limits, command_s=0.3)

    async def trickle(reader, writer):
        while True:
            writer.write(b"220-x\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)  # the trickle is what is tested

    await world.mx("there.test", *HOSTS, GREETING=trickle)
    second = await world.remote("127.0.0.2")
    await world.open()
    assert len(second.heard) == 1
