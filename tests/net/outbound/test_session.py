import asyncio
import random
from dataclasses import replace

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Envelope, Recipient
from net.outbound.remote import DROP, STALL, until

EVERYTHING = ("PIPELINING", "8BITMIME", "SIZE 100000000", "DSN", "ENHANCEDSTATUSCODES", "SMTPUTF8")


async def test_a_message_goes_in_two_writes_and_is_answered(world):
    remote = await world.mx(extensions=EVERYTHING)
    [reply] = await world.send()
    [heard] = remote.heard
    assert (reply.code, reply.enhanced, reply.text) == (250, "2.0.0", "taken")
    assert (reply.host, reply.address, reply.security) == ("mx.there.test", "127.0.0.1", "none")
    assert heard.lines == ["EHLO us.test", "MAIL FROM:<me@us.test> SIZE=22", "RCPT TO:<a@there.test>", "DATA"]
    assert heard.messages == [b"Subject: hi\r\n\r\nhello\r\n.\r\n"]


async def test_a_session_is_used_again_without_rset_and_says_quit(world):
    remote = await world.mx()
    session = await world.open()
    for _ in range(3):
        [reply] = await world.send(session=session)
        assert reply.is_positive
    await session.close()
    await session.close()
    assert not session.is_open
    [heard] = remote.heard
    await until(lambda: heard.verbs[-1] == "QUIT")
    assert heard.verbs == ["EHLO", *["MAIL", "RCPT", "DATA"] * 3, "QUIT"]


@pytest.mark.parametrize("pipelining", [True, False])
async def test_refused_recipients_do_not_hold_up_the_others(world, pipelining):
    extensions = ("PIPELINING",) if pipelining else ()
    answers = [b"550 5.1.1 nobody\r\n", b"250 fine\r\n", b"452 4.2.2 full\r\n"]
    remote = await world.mx(extensions=extensions, RCPT=answers)
    replies = await world.send(to=("a@there.test", "b@there.test", "c@there.test"))
    assert [(reply.code, reply.is_permanent) for reply in replies] == [(550, True), (250, False), (452, False)]
    assert len(remote.messages) == 1


async def test_without_pipelining_each_command_waits_for_its_answer(world):
    remote = await world.mx(extensions=(), RCPT=[b"550 no\r\n", b"550 no\r\n"])
    session = await world.open()
    replies = await world.send(to=("a@there.test", "b@there.test"), session=session)
    assert [reply.code for reply in replies] == [550, 550]
    [reply] = await world.send(session=session)
    assert reply.code == 250
    assert remote.heard[0].verbs == ["EHLO", "MAIL", "RCPT", "RCPT", "RSET", "MAIL", "RCPT", "DATA"]


async def test_a_refused_sender_ends_the_transaction_without_more(world):
    remote = await world.mx(extensions=(), MAIL=[b"550 5.7.1 not you\r\n"])
    replies = await world.send(to=("a@there.test", "b@there.test"))
    assert [(reply.code, reply.enhanced, reply.is_permanent) for reply in replies] == [(550, "5.7.1", True)] * 2
    assert remote.heard[0].verbs == ["EHLO", "MAIL"]


async def test_all_refused_but_354_is_ended_by_a_lone_dot_and_the_session_goes_on(world):
    remote = await world.mx(RCPT=[b"550 no\r\n"], MESSAGE=[b"554 no recipients\r\n"])
    session = await world.open()
    [reply] = await world.send(session=session)
    assert reply.code == 550
    [reply] = await world.send(session=session)
    assert reply.code == 250
    assert remote.messages == [b".\r\n", b"Subject: hi\r\n\r\nhello\r\n.\r\n"]
    assert remote.heard[0].verbs == ["EHLO", "MAIL", "RCPT", "DATA", "RSET", "MAIL", "RCPT", "DATA"]


async def test_refused_data_counts_for_those_that_were_taken(world):
    await world.mx(RCPT=[b"250 ok\r\n", b"550 no\r\n"], DATA=[b"451 4.3.0 later\r\n"])
    session = await world.open()
    replies = await world.send(to=("a@there.test", "b@there.test"), session=session)
    assert [reply.code for reply in replies] == [451, 550]
    assert session.is_open


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "MESSAGE"])
async def test_a_lost_connection_gives_temporary_replies_at_every_step(world, step):
    await world.mx(**{step: DROP})
    session = await world.open()
    replies = await world.send(to=("a@there.test", "b@there.test"), session=session)
    assert [reply.code for reply in replies] == [0, 0]
    assert not any(reply.is_permanent for reply in replies)
    assert not session.is_open
    [reply] = await world.send(session=session)
    assert reply.code == 0


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "MESSAGE"])
async def test_a_silent_server_is_given_up_at_every_step(world, step):
    world.limits = replace(world.limits, command_s=0.2, data_end_s=0.2)
    await world.mx(**{step: STALL})
    session = await world.open()
    [reply] = await world.send(session=session)
    assert (reply.code, reply.enhanced) == (0, "4.4.2")
    assert "in time" in reply.text
    assert not session.is_open


async def test_what_was_answered_before_the_connection_was_lost_counts(world):
    await world.mx(RCPT=[b"550 5.1.1 nobody\r\n", DROP])
    replies = await world.send(to=("a@there.test", "b@there.test"))
    assert [(reply.code, reply.is_permanent) for reply in replies] == [(550, True), (0, False)]


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "MESSAGE"])
async def test_421_is_the_end_and_the_answer_for_all_that_wait(world, step):
    await world.mx(**{step: [b"421 4.3.2 shutting down\r\n"]})
    session = await world.open()
    replies = await world.send(to=("a@there.test", "b@there.test"), session=session)
    assert [reply.code for reply in replies] == [421, 421]
    assert not any(reply.is_permanent for reply in replies)
    assert not session.is_open


async def test_a_server_that_says_goodbye_between_messages_is_noticed(world):
    async def taken_then_goodbye(reader, writer):
        writer.write(b"250 taken\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)  # so that the goodbye comes behind the answer, not with it
        writer.write(b"421 4.4.2 idle too long\r\n")

    await world.mx(MESSAGE=taken_then_goodbye)
    session = await world.open()
    [reply] = await world.send(session=session)
    assert reply.code == 250
    await until(lambda: not session.is_open)


@pytest.mark.parametrize("extensions", [("PIPELINING",), ("PIPELINING", "CHUNKING"), ("CHUNKING",), ()])
async def test_large_messages_arrive_whole(world, extensions):
    remote = await world.mx(extensions=extensions)
    octets = b"Subject: large\r\n\r\n" + b".line with a dot in front\r\n..two\r\n" * 100_000 + b"."
    session = await world.open()
    for _ in range(2):
        [reply] = await world.send(octets, session=session)
        assert reply.code == 250
    for message in remote.messages:
        if "CHUNKING" in extensions:
            assert message == octets
        else:
            assert message.endswith(b"\r\n..\r\n.\r\n")
            assert message.replace(b"\r\n..", b"\r\n.") == octets + b"\r\n.\r\n"


async def test_a_server_that_refuses_in_the_middle_of_a_message_is_believed(world):
    async def refuse(reader, writer):
        writer.write(b"354 go\r\n")
        await reader.read(1000)
        writer.write(b"552 5.3.4 too large after all\r\n")
        await writer.drain()
        await asyncio.Event().wait()

    await world.mx(DATA=refuse)
    session = await world.open()
    [reply] = await world.send(b"x" * 70 + b"\r\n" * 5_000_000, session=session)
    assert (reply.code, reply.enhanced, reply.is_permanent) == (552, "5.3.4", True)
    assert not session.is_open


async def test_an_answer_before_the_message_is_no_success(world):
    async def hurried(reader, writer):
        writer.write(b"354 go\r\n250 taken, thank you\r\n")
        await writer.drain()
        return b""

    await world.mx(DATA=hurried)
    session = await world.open()
    [reply] = await world.send(session=session)
    assert reply.code == 0
    assert not session.is_open


@pytest.mark.parametrize("code", [250, 220, 334])
async def test_a_positive_answer_to_data_that_is_not_354_is_no_success(world, code):
    remote = await world.mx(DATA=b"%d fine\r\n" % code)
    session = await world.open()
    [reply] = await world.send(session=session)
    assert (reply.code, reply.is_permanent) == (0, False)
    assert not session.is_open
    assert remote.messages == []


async def test_a_stalled_reader_is_given_up(world):
    async def stop_reading(reader, writer):
        writer.write(b"354 go\r\n")
        writer.transport.pause_reading()
        await writer.drain()
        await asyncio.Event().wait()

    world.limits = replace(world.limits, data_block_s=0.2)
    await world.mx(DATA=stop_reading)
    [reply] = await world.send(b"x" * 50_000_000)
    assert reply.code == 0


async def test_attack_001_and_002_nothing_bare_is_sent_on_by_data_or_bdat(world):
    octets = b"Subject: x\r\n\r\na\n.\nb\r.\rc\r\n.\r\nMAIL FROM:<evil@x.test>\r\n\n.\r\n"
    for extensions in (("PIPELINING",), ("CHUNKING", "PIPELINING"), ("CHUNKING", "BINARYMIME")):
        await world.close()
        world.remotes.clear()
        remote = await world.mx(extensions=extensions)
        [reply] = await world.send(octets)
        assert reply.code == 250
        [message] = remote.messages
        assert message.count(b"\n") == message.count(b"\r") == message.count(b"\r\n")
        if "CHUNKING" not in extensions:
            assert message.count(b"\r\n.\r\n") == 1
        assert remote.heard[0].verbs.count("MAIL") == 1


async def test_binary_goes_as_it_is_where_that_is_offered_and_nowhere_else(world):
    octets = b"Subject: x\r\n\r\n\n\r\0"
    remote = await world.mx(extensions=("CHUNKING", "BINARYMIME"))
    [reply] = await world.send(octets, body="BINARYMIME")
    assert reply.code == 250
    assert remote.messages == [octets]
    assert "BODY=BINARYMIME" in remote.heard[0].lines[1]
    await world.close()
    await world.mx(extensions=("CHUNKING", "8BITMIME"))
    [reply] = await world.send(octets, body="BINARYMIME")
    assert (reply.enhanced, reply.is_permanent) == ("5.6.3", True)


async def test_eight_bits_go_to_a_server_without_8bitmime_as_they_are(world):
    remote = await world.mx(extensions=())
    [reply] = await world.send("Subject: x\r\n\r\nä\r\n".encode(), body="8BITMIME")
    assert reply.code == 250
    assert remote.messages == ["Subject: x\r\n\r\nä\r\n.\r\n".encode()]
    assert "BODY" not in remote.heard[0].lines[1]


async def test_smtputf8_is_needed_by_addresses_and_headers_only(world):
    remote = await world.mx()
    session = await world.open()
    [reply] = await world.send(to=("ü@there.test",), session=session, smtputf8=True)
    assert (reply.enhanced, reply.is_permanent) == ("5.6.7", True)
    [reply] = await world.send("Subject: ü\r\n\r\n".encode(), session=session, smtputf8=True)
    assert reply.enhanced == "5.6.7"
    [reply] = await world.send("Subject: u\r\n\r\nü".encode(), session=session, smtputf8=True)
    assert reply.code == 250
    assert "SMTPUTF8" not in remote.heard[0].lines[1]
    assert session.is_open


async def test_parameters_are_said_to_servers_that_know_them(world):
    remote = await world.mx(extensions=EVERYTHING)
    session = await world.open()
    recipient = Recipient(Address("ü", "there.test"), frozenset({"SUCCESS", "FAILURE"}), "rfc822;a+b@there.test")
    envelope = Envelope(None, (recipient,), "8BITMIME", smtputf8=True, ret="HDRS", envid="x=1")
    [reply] = await session.send(envelope, b"Subject: x\r\n\r\n")
    assert reply.code == 250
    assert remote.heard[0].lines[1:3] == [
        "MAIL FROM:<> SIZE=14 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=x+3D1",
        "RCPT TO:<ü@there.test> NOTIFY=FAILURE,SUCCESS ORCPT=rfc822;a+2Bb@there.test",
    ]


async def test_a_message_above_the_stated_size_is_not_sent(world):
    remote = await world.mx(extensions=("SIZE 20",))
    session = await world.open()
    [reply] = await world.send(session=session)
    assert (reply.code, reply.enhanced, reply.is_permanent) == (552, "5.3.4", True)
    assert remote.heard[0].verbs == ["EHLO"]
    assert session.is_open


async def test_stated_limits_are_kept(world):
    remote = await world.mx(extensions=("PIPELINING", "LIMITS MAILMAX=3 RCPTMAX=2"))
    session = await world.open()
    replies = await world.send(to=[f"a{i}@there.test" for i in range(5)], session=session)
    assert [reply.code for reply in replies] == [250] * 5
    assert remote.heard[0].verbs[1:] == ["MAIL", "RCPT", "RCPT", "DATA"] * 2 + ["MAIL", "RCPT", "DATA"]
    assert not session.is_open
    [reply] = await world.send(session=session)
    assert (reply.code, reply.is_permanent) == (0, False)


async def test_552_for_too_many_recipients_is_temporary(world):
    await world.mx(RCPT=[b"250 ok\r\n", b"552 too many recipients\r\n"])
    replies = await world.send(to=("a@there.test", "b@there.test"))
    assert [(reply.code, reply.is_permanent) for reply in replies] == [(250, False), (552, False)]
    await world.close()
    await world.mx(RCPT=[b"250 ok\r\n", b"552 5.2.2 full\r\n"])
    replies = await world.send(to=("a@there.test", "b@there.test"))
    assert replies[1].is_permanent


async def test_a_message_that_requires_tls_never_goes_where_that_is_not_offered(world):
    remote = await world.mx(extensions=("REQUIRETLS",))
    [reply] = await world.send(require_tls=True)
    assert (reply.enhanced, reply.is_permanent) == ("5.7.30", True)
    assert remote.heard[0].verbs == ["EHLO"]


async def test_answers_are_one_clean_line_of_bounded_length(world):
    text = b"".join(b"550-5.1.1 line %d \x1b[31m\t%s\r\n" % (i, b"x" * 100) for i in range(50)) + b"550 5.1.1 end\r\n"
    await world.mx(RCPT=text)
    [reply] = await world.send()
    assert reply.text.startswith("line 0  [31m")
    assert len(reply.text) == 1000
    assert reply.text.isprintable()


@pytest.mark.parametrize(
    "flood",
    [
        b"2" * 5000,
        b"250-x\r\n" * 10_000 + b"250 x\r\n",
        b"hello\r\n",
        b"250 a\n",
        b"250-a\r\n251 b\r\n",
        b"250 a\r\n" * 9,
    ],
)
async def test_attack_025_odd_replies_end_the_conversation_and_the_mail_waits(world, flood):
    await world.mx(MAIL=flood)
    session = await world.open()
    replies = await world.send(session=session)
    assert not session.is_open
    assert not replies[0].is_permanent


async def test_a_cancelled_send_closes_the_conversation(world):
    await world.mx(MESSAGE=STALL)
    session = await world.open()
    sending = asyncio.create_task(world.send(session=session))
    await until(lambda: world.remotes[0].messages)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert not session.is_open


def whim(chance):
    """What a server of that mood answers to something."""
    codes = [*[250] * 12, 354, 220, 421, 450, 452, 500, 550, 552, 999]
    lines = chance.choice([1, 1, 1, 2, 30])
    code = chance.choice(codes)
    reply = b"".join(b"%d-%d.1.1 x\r\n" % (code, code // 100) for _ in range(lines - 1)) + b"%d x\r\n" % code
    return chance.choice([reply] * 12 + [DROP, b"junk\r\n", reply + reply, reply[:3], b""])


@pytest.mark.parametrize("seed", range(40))
async def test_attack_025_no_server_makes_us_fail_or_believe_what_it_has_not_got(world, seed):
    chance = random.Random(seed)
    world.limits = replace(world.limits, command_s=0.3, data_start_s=0.3, data_block_s=0.3, data_end_s=0.3)
    extensions = [word for word in ("PIPELINING", "CHUNKING", "SIZE 9999999", "SMTPUTF8") if chance.random() < 0.6]
    steps = ("MAIL", "RCPT", "DATA", "MESSAGE", "RSET")
    script = {step: [whim(chance) if chance.random() < 0.4 else b"250 ok\r\n" for _ in range(9)] for step in steps}
    script["DATA"] = [whim(chance) if chance.random() < 0.4 else b"354 go\r\n" for _ in range(9)]
    remote = await world.mx(extensions=extensions, **script)
    session = await world.open()
    for number in range(4):
        octets = b"Subject: %d\r\n\r\n" % number + b"line\r\n" * chance.choice([1, 40_000])
        replies = await world.send(octets, to=("a@there.test", "b@there.test", "c@there.test"), session=session)
        has_it = any(message.startswith(b"Subject: %d\r\n" % number) for message in remote.messages)
        assert has_it or not any(reply.is_positive for reply in replies)
        assert all(not reply.is_permanent or reply.code >= 500 for reply in replies)
    for message in remote.messages:
        assert message.startswith((b"Subject: ", b".\r\n"))
