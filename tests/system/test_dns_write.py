"""All records of a domain written into a zone of a real name server (Knot) by signed updates, and looked at by others."""

import json

import pytest

from system.authority import UpdatableDns
from system.dns import ask
from system.server import ALICE, Server

pytestmark = [pytest.mark.full, pytest.mark.timeout(120)]


class WritableDns(UpdatableDns):
    """Takes updates of all types, not of proofs only."""

    def _knot_conf(self):
        return super()._knot_conf().replace("    update-type: [TXT]\n", "")


@pytest.fixture
def zones(tmp_path):
    with WritableDns(tmp_path, {"example.test": ["@ MX 10 old", "@ TXT verification=1"]}) as zones:
        yield zones


def answer(zones, name, kind):
    return sorted(
        str(each) for rrset in ask("127.0.0.1", zones.authoritative_port, name, kind).answer for each in rrset
    )


def test_a_plan_becomes_a_zone(tmp_path, zones):
    settings = {
        "MAILSTEAD_SERVER_HOSTNAME": "mail.example.test",
        "MAILSTEAD_SERVER_PUBLIC_ADDRESSES": "192.0.2.1,2001:db8::1",
        "MAILSTEAD_DNS_SERVERS": zones.resolver,
        "MAILSTEAD_DNS_PROVIDER_KIND": "rfc2136",
        "MAILSTEAD_DNS_PROVIDER_RFC2136_SERVER": zones.authoritative,
        "MAILSTEAD_DNS_PROVIDER_RFC2136_KEY_NAME": zones.key_name,
        "MAILSTEAD_DNS_PROVIDER_RFC2136_KEY": zones.key,
    }
    server = Server(tmp_path, settings)
    server.prepare(ALICE)

    def write(*words):
        records = json.loads(server.run("--json", "dns", "example.test", "--write", "--yes", "--all", *words))
        return {(each["purpose"], each["name"], each["value"]): each for each in records}

    first = write()
    assert {each["state"] for each in first.values()} == {"added", "differs", "template"}
    assert [each["found"] for each in first.values() if each["state"] == "differs"] == [["10 old.example.test."]]
    second = write("--replace")
    assert {each["state"] for each in second.values()} == {"there", "replaced", "template"}
    assert answer(zones, "example.test", "MX") == ["10 mail.example.test."]
    assert answer(zones, "example.test", "TXT") == ['"v=spf1 mx -all"', '"verification=1"']
    assert "192.0.2.1" in answer(zones, "mail.example.test", "A")
    assert answer(zones, "mta-sts.example.test", "CNAME") == ["mail.example.test."]
    assert {each["type"] for each in first.values() if each["state"] == "added"} >= {
        "A",
        "AAAA",
        "TXT",
        "CNAME",
        "SRV",
        "TLSA",
    }
    assert {each["state"] for each in write().values()} == {"there", "template"}
