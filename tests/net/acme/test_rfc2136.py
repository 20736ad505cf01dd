"""Updates of a zone, against a name server made with dnspython."""

import asyncio
import struct

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rrset
import dns.tsig
import pytest

from mailstead.model.errors import BadSettings
from mailstead.model.secret import Secret
from mailstead.net.acme import rfc2136
from mailstead.net.acme.challenges import dns_value
from mailstead.net.acme.problems import AcmeFailed
from mailstead.net.acme.rfc2136 import DnsProver, tsig_key
from mailstead.net.acme.secondaries import Shown
from mailstead.net.dns_exchange import NameServer
from mailstead.net.dns_wire import name_of
from mailstead.ports.clock import SystemClock

KEY_TEXT = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
RING = {dns.name.from_text("acme-key."): dns.tsig.Key("acme-key.", KEY_TEXT, "hmac-sha256")}
TOKEN, AUTHORIZATION = "token", "token.thumbprint"


class Updatable:
    """Holds TXT records of one zone, over TCP."""

    def __init__(self, zone="mail.test."):
        self.zone = dns.name.from_text(zone)
        self.texts = set()
        self.asked = []
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
            name = message.question[0].name
            self.asked.append(str(name))
            if name == self.zone:
                soa = "ns. hostmaster. 1 1 1 1 1"
                response.answer.append(dns.rrset.from_text(name, 60, "IN", "SOA", soa))
            elif not name.is_subdomain(self.zone):
                response.set_rcode(dns.rcode.REFUSED)
            return response.to_wire()
        assert message.had_tsig
        response.set_rcode(self.rcode)
        if self.rcode == dns.rcode.NOERROR:
            assert message.zone[0].name == self.zone
            for rrset in message.update:
                for text in rrset:
                    record = (str(rrset.name), str(text))
                    if rrset.deleting == dns.rdataclass.NONE:
                        self.texts.discard(record)
                    else:
                        self.texts.add(record)
        return response.to_wire()


@pytest.fixture
async def updatable():
    return Updatable()


@pytest.fixture
async def prover(updatable):
    at = await updatable.start()

    async def seen(server, records):
        updatable.waited_for = (server, records)

    yield DnsProver(at, tsig_key("acme-key", Secret(KEY_TEXT)), SystemClock(), seen)
    updatable.server.close()


@pytest.mark.parametrize("name", ["mail.test", "a.b.mail.test", "*.mail.test"])
async def test_a_record_is_put_up_and_taken_away(prover, updatable, name):
    await prover.prove(name, TOKEN, AUTHORIZATION)
    await prover.prove(name, TOKEN, "another")
    owner = f"_acme-challenge.{name.removeprefix('*.')}."
    assert updatable.texts == {(owner, f'"{dns_value(each)}"') for each in (AUTHORIZATION, "another")}
    await prover.clear(name, TOKEN, AUTHORIZATION)
    assert updatable.texts == {(owner, f'"{dns_value("another")}"')}, "the other proof of the name stays"


async def test_what_is_up_is_waited_for_once(prover, updatable):
    await prover.prove("a.mail.test", TOKEN, AUTHORIZATION)
    await prover.settle()
    shown = Shown(name_of("mail.test"), name_of("_acme-challenge.a.mail.test"), dns_value(AUTHORIZATION).encode())
    assert updatable.waited_for == (prover._server, [shown])
    await prover.settle()
    assert updatable.waited_for == (prover._server, [])


async def test_the_zone_is_looked_for_from_the_name_upwards(prover, updatable):
    await prover.prove("a.mail.test", TOKEN, AUTHORIZATION)
    assert updatable.asked == ["_acme-challenge.a.mail.test.", "a.mail.test.", "mail.test."]


async def test_a_name_of_no_zone_is_told(prover):
    with pytest.raises(AcmeFailed, match=r"no zone for _acme-challenge.elsewhere.test"):
        await prover.prove("elsewhere.test", TOKEN, AUTHORIZATION)


async def test_a_refusal_is_told(prover, updatable):
    updatable.rcode = dns.rcode.REFUSED
    with pytest.raises(AcmeFailed, match=r"REFUSED.*let the key update"):
        await prover.prove("mail.test", TOKEN, AUTHORIZATION)


async def test_a_server_that_is_not_there_is_told(prover, updatable):
    updatable.server.close()
    await updatable.server.wait_closed()
    with pytest.raises(AcmeFailed, match="cannot be reached"):
        await prover.prove("mail.test", TOKEN, AUTHORIZATION)


async def test_a_server_that_says_nothing_is_not_waited_for(prover, updatable, monkeypatch):
    monkeypatch.setattr(rfc2136, "LIMIT_S", 0.05)
    ended = asyncio.Event()

    async def serve(reader, writer):
        await reader.read()  # until the other side has gone
        writer.close()
        await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    prover._server = NameServer("127.0.0.1", server.sockets[0].getsockname()[1])
    with pytest.raises(AcmeFailed, match="in time"):
        await prover.prove("mail.test", TOKEN, AUTHORIZATION)
    await ended.wait()
    server.close()


@pytest.mark.parametrize("octets", [b"", b"x", b"\0" * 12, b"\xff" * 40])
async def test_answers_of_any_shape_are_told(prover, updatable, octets):
    updatable.raw = lambda asked: octets
    with pytest.raises(AcmeFailed):
        await prover.prove("mail.test", TOKEN, AUTHORIZATION)


async def test_an_update_that_is_confirmed_without_signature_is_not_believed(prover, updatable):
    answer = updatable.answer
    updatable.raw = lambda asked: answer(asked) if not asked[2] & 0x28 else asked[:2] + b"\xa8\0\0\0\0\0\0\0\0\0"
    with pytest.raises(AcmeFailed, match="not signed"):
        await prover.prove("mail.test", TOKEN, AUTHORIZATION)


@pytest.mark.parametrize("text", ["", "not base64!", "ä"])
def test_a_key_that_is_none_is_told(text):
    with pytest.raises(BadSettings, match=r"acme.rfc2136_key is not"):
        tsig_key("acme-key", Secret(text))


@pytest.mark.parametrize("name", ["", "x" * 64, "a..b"])
def test_a_name_that_can_be_no_keys_is_told(name):
    with pytest.raises(BadSettings, match="rfc2136_key_name"):
        tsig_key(name, Secret(KEY_TEXT))
