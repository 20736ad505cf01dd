"""Probes against real sockets on loopback."""

import asyncio
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from mailstead.config.settings import Server, Settings
from mailstead.net.certificates import make_self_signed
from mailstead.net.probes import HostProbes
from mailstead.ports.probes import CertificateFacts, ProbeFailed


@pytest.fixture
def probes(tmp_path, pair):
    settings = replace(Settings(), server=Server(data_dir=tmp_path))
    return HostProbes(settings, pair[0], tmp_path / "key", "the key's place")


async def serve(say, tls=None):
    """A server that says something to each who comes; gives its address."""

    async def serve_one(reader, writer):
        await say(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0, ssl=tls)
    return server, f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_greeting_in_clear_text_and_over_tls(probes, pair):
    async def say(reader, writer):
        writer.write(b"220 mx.example.test \xff ready\r\nmore\r\n")
        await writer.drain()

    server, where = await serve(say)
    greeted = await probes.greeting(where, speaks="smtp", is_tls=False)
    assert greeted.line == "220 mx.example.test \\xff ready"
    assert greeted.key_digest == ""
    server.close()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    server, where = await serve(say, context)
    greeted = await probes.greeting(where, speaks="smtp", is_tls=True)
    assert greeted.key_digest == (await probes.certificate()).key_digest
    with pytest.raises(ProbeFailed):
        await probes.greeting(where.replace("127.0.0.1", "no port"), speaks="smtp", is_tls=True)
    server.close()


async def test_a_web_server_is_asked_first(probes):
    async def say(reader, writer):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HEAD / HTTP/1.1\r\nHost: ")
        writer.write(b"HTTP/1.1 421 x\r\n\r\n")
        await writer.drain()

    server, where = await serve(say)
    assert (await probes.greeting(where, speaks="http", is_tls=False)).line == "HTTP/1.1 421 x"
    server.close()


async def test_what_does_not_answer_says_why(probes):
    async def say(reader, writer):
        pass

    server, where = await serve(say)
    with pytest.raises(ProbeFailed, match="closed before it began"):
        await probes.greeting(where, speaks="smtp", is_tls=False)
    with pytest.raises(ProbeFailed, match=r"TLS fails|closed|reset"):
        await probes.greeting(where, speaks="smtp", is_tls=True)
    server.close()
    await server.wait_closed()
    with pytest.raises(ProbeFailed, match="refused"):
        await probes.port_25("127.0.0.1", int(where.rpartition(":")[2]))


class Mx:
    """Answers like a mail exchanger; takes what `takes` says."""

    def __init__(self, takes=(), mail="250 ok"):
        self.takes, self.mail = takes, mail
        self.lines = []
        self.conversation_count = 0

    async def say(self, reader, writer):
        self.conversation_count += 1
        writer.write(b"220 mx ready\r\n")
        while line := (await reader.readline()).decode().strip():
            self.lines.append(line)
            verb = line[:4].upper()
            answer = {"EHLO": "250 mx", "MAIL": self.mail, "RSET": "250 ok", "QUIT": "221 bye"}.get(verb, "550 no")
            if verb == "RCPT" and line[8:] in self.takes:
                answer = "250 ok"
            writer.write(answer.encode() + b"\r\n")
            await writer.drain()
            if verb == "QUIT":
                return


async def test_attack_012_the_self_test_says_what_was_taken_and_sends_nothing(probes):
    forms = [f"<victim{number}@elsewhere.test>" for number in range(30)]
    mx = Mx(takes={forms[3], forms[29]})
    server, where = await serve(mx.say)
    assert await probes.accepted_recipients(where, forms) == [forms[3], forms[29]]
    assert mx.conversation_count == 4
    assert [line[8:] for line in mx.lines if line.startswith("RCPT")] == forms
    assert not [line for line in mx.lines if line.startswith(("DATA", "BDAT", "AUTH"))]
    server.close()


async def test_attack_012_a_server_that_does_not_let_us_ask_is_not_called_closed(probes):
    mx = Mx(mail="421 not now")
    server, where = await serve(mx.say)
    with pytest.raises(ProbeFailed, match="not now"):
        await probes.accepted_recipients(where, ["<a@elsewhere.test>"])
    server.close()


async def test_what_a_certificate_says(probes, tmp_path):
    certificate = await probes.certificate()
    assert certificate.names == ("localhost",)
    assert certificate.is_self_signed
    assert certificate.not_after > certificate.not_before
    make_self_signed(tmp_path / "c.pem", tmp_path / "k.pem", "other.test")
    other = HostProbes(Settings(), tmp_path / "c.pem", None, "")
    assert (await other.certificate()).key_digest != certificate.key_digest
    (tmp_path / "c.pem").write_text("rubbish")
    with pytest.raises(ProbeFailed, match="is no certificate"):
        await other.certificate()
    (tmp_path / "c.pem").unlink()
    with pytest.raises(ProbeFailed, match="cannot be read"):
        await other.certificate()


def test_an_asterisk_is_one_label():
    facts = CertificateFacts(("a.test", "*.b.test"), None, None, "", False, "")
    assert [facts.has_name(name) for name in ("a.test", "x.b.test", "x.y.b.test", "b.test", "x.a.test")] == [
        True, True, False, False, False,
    ]  # fmt: skip


async def test_the_master_key_s_place(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    settings = replace(Settings(), server=Server(data_dir=data))

    async def facts(path: Path | None):
        return await HostProbes(settings, tmp_path, path, "somewhere").master_key()

    beside, inside = tmp_path / "key", data / "key"
    for path in (beside, inside):
        path.touch(mode=0o600)
    found = await facts(beside)
    assert (found.place, found.is_with_data, found.is_open) == ("somewhere", False, False)
    assert (await facts(inside)).is_with_data
    beside.chmod(0o640)
    assert (await facts(beside)).is_open
    assert not (await facts(None)).is_open
    with pytest.raises(ProbeFailed):
        await facts(tmp_path / "missing")


async def test_the_disk(probes, tmp_path):
    disk = await probes.disk()
    assert disk.folder == str(tmp_path)
    assert 0 < disk.free_octets <= disk.total_octets


async def test_own_addresses_are_public_or_none(probes):
    for address in await probes.own_addresses():
        assert not address.startswith(("10.", "192.168.", "127.", "fe80", "fd"))
