"""SPF beyond the public suite: which identity counts, trouble with the DNS, limits, records for everybody."""

from datetime import UTC, datetime

import pytest

from mailauth.zones import UNAVAILABLE, Zones
from mailstead.mailauth import spf
from mailstead.model.address import Address
from mailstead.model.authentication import Result, SpfResult

NOW = datetime(2026, 11, 27, tzinfo=UTC)
CLIENT = "192.0.2.1"
ALICE = Address("alice", "example.com")


async def checked(names, *, client=CLIENT, helo="mx.example.net", mail_from=ALICE):
    zones = names if isinstance(names, Zones) else Zones(names)
    return await spf.check(zones, client, helo, mail_from, receiver="mx.example.org", now=NOW)


async def found(record, **more):
    """Check a record of example.com; give the result that counts."""
    result, _ = await checked({"example.com": {"TXT": [record]}, **more})
    return result


# identities


async def test_mail_from_counts_and_helo_is_told_besides():
    names = {"example.com": {"TXT": ["v=spf1 ip4:192.0.2.0/24 -all"]}, "mx.example.net": {"TXT": ["v=spf1 -all"]}}
    counts, helo = await checked(names)
    assert counts == SpfResult(Result.PASS, "example.com", "mfrom", "ip4:192.0.2.0/24")
    assert helo == SpfResult(
        Result.FAIL, "mx.example.net", "helo", "-all", "mx.example.net does not let 192.0.2.1 send its mail"
    )


async def test_of_the_null_sender_helo_counts():
    counts, helo = await checked({"mx.example.net": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]}}, mail_from=None)
    assert counts == SpfResult(Result.PASS, "mx.example.net", "helo", "ip4:192.0.2.1")
    assert helo is None


async def test_the_null_sender_is_postmaster_for_macros():
    names = {
        "mx.example.net": {"TXT": ["v=spf1 exists:%{l}.%{i}.%{o} -all"]},
        "postmaster.192.0.2.1.mx.example.net": {"A": ["127.0.0.2"]},
    }
    assert (await checked(names, mail_from=None))[0].result is Result.PASS


@pytest.mark.parametrize(
    "helo", ["[192.0.2.9]", "localhost", "", "a..b", "x" * 64 + ".example", "JUMPIN' JUPITER", "é\ud800.example"]
)
async def test_a_helo_that_is_no_domain_is_none_and_asks_nothing(helo):
    zones = Zones({"example.com": {"TXT": ["v=spf1 -all"]}})
    _, found_helo = await checked(zones, helo=helo)
    assert found_helo.result is Result.NONE
    assert zones.questions == [("example.com", "TXT")]


async def test_a_final_dot_and_letters_beyond_ascii_are_read():
    names = {"xn--bcher-kva.example": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]}}
    _, helo = await checked(names, helo="Bücher.example.")
    assert helo == SpfResult(Result.PASS, "xn--bcher-kva.example", "helo", "ip4:192.0.2.1")


async def test_a_client_that_has_no_address_is_none():
    assert (await checked({"example.com": {"TXT": ["v=spf1 +all"]}}, client="unix"))[0].result is Result.NONE


# trouble with the DNS


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 include:gone.example -all",
        "v=spf1 a:gone.example -all",
        "v=spf1 mx:gone.example -all",
        "v=spf1 mx -all",
        "v=spf1 exists:gone.example -all",
        "v=spf1 redirect=gone.example",
    ],
)
async def test_dns_trouble_is_a_temperror_and_never_a_fail(record):
    names = {"example.com": {"TXT": [record], "MX": [(1, "gone.example")]}, "gone.example": UNAVAILABLE}
    counts, _ = await checked(names)
    assert counts.result is Result.TEMPERROR
    assert (await checked({"example.com": UNAVAILABLE}))[0].result is Result.TEMPERROR


async def test_trouble_with_the_client_s_own_names_only_makes_ptr_not_match():
    reverse = {"1.2.0.192.in-addr.arpa": UNAVAILABLE}
    assert (await found("v=spf1 ptr -all", **reverse)).result is Result.FAIL
    assert (await found("v=spf1 ptr ip4:192.0.2.1 -all", **reverse)).result is Result.PASS


async def test_trouble_with_the_explanation_leaves_a_fail():
    result = await found("v=spf1 -all exp=why.example", **{"why.example": UNAVAILABLE})
    assert result.result is Result.FAIL
    assert result.explanation == "example.com does not let 192.0.2.1 send its mail"


# limits


async def test_attack_033_a_chain_of_includes_ends_after_ten_lookups():
    names = {f"{n}.example": {"TXT": [f"v=spf1 include:{n + 1}.example"]} for n in range(500)}
    zones = Zones(names | {"example.com": {"TXT": ["v=spf1 include:0.example -all"]}})
    counts, _ = await checked(zones)
    assert counts.result is Result.PERMERROR
    assert len([each for each in zones.questions if each[0] != "mx.example.net"]) == 11


async def test_attack_033_five_hundred_mail_exchangers_are_not_looked_up():
    zones = Zones(
        {"example.com": {"TXT": ["v=spf1 mx -all"], "MX": [(n, f"mx{n}.victim.example") for n in range(500)]}}
    )
    assert (await checked(zones))[0].result is Result.PERMERROR
    assert not [name for name, _ in zones.questions if "victim" in name]


async def test_attack_033_five_hundred_names_of_a_client_are_not_looked_up():
    zones = Zones(
        {
            "example.com": {"TXT": ["v=spf1 ptr ptr:victim.example -all"]},
            "1.2.0.192.in-addr.arpa": {"PTR": [f"mx{n}.victim.example" for n in range(500)]},
        }
    )
    assert (await checked(zones))[0].result is Result.FAIL
    assert len([name for name, _ in zones.questions if "victim" in name]) == 10


async def test_attack_033_macros_that_spray_names_find_nothing_twice_and_no_more():
    record = "v=spf1 " + " ".join(f"exists:%{{l}}.{n}.victim.example" for n in range(10)) + " -all"
    zones = Zones({"example.com": {"TXT": [record]}})
    assert (await checked(zones))[0].result is Result.PERMERROR
    assert len([name for name, _ in zones.questions if "victim" in name]) == 3


async def test_attack_033_the_client_s_names_cannot_use_up_what_a_domain_may_find_nothing_with():
    names = {"1.2.0.192.in-addr.arpa": {"PTR": [f"{n}.nowhere.example" for n in range(10)]}}
    assert (await found("v=spf1 ptr a:nowhere.example mx:nowhere.example -all", **names)).result is Result.FAIL


async def test_a_term_that_finds_nothing_counts_once():
    names = {"mail.example": {"MX": [(n, f"v4-{n}.example") for n in range(10)]}}
    for n in range(10):
        names[f"v4-{n}.example"] = {"A": ["198.51.100.1"]}
    zones = Zones(names | {"example.com": {"TXT": ["v=spf1 mx:mail.example ip6:2001:db8::/32 -all"]}})
    assert (await checked(zones, client="2001:db8::1"))[0].result is Result.PASS


async def test_attack_033_a_macro_for_the_client_s_name_counts_as_a_lookup():
    record = "v=spf1 " + "a:there.example " * 9 + "exists:%{p}.example -all"
    counts = await found(record, **{"there.example": {"A": ["198.51.100.1"]}})
    assert counts.result is Result.PERMERROR
    assert "10 times" in counts.explanation


async def test_attack_033_a_record_of_64_kilobytes_is_not_read():
    counts = await found("v=spf1 " + "ip4:198.51.100.1 " * 3800 + "-all")
    assert counts.result is Result.PERMERROR


async def test_attack_033_an_endless_name_from_macros_is_cut_to_its_right_part():
    zones = Zones({"example.com": {"TXT": ["v=spf1 exists:" + "%{l}." * 1500 + "example.org -all"]}})
    counts, _ = await checked(zones, mail_from=Address("a" * 60, "example.com"))
    assert counts.result is Result.FAIL
    asked = [name for name, kind in zones.questions if kind == "A"]
    assert asked == ["a" * 60 + "." + ".".join(["a" * 60] * 2) + ".example.org"]


# records for everybody


@pytest.mark.parametrize(
    ("record", "is_from_all"),
    [
        ("v=spf1 +all", True),
        ("v=spf1 ip4:198.51.100.0/24 all", True),
        ("v=spf1 include:open.example -all", True),
        ("v=spf1 redirect=open.example", True),
        ("v=spf1 ip4:0.0.0.0/0 -all", True),
        ("v=spf1 ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all", True),
        ("v=spf1 ip4:192.0.0.0/7 -all", True),
        ("v=spf1 " + " ".join(f"ip4:{n}.0.0.0/8" for n in range(190, 200)) + " -all", True),
        ("v=spf1 a/0 -all", True),
        ("v=spf1 mx/4 -all", True),
        ("v=spf1 exists:open.example -all", True),
        ("v=spf1 exists:%{d} -all", True),
        ("v=spf1 ip4:192.0.0.0/8 -all", False),
        ("v=spf1 ip4:192.0.2.1 +all", False),
        ("v=spf1 a/24 -all", False),
        ("v=spf1 exists:%{i}.list.example -all", False),
        ("v=spf1 include:closed.example +all", False),
        ("v=spf1 ip4:192.0.2.1 ?ip4:0.0.0.0/0 -all", False),
    ],
)
async def test_attack_033_a_pass_for_everybody_is_marked(record, is_from_all):
    names = {
        "example.com": {"TXT": [record], "A": ["192.0.2.200"], "MX": [(1, "example.com")]},
        "open.example": {"TXT": ["v=spf1 +all"], "A": ["127.0.0.2"]},
        "closed.example": {"TXT": ["v=spf1 ip4:192.0.2.0/24 -all"]},
        "192.0.2.1.list.example": {"A": ["127.0.0.2"]},
    }
    counts, _ = await checked(names)
    assert counts.result is Result.PASS
    assert counts.is_from_all is is_from_all


async def test_attack_033_wide_networks_of_ipv6_are_marked():
    names = {"example.com": {"TXT": ["v=spf1 ip6:2001::/3 -all"]}}
    assert (await checked(names, client="2001:db8::1"))[0].is_from_all
    names = {"example.com": {"TXT": ["v=spf1 ip6:2001:db8::/32 -all"]}}
    counts, _ = await checked(names, client="2001:db8::1")
    assert counts.result is Result.PASS
    assert not counts.is_from_all


async def test_a_fail_or_softfail_by_all_is_no_pass_for_everybody():
    for qualifier in "-~?":
        assert not (await found(f"v=spf1 {qualifier}all")).is_from_all


# macros


async def test_a_local_part_beyond_ascii_matches_nothing():
    zones = Zones({"example.com": {"TXT": ["v=spf1 exists:%{l}.example.com -all"]}})
    counts, _ = await checked(zones, mail_from=Address("jürgen", "example.com"))
    assert counts.result is Result.FAIL
    assert not [name for name, kind in zones.questions if kind == "A"]


async def test_explanations_have_the_macros_of_time_receiver_and_client():
    counts = await found("v=spf1 -all exp=why.example", **{"why.example": {"TXT": ["%{c} at %{t} to %{r}%_by %{S}"]}})
    assert counts.explanation == f"192.0.2.1 at {int(NOW.timestamp())} to mx.example.org by alice%40example.com"


@pytest.mark.parametrize("helo", ["a\r\nX: y", "a\x1b[2J", "bücher.example"])
async def test_an_explanation_that_cannot_be_shown_is_not(helo):
    names = {"example.com": {"TXT": ["v=spf1 -all exp=why.example"]}, "why.example": {"TXT": ["from %{h}"]}}
    counts, _ = await checked(names, helo=helo)
    assert counts.explanation == "example.com does not let 192.0.2.1 send its mail"


@pytest.mark.parametrize(
    ("macro", "expected"),
    [
        # Spec: RFC 7208 §7.4, all examples that are about the sender
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        ("%{d128}", "email.example.com"),
    ],
)
async def test_the_examples_of_the_rfc_expand_as_it_says(macro, expected):
    names = {
        "email.example.com": {"TXT": ["v=spf1 -all exp=why.example"]},
        "why.example": {"TXT": [macro]},
    }
    counts, _ = await checked(names, client="192.0.2.3", mail_from=Address("strong-bad", "email.example.com"))
    assert counts.explanation == expected
