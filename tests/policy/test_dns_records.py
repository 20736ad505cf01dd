"""The records to publish, and how a zone file has them: read back by dnspython, as a name server would."""

import dns.rdatatype
import dns.zone
import pytest

from mailstead.model.directory import DomainTerms, KeyState
from mailstead.policy.client_setup import Offer
from mailstead.policy.dns_records import (
    MailHost,
    PublishedSelector,
    quoted,
    records_of_domain,
    records_of_host,
    zone_line,
)

HOST = MailHost(
    "mx.example.test",
    ("192.0.2.7", "2001:db8::7"),
    (Offer("submission", 465, is_tls=True), Offer("imap", 143, is_tls=False), Offer("sieve", 4190, is_tls=False)),
    "ab" * 32,
    "Let's Encrypt",
)
LONG = "v=DKIM1; k=rsa; p=" + "A" * 400
SELECTORS = [
    PublishedSelector("a._domainkey.example.test", LONG, "rsa-sha256", KeyState.ACTIVE),
    PublishedSelector("p._domainkey.example.test", "v=DKIM1; k=ed25519; p=BBBB", "ed25519-sha256", KeyState.PENDING),
    PublishedSelector("r._domainkey.example.test", "v=DKIM1; k=ed25519; p=CCCC", "ed25519-sha256", KeyState.RETIRED),
]


def of_domain(**changes):
    terms = DomainTerms(**{key: value for key, value in changes.items() if key != "smarthost_host"})
    return list(records_of_domain("example.test", terms, HOST, SELECTORS, changes.get("smarthost_host", "")))


def in_zone(records):
    """What a name server makes of the lines."""
    soa = "example.test. 3600 IN SOA ns.example.test. x.example.test. 1 1 1 1 1\nexample.test. 3600 IN NS ns.example.test."
    text = "\n".join([soa, *map(zone_line, records)]) + "\n"
    return dns.zone.from_text(text, origin="example.test", relativize=False)


def found(zone, name, kind):
    rdataset = zone.find_rdataset(f"{name}.", dns.rdatatype.from_text(kind))
    return [b"".join(each.strings).decode() if kind == "TXT" else each.to_text() for each in rdataset]


def test_a_name_server_reads_all_lines_as_they_are_meant():
    records = [*records_of_host(HOST), *of_domain()]
    zone = in_zone(records)
    for record in records:
        values = found(zone, record.name, record.kind)
        assert record.value in values, record
    assert found(zone, "example.test", "MX") == ["10 mx.example.test."]
    assert found(zone, "_25._tcp.mx.example.test", "TLSA") == ["3 1 1 " + "ab" * 32]
    assert found(zone, "mx.example.test", "CAA") == ['0 issue "letsencrypt.org"']
    assert found(zone, "_submissions._tcp.example.test", "SRV") == ["0 1 465 mx.example.test."]
    assert found(zone, "_imap._tcp.example.test", "SRV") == ["10 1 143 mx.example.test."]
    for label in ("mta-sts", "autoconfig", "autodiscover", "openpgpkey"):
        assert found(zone, f"{label}.example.test", "CNAME") == ["mx.example.test."]
    assert found(zone, "_imaps._tcp.example.test", "SRV") == ["0 0 0 ."]
    assert found(zone, "a._domainkey.example.test", "TXT") == [LONG]


@pytest.mark.parametrize("length", [0, 1, 254, 255, 256, 510, 511, 2000])
def test_texts_are_cut_into_strings_of_255(length):
    text = quoted("x" * length)
    strings = [each.strip('"') for each in text.split(" ")]
    assert "".join(strings) == "x" * length
    assert all(len(each) <= 255 for each in strings)


def test_what_would_end_a_string_is_escaped():
    assert quoted('a"b\\c') == '"a\\"b\\\\c"'


def test_every_record_says_why():
    for record in [*records_of_host(HOST), *of_domain()]:
        assert len(record.why) > 20
        assert "\n" not in record.why


def test_keys_in_all_states_are_published():
    records = {record.name: record for record in of_domain() if record.purpose == "dkim"}
    assert set(records) == {each.name for each in SELECTORS}
    assert "signs our mail" in records["a._domainkey.example.test"].why
    assert "activated" in records["p._domainkey.example.test"].why
    assert "dkim remove" in records["r._domainkey.example.test"].why


def test_spf_names_where_mail_leaves():
    spf = {record.purpose: record.value for record in of_domain(source_ipv4="192.0.2.9")}["spf"]
    assert spf == "v=spf1 mx ip4:192.0.2.9 -all"
    relayed = {record.purpose: record for record in of_domain(smarthost_host="relay.test")}["spf"]
    assert relayed.value == "v=spf1 mx a:relay.test ~all"
    assert "include:" in relayed.why


def test_the_id_of_mta_sts_changes_with_the_policy():
    ids = {
        mode: {record.purpose: record.value for record in of_domain(mta_sts_mode=mode)}["mta-sts"]
        for mode in ("enforce", "testing", "none")
    }
    assert len(set(ids.values())) == 3
    assert ids["enforce"] == {record.purpose: record.value for record in of_domain()}["mta-sts"]


def test_what_is_not_known_is_no_line_of_the_zone():
    records = list(records_of_host(MailHost("mx.example.test")))
    assert [record.purpose for record in records] == ["host", "helo", "caa"]
    assert zone_line(records[0]).startswith("; mx.example.test. 3600 IN A <")
    assert zone_line(records[2]).startswith("; ")
    in_zone(records)


def test_calendars_and_contacts_are_found_by_srv_and_path():
    """RFC 6764 §3, §4."""
    host = MailHost("mx.example.test", offers=(Offer("caldav", 443, is_tls=True),))
    found = {(each.name, each.kind): each.value for each in records_of_domain("example.test", DomainTerms(), host, [])}
    assert found["_caldavs._tcp.example.test", "SRV"] == "0 1 443 mx.example.test."
    assert found["_caldavs._tcp.example.test", "TXT"] == "path=/dav/"
    assert found["_carddavs._tcp.example.test", "SRV"] == "0 0 0 ."
    assert ("_carddavs._tcp.example.test", "TXT") not in found
