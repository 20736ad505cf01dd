import base64
from hashlib import pbkdf2_hmac, sha256
from hmac import digest

import pytest

from mailstead.model.directory import Verifier
from mailstead.model.queue import DestinationKind
from mailstead.model.secret import Secret
from mailstead.ports.relay import Smarthost
from mailstead.proto.sasl import Challenge, ScramSha256
from net.outbound.remote import until

RELAY = "relay.test"


async def smarthost(world, security="starttls", mechanisms="PLAIN", names=(RELAY,), **how):
    context, _ = world.authority.server(*names)
    extensions = ("PIPELINING", f"AUTH {mechanisms}") if mechanisms else ()
    remote = await world.remote(
        extensions=extensions, tls=None if security == "none" else context, implicit=security == "tls", **how
    )
    world.names.add(RELAY, a=["127.0.0.1"])
    return remote, Smarthost(RELAY, remote.port, "me@us.test", Secret("sesame"), security)


async def opened(world, chosen, **terms):
    return await world.open(chosen.host, DestinationKind.SMARTHOST, chosen.port, smarthost=chosen, **terms)


@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
async def test_a_smarthost_takes_mail_after_log_in(world, security):
    remote, chosen = await smarthost(world, security)
    session = await opened(world, chosen)
    [reply] = await world.send(session=session)
    assert (reply.code, reply.security) == (250, "none" if security == "none" else "verified")
    auth = next(line for line in remote.heard[0].lines if line.startswith("AUTH"))
    assert base64.b64decode(auth.split()[2]) == b"\0me@us.test\0sesame"
    if security != "none":
        assert not any(line.startswith("AUTH") for line in remote.heard[0].lines_in_clear)
    assert world.notes == []


async def test_a_smarthost_may_stand_in_a_private_network(world):
    world.settings["allows_private_addresses"] = False
    _, chosen = await smarthost(world)
    assert (await opened(world, chosen)).is_open


@pytest.mark.parametrize("names", [("other.test",)])
async def test_a_password_is_never_said_to_an_unverified_server(world, names):
    remote, chosen = await smarthost(world, names=names)
    reply = await world.refusal(chosen.host, DestinationKind.SMARTHOST, chosen.port, smarthost=chosen)
    assert (reply.enhanced, reply.is_permanent) == ("4.7.5", False)
    assert not any("AUTH" in heard.verbs for heard in remote.heard)


async def test_a_password_is_never_said_in_clear_to_a_server_without_starttls(world):
    remote, chosen = await smarthost(world)
    remote.tls = None
    reply = await world.refusal(chosen.host, DestinationKind.SMARTHOST, chosen.port, smarthost=chosen)
    assert reply.enhanced == "4.7.4"
    assert not any("AUTH" in heard.verbs for heard in remote.heard)


async def test_login_is_used_where_there_is_nothing_better(world):
    said = []

    async def login(reader, writer):
        for prompt in (b"VXNlcm5hbWU6", b"UGFzc3dvcmQ6"):
            writer.write(b"334 " + prompt + b"\r\n")
            said.append(base64.b64decode(await reader.readline()))
        writer.write(b"235 welcome\r\n")

    _, chosen = await smarthost(world, mechanisms="LOGIN GSSAPI", AUTH=login)
    assert (await opened(world, chosen)).is_open
    assert said == [b"me@us.test", b"sesame"]


def scram(world, password="sesame", *, knows_password=True, says="challenge"):
    """The server's side, by our own server's mechanism."""

    async def exchange(reader, writer):
        first = world.remotes[0].heard[-1].lines[-1].split()[2]
        mechanism = ScramSha256("server-nonce")
        mechanism.step(base64.b64decode(first))
        salted = pbkdf2_hmac("sha256", password.encode(), b"salt", 4096)
        stored_key = sha256(digest(salted, b"Client Key", "sha256")).digest()
        verifier = Verifier("", stored_key, digest(salted, b"Server Key", "sha256"))
        challenge = mechanism.offer(b"salt", 4096, [verifier])
        octets = {"challenge": challenge.octets, "garbage": b"\xff", "other nonce": b"r=other,s=c2FsdA==,i=4096"}[says]
        writer.write(b"334 " + base64.b64encode(octets) + b"\r\n")
        answer = mechanism.step(base64.b64decode(await reader.readline()))
        if not isinstance(answer, Challenge):
            writer.write(b"535 5.7.8 wrong\r\n")
            return
        if knows_password:
            writer.write(b"334 " + base64.b64encode(answer.octets) + b"\r\n")
            assert await reader.readline() == b"\r\n"
        writer.write(b"235 welcome\r\n")

    return exchange


async def test_scram_is_preferred_and_says_no_password(world):
    remote, chosen = await smarthost(world, mechanisms="LOGIN PLAIN SCRAM-SHA-256", AUTH=scram(world))
    assert (await opened(world, chosen)).is_open
    assert not any("sesame" in base64.b64decode(line.split()[-1]).decode() for line in auth_lines(remote))


def auth_lines(remote):
    return [line for heard in remote.heard for line in heard.lines if line.startswith("AUTH")]


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"password": "other"}, 535),
        ({"knows_password": False}, 0),
        ({"says": "garbage"}, 0),
        ({"says": "other nonce"}, 0),
    ],
)
async def test_scram_that_proves_nothing_is_refused(world, how, code):
    _, chosen = await smarthost(world, mechanisms="SCRAM-SHA-256", AUTH=scram(world, **how))
    reply = await world.refusal(chosen.host, DestinationKind.SMARTHOST, chosen.port, smarthost=chosen)
    assert (reply.code, reply.is_permanent) == (code, False)


async def test_a_refused_log_in_is_temporary_and_told(world):
    _, chosen = await smarthost(world, AUTH=b"535 5.7.8 wrong\r\n")
    reply = await world.refusal(chosen.host, DestinationKind.SMARTHOST, chosen.port, smarthost=chosen)
    assert (reply.code, reply.enhanced, reply.is_permanent) == (535, "5.7.8", False)
    assert "log-in" in reply.text
    assert "sesame" not in str(reply)


@pytest.mark.parametrize("mechanisms", ["", "GSSAPI NTLM"])
async def test_a_smarthost_without_a_log_in_that_we_know_is_refused(world, mechanisms):
    _, chosen = await smarthost(world, mechanisms=mechanisms)
    reply = await world.refusal(chosen.host, DestinationKind.SMARTHOST, chosen.port, smarthost=chosen)
    assert (reply.enhanced, reply.is_permanent) == ("4.7.0", False)


async def test_the_log_in_of_the_settings_is_said_to_that_host_only(world):
    remote, chosen = await smarthost(world)
    world.settings |= {
        "smarthost": f"{RELAY}:{chosen.port}",
        "smarthost_username": "house",
        "smarthost_password": Secret("key"),
    }
    await world.open(RELAY, DestinationKind.SMARTHOST, chosen.port)
    await until(lambda: remote.heard[0].verbs[-1] == "AUTH")
    other, _ = world.authority.server("other.test")
    world.names.add("other.test", a=["127.0.0.2"])
    second = await world.remote("127.0.0.2", tls=other, extensions=("AUTH PLAIN",))
    await world.open("other.test", DestinationKind.SMARTHOST, second.port)
    assert "AUTH" not in second.heard[0].verbs
