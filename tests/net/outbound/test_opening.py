"""TLS on the way out: what is reached, what is refused, and that nothing is said in clear where it must not be."""

import asyncio
import contextlib
import ssl
from dataclasses import replace

import pytest

from net.outbound.remote import DROP, STALL, Authority, until

HOSTS = ("a.there.test", "b.there.test")
MX = "mx.there.test"
ENVELOPE_VERBS = {"MAIL", "RCPT", "DATA", "BDAT"}


def said_in_clear(remote):
    return [line for heard in remote.heard for line in heard.lines_in_clear if line.split(" ")[0] in ENVELOPE_VERBS]


async def test_encryption_is_used_where_it_is_offered(world):
    context, _ = world.authority.server("other.name.test")
    remote = await world.mx(tls=context)
    [reply] = await world.send()
    assert (reply.code, reply.security) == (250, "encrypted")
    assert remote.heard[0].lines_in_clear == ["EHLO us.test", "STARTTLS"]
    assert remote.heard[0].verbs == ["EHLO", "STARTTLS", "EHLO", "MAIL", "RCPT", "DATA"]
    assert world.notes.results == [("no-policy-found", MX, "success")]
    assert (world.notes[0].domain, world.notes[0].receiving_ip, world.notes[0].sending_ip) == (
        "there.test", "127.0.0.1", "127.0.0.1",
    )  # fmt: skip


async def test_large_messages_go_through_tls_whole(world):
    context, _ = world.authority.server(MX)
    remote = await world.mx(tls=context)
    octets = b"Subject: x\r\n\r\n" + b"line\r\n" * 500_000
    [reply] = await world.send(octets)
    assert reply.code == 250
    assert remote.messages == [octets + b".\r\n"]


async def test_the_second_handshake_with_a_host_is_a_resumption(world):
    context, _ = world.authority.server(MX)
    remote = await world.mx(tls=context)
    relay = world.relay()
    world.relay = lambda: relay
    for _ in range(3):
        session = await world.open()
        await session.close()
    assert [heard.was_resumed for heard in remote.heard] == [False, True, True]


async def test_a_verified_handshake_is_never_a_resumption(world):
    context, _ = world.authority.server(MX)
    remote = await world.mx(tls=context)
    world.policies.add("there.test", "enforce", MX)
    relay = world.relay()
    world.relay = lambda: relay
    for _ in range(2):
        session = await world.open()
        await session.close()
    assert [heard.was_resumed for heard in remote.heard] == [False, False]


async def test_without_policy_no_starttls_means_clear_text_and_is_noted(world):
    remote = await world.mx()
    [reply] = await world.send()
    assert reply.security == "none"
    assert len(remote.heard) == 1
    assert world.notes.results == [("no-policy-found", MX, "starttls-not-supported")]


async def test_without_policy_a_refused_starttls_means_clear_text_on_the_same_connection(world):
    context, _ = world.authority.server(MX)
    remote = await world.mx(tls=context, STARTTLS=b"454 4.7.0 no key\r\n")
    [reply] = await world.send()
    assert (reply.code, reply.security) == (250, "none")
    assert len(remote.heard) == 1


def has_no_cipher_for_us(context):
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("aRSA")  # its key is ECDSA
    return context


def wants_our_certificate(context):
    context.verify_mode = ssl.CERT_REQUIRED
    return context


async def says_nothing_of_tls(reader, writer):
    writer.write(b"220 go\r\n")
    await reader.read(1)
    writer.write(b"this is not TLS at all, but it is long enough to be looked at\r\n")
    await reader.read()
    raise ConnectionResetError


async def closes_behind_220(reader, writer):
    writer.write(b"220 go\r\n")
    await writer.drain()
    raise ConnectionResetError


@pytest.mark.parametrize("how", [has_no_cipher_for_us, wants_our_certificate, says_nothing_of_tls, closes_behind_220])
async def test_without_policy_a_failed_handshake_means_clear_text_on_a_new_connection(world, how):
    context, _ = world.authority.server(MX)
    if how in {has_no_cipher_for_us, wants_our_certificate}:
        remote = await world.mx(tls=how(context))
    else:
        remote = await world.mx(tls=context, STARTTLS=how)
    [reply] = await world.send()
    assert (reply.code, reply.security) == (250, "none")
    assert len(remote.heard) == 2
    assert remote.heard[1].verbs == ["EHLO", "MAIL", "RCPT", "DATA"]
    assert world.notes.results == [("no-policy-found", MX, "validation-failure")]


async def test_mta_sts_reached_is_told_and_noted(world):
    context, _ = world.authority.server(MX)
    await world.mx(tls=context)
    world.policies.add("there.test", "enforce", MX)
    [reply] = await world.send()
    assert (reply.code, reply.security) == (250, "mta-sts")
    assert world.notes.results == [("sts", MX, "success")]
    assert "mode: enforce" in world.notes[0].policy_lines


async def test_dane_reached_is_told_and_noted_and_needs_no_authority(world):
    context, digest = world.authority.server("some.other.name")
    await world.mx(tls=context)
    world.tlsa(MX, digest)
    world.policies.add("there.test", "enforce", "unrelated.test")
    [reply] = await world.send()
    assert (reply.code, reply.security) == (250, "dane")
    assert world.notes.results == [("tlsa", MX, "success")]


async def test_the_name_asked_for_is_the_host_or_where_its_tlsa_records_are(world):
    asked = []
    context, digest = world.authority.server(MX)
    context.sni_callback = lambda _, name, __: asked.append(name)
    await world.mx(tls=context)
    await world.send()
    del world.names.names[MX]
    world.names.add(MX, cname="real.there.test")
    world.names.add("real.there.test", a=["127.0.0.1"])
    world.tlsa("real.there.test", digest)
    [reply] = await world.send()
    assert reply.security == "dane"
    assert asked == [MX, "real.there.test"]


async def test_testing_notes_the_failure_and_delivers(world):
    context, _ = world.authority.server("other.test")
    remote = await world.mx(tls=context)
    world.policies.add("there.test", "testing", MX)
    [reply] = await world.send()
    assert (reply.code, reply.security) == (250, "encrypted")
    assert world.notes.results == [("sts", MX, "certificate-host-mismatch")]
    assert said_in_clear(remote) == []


async def test_a_host_that_breaks_the_policy_is_passed_over(world):
    bad, _ = world.authority.server("other.test")
    good, _ = world.authority.server("b.there.test")
    first = await world.mx("there.test", *HOSTS, tls=bad)
    second = await world.remote("127.0.0.2", tls=good)
    world.policies.add("there.test", "enforce", *HOSTS)
    [reply] = await world.send()
    assert (reply.code, reply.host, reply.security) == (250, "b.there.test", "mta-sts")
    assert world.notes.results == [
        ("sts", "a.there.test", "certificate-host-mismatch"),
        ("sts", "b.there.test", "success"),
    ]
    assert said_in_clear(first) == said_in_clear(second) == []


async def refused_for_its_tls(world, remote):
    reply = await world.refusal()
    assert (reply.enhanced[:4], reply.is_permanent) == ("4.7.", False)
    assert reply.host == MX
    assert remote.messages == []
    assert said_in_clear(remote) == []
    [note] = world.notes
    assert note.sending_ip == ("127.0.0.1" if remote.heard else "")
    return note.policy_type, note.mx_host, note.result_type


@pytest.mark.parametrize("policy", ["enforce", "dane"])
@pytest.mark.parametrize("how", ["not offered", "refused"])
async def test_attack_035_a_stripped_starttls_defers_the_mail_and_is_noted(world, policy, how):
    context, digest = world.authority.server(MX)
    if how == "refused":
        remote = await world.mx(tls=context, STARTTLS=b"454 4.7.0 not now\r\n")
    else:
        remote = await world.mx()
    if policy == "dane":
        world.tlsa(MX, digest)
    else:
        world.policies.add("there.test", "enforce", MX)
    policy_type = "tlsa" if policy == "dane" else "sts"
    assert await refused_for_its_tls(world, remote) == (policy_type, MX, "starttls-not-supported")


@pytest.mark.parametrize(
    ("names", "days", "result_type"),
    [
        (["other.test"], 30, "certificate-host-mismatch"),
        ([MX], -1, "certificate-expired"),
    ],
)
async def test_attack_035_a_wrong_certificate_defers_the_mail_and_is_noted(world, names, days, result_type):
    context, _ = world.authority.server(*names, days=days)
    remote = await world.mx(tls=context)
    world.policies.add("there.test", "enforce", MX)
    assert await refused_for_its_tls(world, remote) == ("sts", MX, result_type)


async def test_attack_035_a_certificate_of_a_stranger_defers_the_mail_and_is_noted(world, tmp_path):
    context, _ = Authority(tmp_path).server(MX)
    remote = await world.mx(tls=context)
    world.policies.add("there.test", "enforce", MX)
    assert await refused_for_its_tls(world, remote) == ("sts", MX, "certificate-not-trusted")


async def test_attack_035_a_tlsa_mismatch_defers_the_mail_and_is_noted(world):
    context, _ = world.authority.server(MX)  # a good certificate for MTA-STS, which must not help
    remote = await world.mx(tls=context)
    world.tlsa(MX, b"x" * 32)
    world.policies.add("there.test", "enforce", MX)
    assert await refused_for_its_tls(world, remote) == ("tlsa", MX, "validation-failure")


async def test_attack_035_a_failed_handshake_defers_the_mail_and_is_noted(world):
    context, _ = world.authority.server(MX)
    remote = await world.mx(tls=has_no_cipher_for_us(context))
    world.policies.add("there.test", "enforce", MX)
    assert await refused_for_its_tls(world, remote) == ("sts", MX, "validation-failure")


async def test_attack_035_an_mx_that_the_policy_does_not_name_is_never_talked_to(world):
    context, _ = world.authority.server(MX)
    remote = await world.mx(tls=context)
    world.policies.add("there.test", "enforce", "good.there.test")
    assert await refused_for_its_tls(world, remote) == ("sts", MX, "validation-failure")
    assert remote.heard == []


async def test_attack_035_tlsa_that_cannot_be_had_defers_the_mail_and_is_noted(world):
    context, _ = world.authority.server(MX)
    remote = await world.mx(tls=context)
    world.names.authentic = ("test",)
    world.names.add(f"_{world.port}._tcp.{MX}", tlsa=None)
    assert await refused_for_its_tls(world, remote) == ("tlsa", MX, "dnssec-invalid")
    assert remote.heard == []


async def test_tls_required_no_delivers_all_the_same(world):
    remote = await world.mx()
    world.policies.add("there.test", "enforce", "good.there.test")
    session = await world.open(tls_optional=True)
    [reply] = await world.send(session=session)
    assert (reply.code, reply.security) == (250, "none")
    assert len(remote.messages) == 1


@pytest.mark.parametrize(
    "injected",
    [b"250-injected.test\r\n250 SIZE 1\r\n", b"250-half", b"\x00", b"\n", b"220 go\r\n"],
)
@pytest.mark.parametrize("packets", [1, 2])
async def test_attack_004_replies_injected_behind_starttls_end_the_conversation(world, injected, packets):
    rest = []

    async def inject(reader, writer):
        if packets == 1:
            writer.write(b"220 go\r\n" + injected)
        else:
            writer.write(b"220 go\r\n")
            assert (await reader.read(1)) == b"\x16"  # the client has begun its handshake
            writer.write(injected * 10)
        with contextlib.suppress(ConnectionError):
            rest.append(await reader.read())
        raise ConnectionResetError

    context, _ = world.authority.server(MX)
    remote = await world.mx(tls=context, STARTTLS=inject)
    world.policies.add("there.test", "enforce", MX)
    await refused_for_its_tls(world, remote)
    assert remote.heard[0].verbs == ["EHLO", "STARTTLS"]
    if packets == 1:
        await until(lambda: not remote.is_busy)
        assert b"".join(rest) == b""  # not even a handshake


async def test_attack_004_extensions_told_in_clear_are_forgotten(world):
    context, _ = world.authority.server(MX)
    remote = await world.mx(
        tls=context, TLS_EHLO=b"250 remote.test\r\n", extensions=("PIPELINING", "SIZE 3", "CHUNKING")
    )
    [reply] = await world.send()
    assert reply.code == 250
    assert "DATA" in remote.heard[0].verbs


@pytest.mark.parametrize("step", ["STARTTLS", "handshake"])
async def test_attack_025_a_stall_at_starttls_meets_the_limit_and_the_next_host_is_tried(world, step):
    async def stall_behind_220(reader, writer):
        writer.write(b"220 go\r\n")
        await writer.drain()
        await asyncio.Event().wait()

    world.limits = replace(world.limits, command_s=0.3, handshake_s=0.3)
    bad, _ = world.authority.server("a.there.test")
    good, _ = world.authority.server("b.there.test")
    first = await world.mx("there.test", *HOSTS, tls=bad, STARTTLS=STALL if step == "STARTTLS" else stall_behind_220)
    second = await world.remote("127.0.0.2", tls=good)
    world.policies.add("there.test", "enforce", *HOSTS)
    [reply] = await world.send()
    assert (reply.host, reply.security) == ("b.there.test", "mta-sts")
    assert said_in_clear(first) == said_in_clear(second) == []


async def test_a_server_that_closes_under_tls_is_given_up(world):
    context, _ = world.authority.server(MX)
    await world.mx(tls=context, MESSAGE=DROP)
    [reply] = await world.send()
    assert (reply.code, reply.is_permanent) == (0, False)


async def test_requiretls_goes_to_a_verified_server_that_offers_it(world):
    context, digest = world.authority.server(MX)
    remote = await world.mx(tls=context, extensions=("PIPELINING", "REQUIRETLS"))
    world.tlsa(MX, digest)
    session = await world.open(require_tls=True)
    [reply] = await world.send(session=session, require_tls=True)
    assert (reply.code, reply.security) == (250, "dane")
    assert remote.heard[0].lines[3] == "MAIL FROM:<me@us.test> REQUIRETLS"


@pytest.mark.parametrize("how", ["not offered", "offered in clear only", "no TLS"])
async def test_requiretls_that_nobody_offers_is_permanent(world, how):
    context, digest = world.authority.server(MX)
    extensions = ("REQUIRETLS",) if how != "not offered" else ()
    inside = {"TLS_EHLO": b"250 remote.test\r\n"} if how == "offered in clear only" else {}
    remote = await world.mx(tls=context if how != "no TLS" else None, extensions=extensions, **inside)
    world.tlsa(MX, digest)
    reply = await world.refusal(require_tls=True)
    assert (reply.code, reply.enhanced, reply.is_permanent) == (550, "5.7.30", True)
    assert remote.messages == []


async def test_requiretls_passes_over_a_server_without_it(world):
    contexts = [world.authority.server(host) for host in HOSTS]
    await world.mx("there.test", *HOSTS, tls=contexts[0][0])
    await world.remote("127.0.0.2", tls=contexts[1][0], extensions=("REQUIRETLS",))
    for host, (_, digest) in zip(HOSTS, contexts, strict=True):
        world.tlsa(host, digest)
    session = await world.open(require_tls=True)
    [reply] = await world.send(session=session, require_tls=True)
    assert reply.host == "b.there.test"


async def test_quit_is_said_to_who_is_not_used(world):
    remote = await world.mx()
    world.policies.add("there.test", "enforce", MX)
    await world.refusal()
    await until(lambda: remote.heard[0].verbs == ["EHLO", "QUIT"])
