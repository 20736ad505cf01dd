"""What is told of a machine before a set-up."""

from dataclasses import replace

import pytest

from mailstead.model.diagnosis import Diagnosis, Health
from mailstead.ports.machine import MachineFacts
from mailstead.usecases.preflight import GIB, MIB, Preflight, PreflightTerms

GOOD = MachineFacts("x86_64", 2, 2 * GIB, 40 * GIB)
TERMS = PreflightTerms("mail.example.org", ("198.51.100.7",), (25, 993), "", ())


class Machine:
    def __init__(self, facts=GOOD, taken=None):
        self._facts, self._taken = facts, taken or {}

    async def facts(self):
        return self._facts

    async def taken_ports(self, ports):
        return {port: line for port, line in self._taken.items() if port in ports}


class Network:
    async def port_25(self, target):
        return Diagnosis("port 25 outward", Health.OK if target else Health.SKIPPED, target)

    async def blocklists(self, addresses, lists):
        return Diagnosis("block lists", Health.SKIPPED, ",".join(lists))

    async def reverse_name(self, address, hostname):
        return Diagnosis(f"reverse name {address}", Health.ERROR, hostname)


async def found(machine=None, terms=TERMS):
    return {each.name: each for each in await Preflight(machine or Machine(), Network(), terms).examine()}


async def test_a_good_machine():
    told = await found()
    assert [name for name, each in told.items() if each.status is Health.OK] == [
        "cpu",
        "memory",
        "disk",
        "ports",
        "addresses",
    ]
    assert told["reverse name 198.51.100.7"].status is Health.ERROR


@pytest.mark.parametrize(
    ("change", "name", "status"),
    [
        ({"architecture": "riscv64"}, "cpu", Health.WARNING),
        ({"architecture": "aarch64"}, "cpu", Health.OK),
        ({"memory_octets": 300 * MIB}, "memory", Health.WARNING),
        ({"memory_octets": 100 * MIB}, "memory", Health.ERROR),
        ({"memory_octets": 0}, "memory", Health.SKIPPED),
        ({"disk_free_octets": 5 * GIB}, "disk", Health.WARNING),
        ({"disk_free_octets": GIB // 2}, "disk", Health.ERROR),
    ],
)
async def test_what_a_machine_lacks_is_told_with_what_to_do(change, name, status):
    told = (await found(Machine(replace(GOOD, **change))))[name]
    assert told.status is status
    assert bool(told.advice) == (status in {Health.WARNING, Health.ERROR})


async def test_ports_that_others_have_are_told_with_who_it_is():
    told = (await found(Machine(taken={25: "220 debian ESMTP Exim", 993: ""})))["ports"]
    assert told.status is Health.ERROR
    assert "25 (220 debian ESMTP Exim), 993" in told.found
    assert "ss -tlnp" in told.advice


async def test_an_earlier_set_up_is_no_stranger():
    told = (await found(Machine(taken={25: "220 mail.example.org ESMTP ready", 993: ""})))["ports"]
    assert told.status is Health.OK
    assert "earlier set-up" in told.found
    told = (await found(Machine(taken={25: "220 mail.example.organ ESMTP ready"})))["ports"]
    assert told.status is Health.ERROR


async def test_where_no_service_listens():
    assert (await found(terms=replace(TERMS, ports=())))["ports"].status is Health.SKIPPED


@pytest.mark.parametrize(
    ("addresses", "status"), [((), Health.ERROR), (("2001:db8::7",), Health.WARNING), (("198.51.100.7",), Health.OK)]
)
async def test_addresses(addresses, status):
    assert (await found(terms=replace(TERMS, addresses=addresses)))["addresses"].status is status
