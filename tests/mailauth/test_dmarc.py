"""DMARC: policies found by the tree walk, alignment, trouble with the DNS."""

import pytest

from mailauth.zones import UNAVAILABLE, Zones
from mailstead.mailauth import dmarc
from mailstead.model.authentication import DkimResult, Result, SpfResult

NO_SPF = SpfResult(Result.NONE, "")


def published(**records):
    """Make zones of DMARC records; ``__`` stands for a dot."""
    return {f"_dmarc.{name.replace('__', '.')}": {"TXT": [f"v=DMARC1; {text}"]} for name, text in records.items()}


def spf_pass(domain, **more):
    return SpfResult(Result.PASS, domain, "mfrom", "a", **more)


def dkim_pass(domain):
    return DkimResult(Result.PASS, domain, "s")


async def checked(names, domain, spf=NO_SPF, dkim=()):
    return await dmarc.check(Zones(names), domain, spf, dkim)


# policies


@pytest.mark.parametrize(
    ("records", "domain", "policy_domain", "policy"),
    [
        # the author's own record
        ({"example__com": "p=reject; sp=none"}, "example.com", "example.com", "reject"),
        (
            {"a__example__com": "p=none; sp=reject", "example__com": "p=reject"},
            "a.example.com",
            "a.example.com",
            "none",
        ),
        # of the organizational domain
        ({"example__com": "p=reject"}, "a.example.com", "example.com", "reject"),
        ({"example__com": "p=reject; sp=quarantine"}, "a.example.com", "example.com", "quarantine"),
        ({"b__example__com": "p=none", "example__com": "p=reject"}, "a.b.example.com", "example.com", "reject"),
        ({"b__example__com": "p=none; psd=n", "example__com": "p=reject"}, "a.b.example.com", "b.example.com", "none"),
        # of the public suffix, which counts only where the organizational domain has none
        ({"com": "p=none; sp=reject; psd=y"}, "a.example.com", "com", "reject"),
        ({"com": "p=none; sp=reject; psd=y"}, "example.com", "com", "reject"),
        ({"com": "p=reject; psd=y", "example__com": "p=none"}, "a.example.com", "example.com", "none"),
        ({"com": "p=reject; psd=y", "b__example__com": "p=none"}, "a.b.example.com", "com", "reject"),
        ({"com": "p=reject; psd=y"}, "com", "com", "reject"),
        # nobody at home
        ({"example__org": "p=reject"}, "example.com", "", "none"),
        # t= and pct=
        ({"example__com": "p=reject; t=y"}, "example.com", "example.com", "quarantine"),
        ({"example__com": "p=quarantine; pct=0"}, "example.com", "example.com", "none"),
        ({"example__com": "p=reject; pct=20"}, "example.com", "example.com", "reject"),
    ],
)
async def test_policy(records, domain, policy_domain, policy):
    names = published(**records) | {domain: {"A": ["192.0.2.1"]}}
    found = await checked(names, domain)
    assert (found.policy_domain, found.policy) == (policy_domain, policy)
    assert found.result is (Result.FAIL if policy_domain else Result.NONE)
    assert found.author_domain == domain


@pytest.mark.parametrize(
    ("there", "policy"),
    [({}, "reject"), ({"a.example.com": {"TXT": ["x"]}}, "none"), ({"b.a.example.com": {}}, "none")],
)
async def test_np_is_for_domains_that_do_not_exist(there, policy):
    found = await checked(published(example__com="p=quarantine; sp=none; np=reject") | there, "a.example.com")
    assert found.policy == policy


async def test_np_does_not_count_at_the_author_s_own_record():
    assert (await checked(published(example__com="p=none; np=reject"), "example.com")).policy == "none"


async def test_several_records_at_a_name_are_none():
    names = {"_dmarc.a.example.com": {"TXT": ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}}
    found = await checked(names | published(example__com="p=reject; sp=quarantine"), "a.example.com")
    assert (found.policy_domain, found.policy) == ("example.com", "quarantine")


async def test_other_texts_beside_the_record_do_no_harm():
    names = {"_dmarc.example.com": {"TXT": ["hello", "v=DMARC1; p=reject", "v=spf1 -all"]}}
    assert (await checked(names, "example.com")).policy == "reject"


async def test_a_record_without_policy_and_reports_does_not_apply():
    found = await checked(published(example__com="p=block"), "example.com", spf_pass("example.com"))
    assert found.result is Result.NONE
    assert found.policy_domain == ""
    assert found.is_spf_aligned


async def test_reports_are_told():
    found = await checked(published(example__com="p=none; rua=mailto:a@x.example,mailto:b@x.example"), "example.com")
    assert found.aggregate_to == ("mailto:a@x.example", "mailto:b@x.example")


async def test_domains_are_compared_without_case_and_final_dot():
    found = await checked(published(example__com="p=reject"), "Example.COM.", spf_pass("EXAMPLE.com"))
    assert found.result is Result.PASS
    assert found.author_domain == "example.com"


async def test_an_address_literal_has_no_policy():
    zones = Zones()
    assert (await dmarc.check(zones, "[192.0.2.1]", NO_SPF, ())).result is Result.NONE
    assert zones.questions == []


# alignment


@pytest.mark.parametrize(
    ("records", "author", "identifier", "is_aligned"),
    [
        # Spec: RFC 9989 §4.4, its table
        ({"example__com": "p=none"}, "news.example.com", "foo.example.com", True),
        ({"example__com": "p=none"}, "news.example.com", "news.example.com", True),
        ({"example__com": "p=none"}, "news.example.com", "foo.example.net", False),
        # up and down the tree
        ({"example__com": "p=none"}, "news.example.com", "example.com", True),
        ({"example__com": "p=none"}, "example.com", "a.b.c.example.com", True),
        ({"example__com": "p=none"}, "example.com", "badexample.com", False),
        ({"example__com": "p=none"}, "example.com", "com", False),
        # strict
        ({"example__com": "p=none; adkim=s; aspf=s"}, "news.example.com", "example.com", False),
        ({"example__com": "p=none; adkim=s; aspf=s"}, "example.com", "example.com", True),
        # departments of their own
        ({"example__com": "p=none", "b__example__com": "p=none; psd=n"}, "example.com", "x.b.example.com", False),
        ({"example__com": "p=none", "b__example__com": "p=none; psd=n"}, "x.b.example.com", "example.com", False),
        ({"example__com": "p=none", "b__example__com": "p=none; psd=n"}, "x.b.example.com", "y.b.example.com", True),
        # neighbours below a public suffix are strangers
        ({"uk__com": "p=none; psd=y"}, "a.uk.com", "b.uk.com", False),
        ({"uk__com": "p=none; psd=y"}, "x.a.uk.com", "a.uk.com", True),
        ({"uk__com": "p=none; psd=y"}, "a.uk.com", "uk.com", False),
        ({"uk__com": "p=none; psd=y"}, "uk.com", "a.uk.com", False),
        ({"uk__com": "p=none; psd=y", "com": "p=none; psd=y"}, "uk.com", "com", False),
    ],
)
async def test_alignment(records, author, identifier, is_aligned):
    names = published(**records)
    by_spf = await checked(names, author, spf_pass(identifier))
    assert (by_spf.is_spf_aligned, by_spf.is_dkim_aligned) == (is_aligned, False)
    assert by_spf.result is (Result.PASS if is_aligned else Result.FAIL)
    by_dkim = await checked(names, author, dkim=[dkim_pass("other.example"), dkim_pass(identifier)])
    assert (by_dkim.is_spf_aligned, by_dkim.is_dkim_aligned) == (False, is_aligned)
    assert by_dkim.result is by_spf.result


async def test_without_a_policy_only_the_same_domain_stands_behind_a_message():
    same = await checked({}, "example.com", dkim=[dkim_pass("example.com")])
    assert (same.result, same.is_dkim_aligned) == (Result.NONE, True)
    parent = await checked({}, "news.example.com", dkim=[dkim_pass("example.com")])
    assert (parent.result, parent.is_dkim_aligned) == (Result.NONE, False)


@pytest.mark.parametrize("result", [each for each in Result if each not in {Result.PASS, Result.TEMPERROR}])
async def test_only_a_pass_counts(result):
    found = await checked(
        published(example__com="p=reject"),
        "example.com",
        SpfResult(result, "example.com"),
        [DkimResult(result, "example.com")],
    )
    assert found.result is Result.FAIL


async def test_attack_033_an_spf_pass_for_everybody_is_not_aligned():
    names = published(example__com="p=reject")
    found = await checked(names, "example.com", spf_pass("example.com", is_from_all=True))
    assert found.result is Result.FAIL
    assert not found.is_spf_aligned
    found = await checked({}, "example.com", spf_pass("example.com", is_from_all=True))
    assert not found.is_spf_aligned


# trouble with the DNS


@pytest.mark.parametrize("name", ["_dmarc.a.b.example.com", "_dmarc.b.example.com", "_dmarc.example.com", "_dmarc.com"])
async def test_a_policy_that_cannot_be_fetched_is_a_temperror(name):
    names = published(example__com="p=reject") | {name: UNAVAILABLE}
    found = await checked(names, "a.b.example.com", spf_pass("a.b.example.com"))
    assert found.result is Result.TEMPERROR
    assert found.policy == "none"


async def test_whether_a_domain_exists_must_be_known_where_it_matters():
    names = published(example__com="p=none; np=reject") | {"a.example.com": UNAVAILABLE}
    assert (await checked(names, "a.example.com")).result is Result.TEMPERROR
    names = published(example__com="p=reject") | {"a.example.com": UNAVAILABLE}
    assert (await checked(names, "a.example.com")).result is Result.FAIL


async def test_a_check_that_may_pass_later_makes_no_fail():
    names = published(example__com="p=reject")
    temporary_spf = SpfResult(Result.TEMPERROR, "a.example.com")
    temporary_dkim = DkimResult(Result.TEMPERROR, "example.com")
    assert (await checked(names, "example.com", temporary_spf)).result is Result.TEMPERROR
    assert (await checked(names, "example.com", dkim=[temporary_dkim])).result is Result.TEMPERROR
    assert (await checked(names, "example.com", temporary_spf, [dkim_pass("example.com")])).result is Result.PASS
    both = [temporary_dkim, dkim_pass("b.example.com")]
    assert (await checked(names, "example.com", dkim=both)).result is Result.PASS


async def test_what_could_never_be_aligned_may_fail_as_it_likes():
    names = published(example__com="p=reject")
    stranger = SpfResult(Result.TEMPERROR, "example.net")
    assert (
        await checked(names, "example.com", stranger, [DkimResult(Result.TEMPERROR, "x.example")])
    ).result is Result.FAIL


async def test_an_identifier_whose_organization_cannot_be_found_makes_no_fail():
    names = published(example__com="p=reject") | {"_dmarc.a.example.com": UNAVAILABLE}
    assert (await checked(names, "example.com", spf_pass("a.example.com"))).result is Result.TEMPERROR
    assert (
        await checked(names, "example.com", spf_pass("a.example.com"), [dkim_pass("example.com")])
    ).result is Result.PASS


# limits


async def test_a_name_that_does_not_answer_is_asked_once():
    zones = Zones({"_dmarc.d.a.example": {"TXT": [b"v=DMARC1; p=reject"]}, "_dmarc.a.example": UNAVAILABLE})
    signers = [dkim_pass("a.example"), dkim_pass("c.a.example")]
    found = await dmarc.check(zones, "d.a.example", NO_SPF, signers)
    assert found.result is Result.TEMPERROR
    assert [name for name, _ in zones.questions].count("_dmarc.a.example") == 1


async def test_a_long_name_costs_eight_questions():
    zones = Zones(published(example__com="p=none"))
    await dmarc.check(zones, ".".join("abcdefghijklmnopqrstuvwxyz") + ".example.com", NO_SPF, ())
    assert len(zones.questions) == 8


async def test_no_record_is_asked_for_twice():
    zones = Zones(published(example__com="p=reject"))
    signers = [dkim_pass(f"{label}.example.com") for label in "abcdefgh"]
    await dmarc.check(zones, "news.example.com", spf_pass("mail.example.com"), [*signers, *signers])
    assert len(set(zones.questions)) == len(zones.questions)


async def test_signers_elsewhere_cost_nothing():
    zones = Zones(published(example__com="p=reject"))
    await dmarc.check(zones, "example.com", NO_SPF, [dkim_pass(f"{n}.victim.example") for n in range(10)])
    assert not [name for name, _ in zones.questions if "victim" in name]
