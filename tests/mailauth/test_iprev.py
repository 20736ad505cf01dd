"""iprev: names of clients that lead back."""

import pytest

from mailauth.zones import UNAVAILABLE, Zones
from mailstead.mailauth import iprev
from mailstead.model.authentication import IprevResult, Result

REVERSE = "1.2.0.192.in-addr.arpa"
REVERSE6 = f"1.{'0.' * 23}8.b.d.0.1.0.0.2.ip6.arpa"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({REVERSE: {"PTR": ["mx.example.com"]}, "mx.example.com": {"A": ["192.0.2.1"]}}, Result.PASS),
        ({REVERSE: {"PTR": ["mx.example.com"]}, "mx.example.com": {"A": ["192.0.2.2"]}}, Result.FAIL),
        ({REVERSE: {"PTR": ["mx.example.com"]}}, Result.FAIL),
        ({}, Result.PERMERROR),
        ({REVERSE: UNAVAILABLE}, Result.TEMPERROR),
        ({REVERSE: {"PTR": ["mx.example.com"]}, "mx.example.com": UNAVAILABLE}, Result.TEMPERROR),
        (
            {
                REVERSE: {"PTR": ["a.example", "mx.example.com"]},
                "a.example": UNAVAILABLE,
                "mx.example.com": {"A": ["192.0.2.1"]},
            },
            Result.PASS,
        ),
    ],
)
async def test_results(names, expected):
    found = await iprev.check(Zones(names), "192.0.2.1")
    name = "mx.example.com" if expected is Result.PASS else ""
    assert found == IprevResult(expected, name, "192.0.2.1")


async def test_ipv6_addresses_are_compared_as_addresses():
    names = {REVERSE6: {"PTR": ["mx.example.com"]}, "mx.example.com": {"AAAA": ["2001:DB8:0::1"]}}
    assert (await iprev.check(Zones(names), "2001:db8::1")).result is Result.PASS


async def test_ipv4_inside_ipv6_is_ipv4():
    names = {REVERSE: {"PTR": ["mx.example.com"]}, "mx.example.com": {"A": ["192.0.2.1"]}}
    assert await iprev.check(Zones(names), "::ffff:192.0.2.1") == IprevResult(
        Result.PASS, "mx.example.com", "192.0.2.1"
    )


async def test_what_is_no_address_is_not_asked_for():
    zones = Zones()
    assert await iprev.check(zones, "local") == IprevResult(Result.NONE)
    assert zones.questions == []


async def test_ten_names_are_looked_up_and_no_more():
    names = {REVERSE: {"PTR": [f"{number}.example.com" for number in range(500)]}}
    names["10.example.com"] = {"A": ["192.0.2.1"]}
    zones = Zones(names)
    assert (await iprev.check(zones, "192.0.2.1")).result is Result.FAIL
    assert len(zones.questions) == 11
