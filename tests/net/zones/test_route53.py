"""Record sets of Route 53: merging, and who was quicker; with answers in the form of the API."""

from datetime import UTC, datetime
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest

from mailstead.model.errors import WebFailed
from mailstead.model.secret import Secret
from mailstead.net.zones.route53 import LOOKS_MAX, TRIES_MAX, Route53Zones
from mailstead.policy.dns_records import quoted
from mailstead.ports.web import WebResponse
from mailstead.ports.zones import NoZone, ZoneRefused

NAMESPACE = "https://route53.amazonaws.com/doc/2013-04-01/"
OWNER = "_acme-challenge.example.test"


def document(root, inner):
    return f'<?xml version="1.0"?>\n<{root} xmlns="{NAMESPACE}">{inner}</{root}>'.encode()


def error(code, message=""):
    return document(
        "ErrorResponse", f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    )


class Api:
    """Keeps record sets, and changes one only for who knows it as it is."""

    def __init__(self):
        self.zones = [("Z1", "example.test.", "false"), ("Z2", "sub.example.test.", "false"), ("Z3", "a.test.", "true")]
        self.sets = {}
        """(name with final dot, type) → (TTL, values as on the wire)."""
        self.special = ""
        self.others = []
        """What others do between our reading and our writing: functions, the next first."""
        self.answers = []
        self.looks_until_sync = 1
        self.requests = []

    async def send(self, method, url, octets, headers, *, octets_max):
        assert octets_max > 1_000_000
        assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=KEY/20260101/us-east-1/route53/")
        path, _, query_part = url.removeprefix("https://api.test/2013-04-01/").partition("?")
        query = dict(pair.split("=") for pair in query_part.split("&")) if query_part else {}
        self.requests.append((method, path))
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return WebResponse(*answer)
        if path == "hostedzone":
            return WebResponse(200, {}, self._zones(query))
        if path.startswith("change/"):
            self.looks_until_sync -= 1
            status = "PENDING" if self.looks_until_sync > 0 else "INSYNC"
            return WebResponse(
                200, {}, document("GetChangeResponse", f"<ChangeInfo><Status>{status}</Status></ChangeInfo>")
            )
        if method == "GET":
            return WebResponse(200, {}, self._sets(query))
        if self.others:
            self.others.pop(0)()
        return WebResponse(*self._change(ET.fromstring(octets)))

    def _zones(self, query):
        at = int(query.get("marker", "0"))
        each, more = self.zones[at], at + 1 < len(self.zones)
        return document(
            "ListHostedZonesResponse",
            f"<HostedZones><HostedZone><Id>/hostedzone/{each[0]}</Id><Name>{each[1]}</Name><Config><PrivateZone>{each[2]}"
            f"</PrivateZone></Config></HostedZone></HostedZones><IsTruncated>{str(more).lower()}</IsTruncated>"
            + (f"<NextMarker>{at + 1}</NextMarker>" if more else ""),
        )

    def _sets(self, query):
        if self.special:
            inner = self.special
        else:
            following = sorted(key for key in self.sets if key >= (query["name"], query["type"]))[:1]
            inner = "".join(self._set(*key) for key in following)
        return document("ListResourceRecordSetsResponse", f"<ResourceRecordSets>{inner}</ResourceRecordSets>")

    def _set(self, name, kind):
        ttl_s, values = self.sets[name, kind]
        records = "".join(f"<ResourceRecord><Value>{value}</Value></ResourceRecord>" for value in values)
        return (
            f"<ResourceRecordSet><Name>{name}</Name><Type>{kind}</Type><TTL>{ttl_s}</TTL><ResourceRecords>{records}"
            "</ResourceRecords></ResourceRecordSet>"
        )

    def _change(self, batch):
        sets = dict(self.sets)
        for change in batch.iterfind(".//{*}Change"):
            key = (change.findtext(".//{*}Name"), change.findtext(".//{*}Type"))
            values = [each.text for each in change.iterfind(".//{*}Value")]
            held = (int(change.findtext(".//{*}TTL")), values)
            if change.findtext("{*}Action") == "DELETE":
                if sets.pop(key, None) != held:
                    return 400, {}, error("InvalidChangeBatch", "the values provided do not match the current values")
            elif key in sets:
                return 400, {}, error("InvalidChangeBatch", "but it already exists")
            else:
                sets[key] = held
        self.sets = sets
        return 200, {}, document("ChangeResourceRecordSetsResponse", "<ChangeInfo><Id>/change/C1</Id></ChangeInfo>")

    def texts(self, name=OWNER):
        return self.sets.get((f"{name}.", "TXT"), (0, []))[1]


@pytest.fixture
def api():
    return Api()


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def zones(api, pauses):
    async def pause(seconds):
        pauses.append(seconds)

    clock = SimpleNamespace(now=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    return Route53Zones(api, clock, "KEY", Secret("secret"), "https://api.test/", pause=pause)


async def test_values_of_a_name_share_a_set(zones, api):
    await zones.add(OWNER, "TXT", "one", 0)
    await zones.add(OWNER, "TXT", "two", 60)
    await zones.add(OWNER, "TXT", "two", 60)
    assert api.sets == {(f"{OWNER}.", "TXT"): (0, ['"one"', '"two"'])}
    assert await zones.values(OWNER, "TXT") == ["one", "two"]
    await zones.remove(OWNER, "TXT", "one")
    await zones.remove(OWNER, "TXT", "one")
    assert api.texts() == ['"two"']
    await zones.remove(OWNER, "TXT", "two")
    assert api.sets == {}


async def test_what_others_have_written_stays_as_they_wrote_it(zones, api):
    api.sets[f"{OWNER}.", "TXT"] = (300, ['"a" "b"'])
    await zones.add(OWNER, "TXT", "x" * 300, 0)
    assert api.sets[f"{OWNER}.", "TXT"] == (300, ['"a" "b"', quoted("x" * 300)])
    assert await zones.values(OWNER, "TXT") == ["ab", "x" * 300]


async def test_a_record_takes_the_place_of_others(zones, api):
    api.sets["example.test.", "TXT"] = (300, ['"v=spf1 -all"', '"verification=1"'])
    await zones.replace("example.test", "TXT", ["v=spf1 -all"], "v=spf1 mx -all", 3600)
    assert api.texts("example.test") == ['"verification=1"', '"v=spf1 mx -all"']


async def test_who_was_quicker_is_not_overwritten(zones, api):
    def another():
        api.sets[f"{OWNER}.", "TXT"] = (0, [*api.texts(), '"another"'])

    api.others = [another, another]
    await zones.add(OWNER, "TXT", "ours", 0)
    assert api.texts() == ['"another"', '"another"', '"ours"']

    api.others = [api.sets.clear]
    await zones.remove(OWNER, "TXT", "ours")
    assert api.sets == {}


async def test_not_for_ever(zones, api):
    numbers = iter(range(100))
    api.others = [lambda: api.sets.update({(f"{OWNER}.", "TXT"): (0, [f'"{next(numbers)}"'])})] * (TRIES_MAX + 1)
    with pytest.raises(ZoneRefused, match="all the time"):
        await zones.add(OWNER, "TXT", "ours", 0)


async def test_a_batch_that_is_refused_for_itself_is_told(zones, api):
    await zones.values(OWNER, "TXT")
    read = (200, {}, document("ListResourceRecordSetsResponse", "<ResourceRecordSets/>"))
    inner = "<Messages><Message>RRSet of type CNAME is not permitted</Message></Messages>"
    api.answers = [read, (400, {}, document("InvalidChangeBatch", inner)), read]
    with pytest.raises(ZoneRefused, match=r"\(InvalidChangeBatch\): RRSet of type CNAME is not permitted"):
        await zones.add(OWNER, "CNAME", "a.test.", 0)


async def test_too_many_requests_are_tried_again_after_a_pause(zones, api, pauses):
    await zones.values(OWNER, "TXT")
    api.answers = [(400, {}, error("Throttling", "Rate exceeded"))] * 2
    await zones.add(OWNER, "TXT", "ours", 0)
    assert api.texts() == ['"ours"']
    assert len(pauses) == 2
    api.answers = [(400, {}, error("Throttling", "Rate exceeded"))] * TRIES_MAX
    with pytest.raises(ZoneRefused, match="Rate exceeded"):
        await zones.values(OWNER, "TXT")


async def test_the_longest_public_zone_is_the_one(zones, api):
    await zones.add("_acme-challenge.b.sub.example.test", "TXT", "x", 0)
    assert api.requests[-1] == ("POST", "hostedzone/Z2/rrset")
    with pytest.raises(NoZone, match=r"no public hosted zone for mail.a.test"):
        await zones.values("mail.a.test", "TXT")


async def test_a_set_that_comes_after_is_another_one(zones, api):
    api.sets["z.example.test.", "TXT"] = (300, ['"x"'])
    assert await zones.values("a.example.test", "TXT") == ()


@pytest.mark.parametrize(
    "inner", ["<AliasTarget><DNSName>a.test.</DNSName></AliasTarget>", "<SetIdentifier>1</SetIdentifier><TTL>0</TTL>"]
)
async def test_sets_that_hold_no_plain_values_are_left_alone(zones, api, inner):
    name = f"<Name>{OWNER}.</Name><Type>TXT</Type>"
    api.special = f"<ResourceRecordSet>{name}{inner}</ResourceRecordSet>"
    with pytest.raises(ZoneRefused, match="alias or has a routing policy"):
        await zones.add(OWNER, "TXT", "x", 0)


async def test_all_servers_have_a_change_before_it_counts(zones, api, pauses):
    await zones.add(OWNER, "TXT", "x", 0)
    api.looks_until_sync = 3
    await zones.settle()
    assert len(pauses) == 2
    assert api.requests.count(("GET", "change/C1")) == 3
    await zones.settle()
    assert api.requests.count(("GET", "change/C1")) == 3, "there is nothing more to wait for"


async def test_it_is_not_waited_for_ever(zones, api, pauses):
    await zones.add(OWNER, "TXT", "x", 0)
    api.looks_until_sync = 1000
    await zones.settle()
    assert len(pauses) == LOOKS_MAX - 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((403, {}, error("InvalidClientTokenId", "The token is invalid")), r"see dns_provider.aws_access_key_id"),
        ((403, {}, error("SignatureDoesNotMatch")), r"see dns_provider.aws_secret_access_key"),
        ((403, {}, error("AccessDenied", "not authorized")), "GetChange"),
        ((403, {}, error("AccessDeniedException", "not authorized")), "GetChange"),
        ((502, {}, b"<html>"), "status 502"),
        ((200, {}, b""), "status 200"),
        ((200, {}, b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'), "status 200"),
        (WebFailed("no answer"), "cannot be asked: no answer"),
    ],
)
async def test_what_goes_wrong_is_told(zones, api, answer, said):
    api.answers = [answer]
    with pytest.raises(ZoneRefused, match=said) as raised:
        await zones.values(OWNER, "TXT")
    assert "secret" not in raised.value.public_text.replace("aws_secret", "")
