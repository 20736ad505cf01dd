"""Sessions on a real store: log-in, attacks, what is counted, what is answered when things go wrong."""

import asyncio
import base64
import contextlib

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Peer
from mailstead.model.secret import Secret
from mailstead.proto.sasl.client import ScramSha256Client, plain_response
from mailstead.proto.smtp.types import reply
from mailstead.telemetry import metrics

PASSWORD = "pw-never-in-a-log-1"
FROM = b"From: x@client.example\r\n"
TLS_PEER = Peer("192.0.2.1", 50000, 2465, "TLSv1.3", "TLS_AES_256_GCM_SHA384")


class Talk:
    """A client that says lines and reads whole replies."""

    def __init__(self, session, peer=None):
        import player

        self.conversation = player.MemoryConversation(session, peer)

    async def read(self):
        lines = []
        while True:
            lines.append((await self.conversation.line()).decode())
            if lines[-1][3:4] != "-":
                return "\n".join(lines)

    async def say(self, *lines):
        await self.conversation.send("".join(f"{line}\r\n" for line in lines).encode())
        return [await self.read() for _ in lines]

    async def send(self, message):
        await self.conversation.send(message + b"\r\n.\r\n")
        return await self.read()


@contextlib.asynccontextmanager
async def talk(session, peer=None, *, ehlo=True):
    client = Talk(session, peer)
    await client.read()
    if ehlo:
        await client.say("EHLO client.example")
    try:
        yield client
    finally:
        await client.conversation.close()


def b64(octets):
    return base64.b64encode(octets).decode()


PLAIN = "AUTH PLAIN " + b64(plain_response("alice@example.test", Secret(PASSWORD)))


def count(service, code, reason):
    return metrics.REFUSALS.labels(service, code, reason)._value.get()


async def test_scram_log_in(house):
    async with talk(house.submission(), TLS_PEER) as client:
        scram = ScramSha256Client("alice@example.test", Secret(PASSWORD), "clientnonce")
        [challenge] = await client.say("AUTH SCRAM-SHA-256 " + b64(scram.first()))
        [signature] = await client.say(b64(scram.final(base64.b64decode(challenge[4:]))))
        assert scram.check(base64.b64decode(signature[4:]))
        [done] = await client.say("")
        assert done == "235 2.7.0 Authentication succeeded"


async def test_wrong_scram_proof(house):
    async with talk(house.submission(), TLS_PEER) as client:
        scram = ScramSha256Client("alice@example.test", Secret("pw-never-in-a-log-wrong"), "clientnonce")
        [challenge] = await client.say("AUTH SCRAM-SHA-256 " + b64(scram.first()))
        [refusal] = await client.say(b64(scram.final(base64.b64decode(challenge[4:]))))
        assert refusal.startswith("535 5.7.8 ")


async def test_a_changed_password_ends_the_session(house):
    from mailstead.model.envelope import Actor

    async with talk(house.submission(), TLS_PEER) as client:
        assert (await client.say(PLAIN))[0].startswith("235")
        admin = Actor(None, None, is_admin=True)
        await house.accounts.set_password(admin, Address("alice", "example.test"), Secret("pw-never-in-a-log-9"))
        assert (await client.read()).startswith("421 4.7.0 ")


async def test_refusals_are_counted(house):
    before = (
        count("mx", "550", "NoSuchAddress"),
        count("mx", "500", "unknown-command"),
        count("mx", "521", "bare-lf-in-data"),
    )
    async with talk(house.mx()) as client:
        await client.say(
            "WHAT", "MAIL FROM:<>", "RCPT TO:<nobody@example.test>", "RCPT TO:<alice@example.test>", "DATA"
        )
        await client.conversation.send(b"a\nb")
        await client.read()
    after = (
        count("mx", "550", "NoSuchAddress"),
        count("mx", "500", "unknown-command"),
        count("mx", "521", "bare-lf-in-data"),
    )
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1, 1]


async def test_a_bug_is_answered_temporarily(house, monkeypatch):
    async def broken(*_, **__):
        raise KeyError("bug")

    monkeypatch.setattr(house.deliveries, "deliver", broken)
    client = Talk(house.mx())
    await client.read()
    await client.say("EHLO x", "MAIL FROM:<>", "RCPT TO:<alice@example.test>", "DATA")
    assert (await client.send(FROM)).startswith("451 4.3.0 ")
    assert (await client.say("NOOP"))[0].startswith("250")
    with pytest.raises(AssertionError, match="KeyError"):
        await client.conversation.close()


async def test_a_stop_waits_for_the_answer(house):
    session = house.mx()
    async with talk(session) as client:
        await client.say("MAIL FROM:<>", "RCPT TO:<alice@example.test>", "DATA")
        await client.conversation.send(FROM + b".\r\n")
        session.stopping()
        assert (await client.read()).startswith("250 2.0.0 ")
        assert (await client.read()).startswith("421 4.3.2 ")
    assert len(await house.messages("alice")) == 1


async def test_a_lost_connection_leaves_nothing(house):
    async with talk(house.mx()) as client:
        await client.say("MAIL FROM:<>", "RCPT TO:<alice@example.test>", "DATA")
        await client.conversation.send(b"x" * 50_000)
        assert house.staging.octets > 40_000
    assert house.staging.octets == 0
    assert await house.messages("alice") == []


async def test_the_process_wide_budget_gives_452(tmp_path, open_house):
    async with (
        open_house(tmp_path, staged_octets_max=60_000) as house,
        talk(house.mx()) as first,
        talk(house.mx()) as second,
    ):
        for client in (first, second):
            await client.say("MAIL FROM:<>", "RCPT TO:<alice@example.test>", "DATA")
        await first.conversation.send(FROM + b"\r\n" + b"x" * 50_000)
        assert (await second.send(b"x" * 20_000)).startswith("452 4.3.1 ")
        assert (await first.send(b"")).startswith("250 ")


async def test_the_bare_postmaster_is_read_by_somebody(house):
    async with talk(house.mx()) as client:
        replies = await client.say("MAIL FROM:<>", "RCPT TO:<Postmaster>", "RCPT TO:<postmaster@example.test>")
        assert [answer[:3] for answer in replies] == ["250", "250", "250"]


async def test_what_an_alias_leads_out_waits_in_the_queue(house):
    async with talk(house.mx()) as client:
        answers = await client.say("MAIL FROM:<>", "RCPT TO:<away@example.test>", "DATA")
        answers.append(await client.send(FROM + b"\r\nbody"))
        assert [answer[:9] for answer in answers[1:]] == ["250 2.1.5", "354 End d", "250 2.0.0"]
        assert "elsewhere" not in "".join(answers)
    [item] = await house.queued()
    assert [str(each.recipient.address) for each in item.recipients] == ["x@elsewhere.test"]


async def test_attack_008_header_bombs(tmp_path, open_house):
    bombs = [
        FROM + b"X: y\r\n" * 1001 + b"\r\nbody",
        b"X: " + b"y" * (1 << 20) + b"\r\n\r\nbody",
        b"Received: x\r\n" * 10_000 + b"\r\n",
        b"X-no-end: " + (b"y" * 998 + b"\r\n ") * 1100,
    ]
    async with open_house(tmp_path, message_octets_max=5_000_000, staged_octets_max=10_000_000) as house:
        async with talk(house.mx()) as client:
            for bomb in bombs:
                await client.say("MAIL FROM:<>", "RCPT TO:<alice@example.test>", "DATA")
                assert (await client.send(bomb)).startswith("552 5.3.4 ")
            await client.say("MAIL FROM:<>", "RCPT TO:<alice@example.test>", "DATA")
            many = FROM + b"To: " + b",\r\n ".join(b"a%d@b.test" % number for number in range(10_000)) + b"\r\n\r\nbody"
            assert (await client.send(many)).startswith("250 ")
        assert len(await house.messages("alice")) == 1


FOREIGN = [
    "<x@elsewhere.test>", "<x%elsewhere.test@example.test>", "<elsewhere.test!x@example.test>",
    '<"x@elsewhere.test"@example.test>', '<"x%elsewhere.test"@example.test>', "<@example.test:x@elsewhere.test>",
    "<@example.test,@b.test:x@elsewhere.test>", "<x@elsewhere.test@example.test>", "<x%elsewhere.test>",
    "<x@[127.0.0.1]>", "<x@[192.0.2.1]>", "<x@[IPv6:::1]>", "<x@mx.example.test>", "<x@localhost>",
    "<x@sub.example.test>", "<x@example.test.>", "<x@.example.test>", '<"x"@elsewhere.test>', "<x@elsewhere.test.>",
    "<example.test!elsewhere.test!x@example.test>", "<x%elsewhere.test%example.test@example.test>",
    '<""@elsewhere.test>', "<x@ELSEWHERE.test>", "<x@elsewhere.test%example.test>", "<|/bin/sh@example.test>",
    '<"|/bin/sh"@example.test>', "</etc/passwd@example.test>", "<:include:/etc/passwd@example.test>",
    '<"alice@example.test,x@elsewhere.test"@example.test>', "<x+alice@elsewhere.test>",
]  # fmt: skip


async def test_attack_012_no_open_relay(tmp_path, open_house):
    assert len(FOREIGN) == 30
    async with open_house(tmp_path, errors_max=100) as house, talk(house.mx()) as client:
        for form in FOREIGN:
            _, answer, _ = await client.say("MAIL FROM:<alice@example.test>", f"RCPT TO:{form}", "RSET")
            assert answer[:3] in {"550", "501", "553"}, form


async def test_attack_015_only_own_names(house):
    async with talk(house.submission(), TLS_PEER) as client:
        assert (await client.say(PLAIN))[0].startswith("235")
        for sender in ("bob@example.test", "x@elsewhere.test", "team@example.test", "postmaster@example.test"):
            assert (await client.say(f"MAIL FROM:<{sender}>"))[0].startswith("553 5.7.1 "), sender
        forged = [
            (b"From: bob@example.test", "550"),
            (b"From: alice@example.test\r\nFrom: alice@example.test", "554"),
            (b"From: alice@example.test, bob@example.test", "550"),
            (b"From : bob@example.test", "550"),
            (b"fRoM:\r\n bob@example.test", "550"),
            (b"From: alice@example.test\r\nSender: bob@example.test", "550"),
            (b"From: alice@example.test\r\nResent-From: bob@example.test", "550"),
            (b"From: alice@example.test\r\nSender: alice@example.test\r\nSender: bob@example.test", "554"),
            (b"From: x: bob@example.test;", "550"),
            (b"From: alice <bob@example.test>", "550"),
            (b'From: "alice@example.test" <bob@example.test>', "550"),
            (b"From: alice@example.test (bob) <bob@example.test>", "550"),
            (b"From: undisclosed:;", "554"),
            (b"From:", "554"),
            (b"Subject: none", "554"),
            (b"From: =?utf-8?q?alice=40example.test?= <b@c.test>", "550"),
        ]
        for header, code in forged:
            await client.say("MAIL FROM:<alice@example.test>", "RCPT TO:<bob@example.test>", "DATA")
            assert (await client.send(header + b"\r\n\r\nbody"))[:3] == code, header
    assert await house.messages("bob") == []


async def test_attack_017_nothing_is_ever_bounced(tmp_path, open_house):
    async with open_house(tmp_path, quotas={"bob": 100}) as house:
        async with talk(house.mx()) as client:
            answers = await client.say(
                "MAIL FROM:<alice@example.test>", "RCPT TO:<nobody@example.test>", "RCPT TO:<bob@example.test>"
            )
            assert [answer[:9] for answer in answers] == ["250 2.1.0", "550 5.1.1", "250 2.1.5"]
            await client.say("DATA")
            assert (await client.send(FROM + b"Subject: too much for bob\r\n\r\n" + b"x" * 500)).startswith(
                "552 5.2.2 "
            )
        assert await house.messages("alice") == []
        assert await house.messages("bob") == []


async def test_attack_018_loops_end(house):
    async with talk(house.mx()) as client:
        for header, code in [
            (b"Received: x\r\n" * 50, "250"),
            (b"Received: x\r\n" * 51, "554"),
            (b"Delivered-To: bob@example.test\r\n", "250"),
            (b"delivered-to:  <Alice@EXAMPLE.test>\r\n", "554"),
        ]:
            await client.say("MAIL FROM:<>", "RCPT TO:<sales@example.test>", "DATA")
            assert (await client.send(FROM + header + b"\r\nbody"))[:3] == code, header
    [first, _] = await house.messages("alice")
    async with talk(house.mx()) as client:  # what we delivered comes back
        await client.say("MAIL FROM:<>", "RCPT TO:<alice@example.test>", "DATA")
        assert (await client.send(first)).startswith("554 5.4.6 ")


async def test_attack_020_unknown_recipients_end_the_conversation(house):
    async with talk(house.mx()) as client:
        await client.say("MAIL FROM:<>")
        answers = await client.say(*(f"RCPT TO:<nobody{number}@example.test>" for number in range(20)))
        assert len({answer.split(" ", 2)[2] for answer in answers}) == 1
        await client.conversation.send(b"RCPT TO:<nobody@example.test>\r\n")
        assert (await client.read()).startswith("550 ")
        assert (await client.read()).startswith("421 4.7.0 ")


async def test_attack_022_no_dsn_is_made(house):
    async with talk(house.mx()) as client:
        await client.say(
            "MAIL FROM:<alice@example.test> RET=FULL ENVID=x",
            "RCPT TO:<bob@example.test> NOTIFY=SUCCESS,FAILURE,DELAY",
            "DATA",
        )
        assert (await client.send(FROM)).startswith("250 ")
    assert await house.queued() == []
    assert await house.messages("alice") == []
    assert len(await house.messages("bob")) == 1


async def test_attack_023_a_size_that_lies(tmp_path, open_house):
    async with open_house(tmp_path, message_octets_max=10_000) as house, talk(house.mx()) as client:
        await client.say("MAIL FROM:<> SIZE=1", "RCPT TO:<alice@example.test>", "DATA")
        for _ in range(10):
            await client.conversation.send(b"x" * 1_500)
            assert house.staging.octets <= 10_000
        assert house.staging.octets == 0
        assert (await client.send(b"")).startswith("552 5.3.4 ")
        assert await house.messages("alice") == []


async def test_attack_011_the_banner_waits(house):
    session = house.mx(banner_delay_s=0.01)
    import player

    conversation = player.MemoryConversation(session)
    await conversation.send(b"EHLO early\r\n")
    assert (await conversation.line()).startswith(b"554 5.5.1 ")
    with pytest.raises(EOFError):
        await conversation.line()
    await conversation.close()
    async with talk(house.mx(banner_delay_s=0.01)) as client:
        assert (await client.say("NOOP"))[0].startswith("250")


async def test_a_hundred_conversations_at_once(house):
    async def one(number):
        async with talk(house.mx()) as client:
            await client.say("MAIL FROM:<>", "RCPT TO:<team@example.test>", "DATA")
            return await client.send(FROM + b"Subject: %d\r\n" % number)

    answers = await asyncio.gather(*(one(number) for number in range(100)))
    assert all(answer.startswith("250") for answer in answers)
    assert len(await house.messages("alice")) == len(await house.messages("bob")) == 100


async def test_a_refused_conversation(house):
    session = house.mx()
    session.connection.refuse_conversation(reply(421, "4.7.0", "No"))
    assert session.connection.wants_close
