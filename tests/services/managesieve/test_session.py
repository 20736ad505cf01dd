"""Sessions against a real store: log-in, errors with their codes, revoked passwords, limits, bugs."""

import base64
from dataclasses import replace

import player
import pytest

from mailstead.model.envelope import Peer
from mailstead.model.errors import StorageUnavailable
from mailstead.model.secret import Secret
from mailstead.proto.sasl.client import ScramSha256Client
from mailstead.usecases.scripts import Scripts

PEER = Peer("192.0.2.1", 50000, 4190, "TLSv1.3", "TLS_AES_256_GCM_SHA384")
LOG_IN = b'AUTHENTICATE "PLAIN" "' + base64.b64encode(b"\0alice@example.test\0pw-never-in-a-log") + b'"'


class Client:
    def __init__(self, sieve, log_in=LOG_IN):
        self.session = sieve.service.session(is_tls=True)
        self.conversation = player.MemoryConversation(self.session, PEER)
        self.log_in = log_in

    async def __aenter__(self):
        while not (await self.conversation.line()).startswith(b"OK"):
            pass
        if self.log_in:
            self.welcome = await self.ask(self.log_in)
        return self

    async def __aexit__(self, *_):
        await self.conversation.close()

    async def line(self):
        return await self.conversation.line()

    async def ask(self, command):
        await self.conversation.send(command + b"\r\n")
        return await self.line()


async def test_scram(sieve):
    client_side = ScramSha256Client("alice@example.test", Secret("pw-never-in-a-log"), "nonce")
    async with Client(sieve, None) as client:
        first = await client.ask(b'AUTHENTICATE "SCRAM-SHA-256" "' + base64.b64encode(client_side.first()) + b'"')
        final = client_side.final(base64.b64decode(first.strip(b'"')))
        answer = await client.ask(b'"' + base64.b64encode(final) + b'"')
        assert client_side.check(base64.b64decode(answer.strip(b'"')))
        assert await client.ask(b'""') == b'OK "Logged in"'
        assert await client.ask(b"LISTSCRIPTS") == b"OK"


@pytest.mark.parametrize("name", [b"LOGIN", b"DIGEST-MD5", b"SCRAM-SHA-1"])
async def test_what_is_not_offered_is_not_taken(sieve, name):
    async with Client(sieve, None) as client:
        assert (await client.ask(b'AUTHENTICATE "%b"' % name)).startswith(b"NO")


async def test_an_app_password_may_be_for_other_services_only(sieve):
    accounts = sieve.accounts
    for scope, answer in (("imap", b"NO"), ("sieve", b"OK")):
        made = await accounts.add_app_password(sieve.actor, sieve.actor.address, scope, frozenset({scope}))
        plain = b"\0alice@example.test\0" + made.secret.reveal().encode()
        async with Client(sieve, b'AUTHENTICATE "PLAIN" "' + base64.b64encode(plain) + b'"') as client:
            assert client.welcome.startswith(answer)


async def test_refusals_have_their_codes(sieve):
    async with Client(sieve) as client:
        assert await client.ask(b'PUTSCRIPT "a" "keep;"') == b"OK"
        assert await client.ask(b'SETACTIVE "a"') == b"OK"
        assert (await client.ask(b'DELETESCRIPT "a"')).startswith(b"NO (ACTIVE)")
        assert (await client.ask(b'GETSCRIPT "b"')).startswith(b"NO (NONEXISTENT)")
        assert (await client.ask(b'SETACTIVE "b"')).startswith(b"NO (NONEXISTENT)")
        assert (await client.ask(b'RENAMESCRIPT "a" "a"')).startswith(b"NO (ALREADYEXISTS)")
        assert (await client.ask(b'HAVESPACE "a" 70000')).startswith(b"NO (QUOTA)")
        assert (await client.ask(b'PUTSCRIPT "x" "nonsense;"')).startswith(b"NO ")
        assert (await client.ask(b'PUTSCRIPT "" "keep;"')).startswith(b"NO ")


async def test_attack_057_ten_thousand_scripts_and_strange_names(sieve):
    async with Client(sieve) as client:
        for number in range(60):
            answer = await client.ask(b'PUTSCRIPT "../../x%d" "keep;"' % number)
            assert answer == (b"OK" if number < 50 else b'NO (QUOTA) "An account has at most 50 scripts"')
        script = b"#" * 65_537
        assert (await client.ask(b'PUTSCRIPT "../../x0" {%d+}\r\n%b' % (len(script), script))).startswith(b"NO (QUOTA")
        assert (await client.ask(b'PUTSCRIPT "../../x0" {%d+}\r\n%b' % (65_536, script[:-1]))) == b"OK"
        assert await client.ask(b'GETSCRIPT "../../x0"') == b"{65536}"
        assert await client.line() == script[:-1]
    assert len(await sieve.scripts()) == 50


async def test_attack_064_a_changed_password_ends_the_session(sieve):
    async with Client(sieve) as client:
        await sieve.set_password("pw-never-in-a-log another")
        assert await client.line() == b'BYE "Your log-in is no longer valid"'
        assert client.session.connection.wants_close


async def test_unauthenticate_forgets_who_it_was(sieve):
    async with Client(sieve) as client:
        assert await client.ask(b"UNAUTHENTICATE") == b"OK"
        assert (await client.ask(b"LISTSCRIPTS")).startswith(b"NO")
        await sieve.set_password("pw-never-in-a-log another")
        assert (await client.ask(b"NOOP")) == b'OK "Done"'


async def test_a_store_that_fails_is_told_as_temporary(sieve, monkeypatch):
    async def fail(scripts, actor):
        raise StorageUnavailable(cause="secret")

    monkeypatch.setattr(Scripts, "list", fail)
    async with Client(sieve) as client:
        assert (await client.ask(b"LISTSCRIPTS")).startswith(b"NO (TRYLATER)")


async def test_a_bug_is_answered_and_the_conversation_goes_on(sieve, monkeypatch):
    async def fail(scripts, actor):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(Scripts, "list", fail)
    client = Client(sieve)
    async with client:
        answer = await client.ask(b"LISTSCRIPTS")
        assert answer.startswith(b"NO (TRYLATER)")
        assert b"secret" not in answer
        assert await client.ask(b"NOOP") == b'OK "Done"'
        client.conversation.memory_line.bugs.clear()


async def test_limits_come_from_the_settings(sieve):
    service = replace(sieve.service, settings=replace(sieve.settings, login_limit_s=3.0))
    assert service.session().connection.time_limit_s == 3.0
    assert service.session().connection.next_event() is not None


async def test_the_server_stops_with_a_goodbye(sieve):
    async with Client(sieve) as client:
        client.session.stopping()
        client.conversation.memory_line.close()
        assert (await client.line()).startswith(b"BYE (TRYLATER)")
