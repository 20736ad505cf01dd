"""What of the plan is in the zone already, what is added, and that nothing is replaced unseen."""

import pytest

from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchDomain, NotAllowed
from mailstead.policy.dns_records import Record
from mailstead.ports.zones import NoZone, ZoneRefused
from mailstead.usecases.dns_writing import DnsWriting, RecordState


class Plan:
    def __init__(self):
        self.host = [
            Record("host", "mail.test", "A", "192.0.2.1", ""),
            Record("host", "mail.test", "AAAA", "2001:DB8::1", ""),
            Record("helo", "mail.test", "TXT", "v=spf1 a -all", "", is_optional=True),
            Record("tlsa", "_25._tcp.mail.test", "TLSA", "3 1 1 abcd", "", is_optional=True),
            Record("caa", "mail.test", "CAA", '0 issue "<your authority>"', "", is_optional=True, is_template=True),
        ]
        self.domain = [
            Record("mx", "example.test", "MX", "10 mail.test.", ""),
            Record("spf", "example.test", "TXT", "v=spf1 mx -all", ""),
            Record("dkim", "s1._domainkey.example.test", "TXT", "v=DKIM1; p=abc", ""),
            Record("dmarc", "_dmarc.example.test", "TXT", "v=DMARC1; p=quarantine", ""),
            Record("autoconfig", "autoconfig.example.test", "CNAME", "mail.test.", "", is_optional=True),
        ]

    async def of_host(self, actor):
        actor.must_be_admin()
        return self.host

    async def of_domain(self, actor, name):
        if name != "example.test":
            raise NoSuchDomain
        return self.domain


class Zones:
    """Zones as a dictionary: (name, type) → values in normal form."""

    def __init__(self):
        self.held = {}
        self.asked = []
        self.has_no = set()
        self.refused = set()

    def _must_have(self, name):
        if name in self.has_no:
            raise NoZone(f"no zone for {name}")

    async def values(self, name, kind):
        self.asked.append((name, kind))
        self._must_have(name)
        return tuple(self.held.get((name, kind), ()))

    async def add(self, name, kind, value, ttl_s):
        assert ttl_s == 3600
        await self.replace(name, kind, (), value, ttl_s)

    async def replace(self, name, kind, old, value, ttl_s):
        assert ttl_s == 3600
        self._must_have(name)
        if name in self.refused:
            raise ZoneRefused(f"not {name}")
        held = [each for each in self.held.get((name, kind), ()) if each not in old and each != value]
        self.held[name, kind] = [*held, value]


@pytest.fixture
def plan():
    return Plan()


@pytest.fixture
def zones():
    return Zones()


@pytest.fixture
def writing(plan, zones):
    return DnsWriting(plan, zones)


def states(compared):
    return {each.record.purpose: each.state.value for each in compared}


def of(compared, purpose):
    [found] = [each for each in compared if each.record.purpose == purpose]
    return found


async def test_what_is_missing_is_added_and_then_there(writing, zones, admin):
    compared = await writing.look(admin, "example.test")
    assert set(states(compared).values()) == {"missing"}
    assert [each.record.purpose for each in compared] == ["host", "host", "mx", "spf", "dkim", "dmarc"]
    assert {each.state for each in await writing.write(admin, compared)} == {RecordState.ADDED}
    zones.held["mail.test", "AAAA"] = ["2001:db8::1"]  # providers give them in this form
    assert set(states(await writing.look(admin, "example.test")).values()) == {"there"}


async def test_to_write_again_does_nothing(writing, zones, admin):
    await writing.write(admin, await writing.look(admin, "example.test"))
    zones.held["mail.test", "AAAA"] = ["2001:db8::1"]
    before = {key: list(values) for key, values in zones.held.items()}
    again = await writing.write(admin, await writing.look(admin, "example.test"))
    assert {each.state for each in again} == {RecordState.THERE}
    assert zones.held == before


async def test_optional_ones_are_left_out_unless_wanted_and_templates_are_never_written(writing, zones, admin):
    compared = await writing.look(admin, "example.test", has_optional=True)
    found = states(compared)
    assert (found["helo"], found["tlsa"], found["caa"], found["autoconfig"]) == (
        "missing",
        "missing",
        "template",
        "missing",
    )
    await writing.write(admin, compared)
    assert zones.held["_25._tcp.mail.test", "TLSA"] == ["3 1 1 abcd"]
    assert ("mail.test", "CAA") not in zones.held


@pytest.mark.parametrize(
    ("purpose", "key", "other"),
    [
        ("mx", ("example.test", "MX"), "10 old.test."),
        ("spf", ("example.test", "TXT"), "v=spf1 include:_spf.other.test -all"),
        ("spf", ("example.test", "TXT"), "V=SPF1 -all"),
        ("dmarc", ("_dmarc.example.test", "TXT"), "v=DMARC1;p=reject"),
        ("dkim", ("s1._domainkey.example.test", "TXT"), "v=DKIM1; p=other"),
        ("autoconfig", ("autoconfig.example.test", "CNAME"), "other.test."),
    ],
)
async def test_what_differs_is_shown_and_replaced_only_if_handed_in(writing, zones, admin, purpose, key, other):
    zones.held[key] = [other]
    compared = await writing.look(admin, "example.test", has_optional=True)
    differing = of(compared, purpose)
    assert (differing.state, differing.found, differing.is_replaceable) == (RecordState.DIFFERS, (other,), True)
    await writing.write(admin, [each for each in compared if not each.is_replaceable])
    assert zones.held[key] == [other]
    [replaced] = await writing.write(admin, [differing])
    assert replaced.state is RecordState.REPLACED
    assert replaced.found == (other,)
    assert zones.held[key] == [differing.record.value]


async def test_other_texts_of_the_name_are_none_of_our_business(writing, zones, admin):
    zones.held["example.test", "TXT"] = ["google-site-verification=1", "v=spf10 is another thing"]
    compared = await writing.look(admin, "example.test")
    assert of(compared, "spf").state is RecordState.MISSING
    await writing.write(admin, compared)
    assert len(zones.held["example.test", "TXT"]) == 3


async def test_two_records_that_spoil_each_other_differ(writing, zones, admin):
    zones.held["example.test", "TXT"] = ["v=spf1 mx -all", "v=spf1 -all", "other"]
    spf = of(await writing.look(admin, "example.test"), "spf")
    assert (spf.state, spf.found) == (RecordState.DIFFERS, ("v=spf1 -all",))
    await writing.write(admin, [spf])
    assert sorted(zones.held["example.test", "TXT"]) == ["other", "v=spf1 mx -all"]


async def test_several_planned_values_of_a_name_are_not_in_each_others_way(writing, plan, zones, admin):
    plan.host.insert(1, Record("host", "mail.test", "A", "192.0.2.2", ""))
    zones.held["mail.test", "A"] = ["192.0.2.2"]
    first, second, *_ = await writing.look(admin, "example.test")
    assert (first.state, second.state) == (RecordState.MISSING, RecordState.THERE)
    zones.held["mail.test", "A"] = ["198.51.100.9"]
    compared = (await writing.look(admin, "example.test"))[:2]
    assert [each.found for each in compared] == [("198.51.100.9",)] * 2
    await writing.write(admin, compared)
    assert zones.held["mail.test", "A"] == ["192.0.2.1", "192.0.2.2"]


async def test_a_second_mail_host_may_stay(writing, zones, admin):
    zones.held["example.test", "MX"] = ["10 mail.test.", "20 backup.test."]
    assert of(await writing.look(admin, "example.test"), "mx").state is RecordState.THERE


async def test_the_key_of_a_certificate_to_come_is_put_beside(writing, zones, admin):
    zones.held["_25._tcp.mail.test", "TLSA"] = ["3 1 1 ffff"]
    tlsa = of(await writing.look(admin, "example.test", has_optional=True), "tlsa")
    assert tlsa.state is RecordState.MISSING
    await writing.write(admin, [tlsa])
    assert zones.held["_25._tcp.mail.test", "TLSA"] == ["3 1 1 ffff", "3 1 1 abcd"]


async def test_where_host_and_domain_are_one_name_there_is_one_spf(writing, plan, admin):
    plan.domain[1] = Record("spf", "mail.test", "TXT", "v=spf1 mx -all", "")
    compared = await writing.look(admin, "example.test", has_optional=True)
    assert "helo" not in states(compared)


@pytest.mark.parametrize(("address", "state"), [("192.0.2.1", "there"), ("198.51.100.9", "differs")])
async def test_addresses_in_the_place_of_an_alias(writing, zones, admin, address, state):
    zones.held["autoconfig.example.test", "A"] = [address]
    alias = of(await writing.look(admin, "example.test", has_optional=True), "autoconfig")
    assert alias.state.value == state
    assert not alias.is_replaceable
    assert await writing.write(admin, [alias]) == [alias]
    assert ("autoconfig.example.test", "CNAME") not in zones.held


async def test_a_name_in_nobodys_zone_spoils_nothing_else(writing, zones, admin):
    zones.has_no = {"mail.test"}
    compared = await writing.look(admin, "example.test")
    assert [each.reason for each in compared if each.state is RecordState.REFUSED] == ["no zone for mail.test"] * 2
    written = await writing.write(admin, compared)
    assert states(written) == {"host": "refused", "mx": "added", "spf": "added", "dkim": "added", "dmarc": "added"}


async def test_a_record_that_is_refused_spoils_nothing_else(writing, zones, admin):
    zones.refused = {"_dmarc.example.test"}
    written = await writing.write(admin, await writing.look(admin, "example.test"))
    assert (of(written, "dmarc").state, of(written, "dmarc").reason) == (RecordState.REFUSED, "not _dmarc.example.test")
    assert of(written, "dkim").state is RecordState.ADDED


async def test_each_name_and_type_is_asked_for_once(writing, zones, admin):
    await writing.look(admin, "example.test", has_optional=True)
    assert len(zones.asked) == len(set(zones.asked))


async def test_only_administrators(writing):
    nobody = Actor(None, None)
    with pytest.raises(NoSuchDomain):
        await writing.look(nobody, "example.test")
    with pytest.raises(NotAllowed):
        await writing.write(nobody, [])


async def test_a_domain_that_is_not_ours(writing, admin):
    with pytest.raises(NoSuchDomain):
        await writing.look(admin, "other.test")
