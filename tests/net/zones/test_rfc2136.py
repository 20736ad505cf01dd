"""Updates of a zone, against a name server made with dnspython."""

import asyncio
import struct

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig
import pytest

from mailstead.model.errors import BadSettings
from mailstead.model.secret import Secret
from mailstead.net.dns_exchange import NameServer
from mailstead.net.zones import rfc2136
from mailstead.net.zones.rfc2136 import Rfc2136Zones, tsig_key
from mailstead.ports.clock import SystemClock
from mailstead.ports.zones import NoZone, ZoneRefused

KEY_TEXT = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
RING = {dns.name.from_text("acme-key."): dns.tsig.Key("acme-key.", KEY_TEXT, "hmac-sha256")}
VALUES = {
    "A": ("192.0.2.1", "192.0.2.2"),
    "AAAA": ("2001:db8::1", "2001:db8::2"),
    "CAA": ('0 issue "letsencrypt.org"', '128 issuewild ";"'),
    "MX": ("10 mail.mail.test.", "0 ."),
    "SRV": ("0 1 993 mail.mail.test.", "0 0 0 ."),
    "TLSA": ("3 1 1 " + "ab" * 32, "3 1 1 " + "cd" * 32),
    "TXT": ("v=DKIM1; p=" + "x" * 400, 'with "quotes" and \\'),
}


class Updatable:
    """Holds the records of one zone, over TCP."""

    def __init__(self, zone="mail.test."):
        self.zone = dns.name.from_text(zone)
        self.records = {}
        self.asked = []
        self.update_count = 0
        self.rcode = dns.rcode.NOERROR
        self.raw = None

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return NameServer("127.0.0.1", self.server.sockets[0].getsockname()[1])

    async def serve(self, reader, writer):
        asked = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
        answer = self.raw(asked) if self.raw else self.answer(asked)
        writer.write(struct.pack("!H", len(answer)) + answer)
        await writer.drain()
        writer.close()

    def answer(self, asked):
        message = dns.message.from_wire(asked, keyring=RING)
        response = dns.message.make_response(message)
        response.flags |= dns.flags.AA
        if message.opcode() == dns.opcode.QUERY:
            [question] = message.question
            held = self.records.get((question.name, question.rdtype))
            if question.rdtype == dns.rdatatype.SOA:
                self.asked.append(str(question.name))
            if not question.name.is_subdomain(self.zone):
                response.set_rcode(dns.rcode.REFUSED)
            elif question.name == self.zone and question.rdtype == dns.rdatatype.SOA:
                soa = "ns. hostmaster. 1 1 1 1 1"
                response.answer.append(dns.rrset.from_text(question.name, 60, "IN", "SOA", soa))
            elif held:
                response.answer.append(dns.rrset.from_rdata_list(question.name, 60, held))
            return response.to_wire()
        assert message.had_tsig
        self.update_count += 1
        response.set_rcode(self.rcode)
        if self.rcode == dns.rcode.NOERROR:
            assert message.zone[0].name == self.zone
            for rrset in message.update:
                held = self.records.setdefault((rrset.name, rrset.rdtype), [])
                for record in rrset:
                    if rrset.deleting == dns.rdataclass.NONE:
                        held[:] = [each for each in held if each != record]
                    elif record not in held:
                        held.append(record)
        return response.to_wire()


@pytest.fixture
async def updatable():
    return Updatable()


@pytest.fixture
async def zones(updatable):
    yield Rfc2136Zones(await updatable.start(), tsig_key("acme-key", Secret(KEY_TEXT)), SystemClock())
    updatable.server.close()


@pytest.mark.parametrize("kind", VALUES)
async def test_a_record_is_put_up_beside_others_and_taken_away(zones, kind):
    first, second = VALUES[kind]
    name = "_a.b.mail.test"
    assert list(await zones.values(name, kind)) == []
    await zones.add(name, kind, first, 60)
    await zones.add(name, kind, second, 60)
    await zones.add(name, kind, second, 60)
    assert sorted(await zones.values(name, kind)) == sorted([first, second])
    await zones.remove(name, kind, first)
    await zones.remove(name, kind, first)
    assert await zones.values(name, kind) == [second]


async def test_an_alias_is_put_up_and_not_followed(zones):
    await zones.add("mta-sts.mail.test", "CNAME", "mail.mail.test.", 60)
    assert await zones.values("mta-sts.mail.test", "CNAME") == ["mail.mail.test."]
    await zones.replace("mta-sts.mail.test", "CNAME", ["mail.mail.test."], "other.test.", 60)
    assert await zones.values("mta-sts.mail.test", "CNAME") == ["other.test."]


async def test_what_stands_at_the_end_of_an_alias_is_not_of_the_name(zones, updatable):
    true_answer = updatable.answer

    def answer(asked):
        query = dns.message.from_wire(asked)
        if query.question[0].rdtype == dns.rdatatype.SOA:
            return true_answer(asked)
        response = dns.message.make_response(query)
        name = query.question[0].name
        response.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", "other.test."))
        response.answer.append(dns.rrset.from_text("other.test.", 60, "IN", "TXT", "x"))
        return response.to_wire()

    updatable.raw = answer
    assert await zones.values("www.mail.test", "TXT") == ()


async def test_a_record_takes_the_place_of_others_in_one_step(zones, updatable):
    for value in ("v=spf1 -all", "verification=1", "v=spf1 mx -all"):
        await zones.add("mail.test", "TXT", value, 60)
    before = updatable.update_count
    await zones.replace("mail.test", "TXT", ["v=spf1 -all", "v=spf1 mx -all"], "v=spf1 mx -all", 60)
    assert sorted(await zones.values("mail.test", "TXT")) == ["v=spf1 mx -all", "verification=1"]
    assert updatable.update_count == before + 1


async def test_the_zone_is_looked_for_from_the_name_upwards(zones, updatable):
    await zones.add("_acme-challenge.a.mail.test", "TXT", "x", 0)
    assert updatable.asked == ["_acme-challenge.a.mail.test.", "a.mail.test.", "mail.test."]


async def test_a_name_of_no_zone_is_told(zones):
    with pytest.raises(NoZone, match=r"no zone for elsewhere.test"):
        await zones.add("elsewhere.test", "TXT", "x", 0)
    with pytest.raises(NoZone):
        await zones.values("elsewhere.test", "TXT")


@pytest.mark.parametrize(
    ("kind", "value"), [("A", "nowhere"), ("MX", "ten a.test."), ("MX", "70000 a.test."), ("X", "")]
)
async def test_a_value_that_can_be_none_is_told(zones, kind, value):
    with pytest.raises(ZoneRefused, match="no value of a record"):
        await zones.add("mail.test", kind, value, 0)


async def test_a_refusal_is_told(zones, updatable):
    updatable.rcode = dns.rcode.REFUSED
    with pytest.raises(ZoneRefused, match=r"REFUSED.*let the key update"):
        await zones.add("mail.test", "TXT", "x", 0)


async def test_a_server_that_is_not_there_is_told(zones, updatable):
    updatable.server.close()
    await updatable.server.wait_closed()
    with pytest.raises(ZoneRefused, match="cannot be reached"):
        await zones.add("mail.test", "TXT", "x", 0)


async def test_a_server_that_says_nothing_is_not_waited_for(zones, monkeypatch):
    monkeypatch.setattr(rfc2136, "LIMIT_S", 0.05)
    ended = asyncio.Event()

    async def serve(reader, writer):
        await reader.read()  # until the other side has gone
        writer.close()
        await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    zones._server = NameServer("127.0.0.1", server.sockets[0].getsockname()[1])
    with pytest.raises(ZoneRefused, match="in time"):
        await zones.add("mail.test", "TXT", "x", 0)
    await ended.wait()
    server.close()


@pytest.mark.parametrize("octets", [b"", b"x", b"\0" * 12, b"\xff" * 40])
async def test_answers_of_any_shape_are_told(zones, updatable, octets):
    updatable.raw = lambda asked: octets
    with pytest.raises(ZoneRefused):
        await zones.add("mail.test", "TXT", "x", 0)
    with pytest.raises(ZoneRefused):
        await zones.values("mail.test", "TXT")


async def test_an_update_that_is_confirmed_without_signature_is_not_believed(zones, updatable):
    answer = updatable.answer
    updatable.raw = lambda asked: answer(asked) if not asked[2] & 0x28 else asked[:2] + b"\xa8\0\0\0\0\0\0\0\0\0"
    with pytest.raises(ZoneRefused, match="not signed"):
        await zones.add("mail.test", "TXT", "x", 0)


@pytest.mark.parametrize("text", ["", "not base64!", "ä"])
def test_a_key_that_is_none_is_told(text):
    with pytest.raises(BadSettings, match=r"dns_provider.rfc2136_key is not"):
        tsig_key("acme-key", Secret(text))


@pytest.mark.parametrize("name", ["", "x" * 64, "a..b"])
def test_a_name_that_can_be_no_keys_is_told(name):
    with pytest.raises(BadSettings, match="rfc2136_key_name"):
        tsig_key(name, Secret(KEY_TEXT))
