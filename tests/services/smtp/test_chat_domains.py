"""The SMTP side of chat domains: the relay's own tests in our words, through whole sessions, beside an ordinary domain."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import chat_mails as mails
import pytest
from chat_house import ADA, BEA, CLEAR_PEER, REMOTE, open_chat_house

from mailauth.zones import UNAVAILABLE
from mailstead.config.settings import Queue, Settings
from mailstead.mailauth import dkim
from mailstead.mime.dsn import parse_dsn
from mailstead.model.address import Address
from mailstead.model.errors import NoSuchAddress
from mailstead.model.secret import Secret
from services.smtp.smtp_house import ADMIN, PASSWORD

NEEDED = "523 5.7.10 Encryption Needed: Invalid Unencrypted Mail"
ALICE, BOB = "alice@example.test", "bob@example.test"


class HandClock:
    def __init__(self):
        self.passed_s = 1000.0

    def now(self):
        return datetime(2026, 11, 27, 12, tzinfo=UTC) + timedelta(seconds=self.passed_s)

    def monotonic_s(self):
        return self.passed_s


@pytest.fixture
async def house(tmp_path):
    async with open_chat_house(tmp_path) as opened:
        yield opened


def header(octets):
    return octets.partition(b"\r\n\r\n")[0].decode()


def names(octets):
    return [name.lower() for name in re.findall(r"^([^\s:]+):", header(octets), re.MULTILINE)]


async def verified(house, octets):
    return await dkim.verify(octets, house.smtp.zones, house.house.clock.now())


# verdicts

OUTGOING = {
    "encrypted": "250",
    "securejoin": "250",
    "plain": NEEDED,
    "fake_encrypted": NEEDED,
    "literal": NEEDED,
    "mdn": NEEDED,
    "mailer_daemon": "500",
    "securejoin_fake": NEEDED,
    "setup_message": NEEDED,
}
INCOMING = {**OUTGOING, "mailer_daemon": "250"}


async def test_attack_102_verdicts_on_outgoing_mail(house):
    await house.terms(sends_per_minute=0)
    async with house.login(ADA) as client:
        for kind, answer in OUTGOING.items():
            octets = getattr(mails, kind)(ADA, BEA)
            assert (await client.send(ADA, BEA, octets)).startswith(answer), kind
            assert (await client.send(ADA, REMOTE, octets)).startswith(answer), kind
    assert len(await house.messages(BEA)) == len(await house.queued()) == 2


async def test_attack_102_verdicts_on_incoming_mail(house):
    async with house.mx() as client:
        for kind, answer in INCOMING.items():
            octets = house.signed(getattr(mails, kind)(REMOTE, ADA))
            assert (await client.send(REMOTE, ADA, octets)).startswith(answer), kind
    assert len(await house.messages(ADA)) == 3


async def test_attack_102_verdicts_on_mail_from_an_ordinary_domain_beside_it(house):
    async with house.login(ALICE) as client:
        for kind, answer in {**INCOMING, "mailer_daemon": "550 5.7.1 "}.items():  # that From is not alice's
            assert (await client.send(ALICE, ADA, getattr(mails, kind)(ALICE, ADA))).startswith(answer), kind
        assert (await client.send(ALICE, [ADA, BOB], mails.plain(ALICE, ADA))).startswith(NEEDED)
        assert (await client.send(ALICE, [ADA, BOB], mails.encrypted(ALICE, ADA))).startswith("250")
    assert (len(await house.messages("bob")), len(await house.messages(ADA))) == (1, 3)


async def test_a_setup_message_goes_to_oneself_only(house):
    async with house.login(ADA) as client:
        assert (await client.send(ADA, ADA, mails.setup_message(ADA, ADA))).startswith("250")
        assert (await client.send(ADA, [ADA, BEA], mails.setup_message(ADA, ADA))).startswith(NEEDED)


async def test_addresses_that_are_exempt_send_and_get_clear_text(house):
    await house.terms(cleartext_recipients=("help@relay.test", "@open.test"))
    async with house.login(ADA) as client:
        assert (await client.send(ADA, "help@relay.test", mails.plain(ADA, "help@relay.test"))).startswith("250")
        assert (await client.send(ADA, "x@open.test", mails.plain(ADA, "x@open.test"))).startswith("250")
        assert (await client.send(ADA, "x@sub.open.test", mails.plain(ADA, "x"))).startswith(NEEDED)
        assert (await client.send(ADA, ["x@open.test", BEA], mails.plain(ADA, BEA))).startswith(NEEDED)
    await house.terms(cleartext_senders=(ADA,))
    async with house.login(ADA) as client:
        assert (await client.send(ADA, REMOTE, mails.plain(ADA, REMOTE))).startswith("250")
    async with house.login(BEA) as client:
        assert (await client.send(BEA, REMOTE, mails.plain(BEA, REMOTE))).startswith(NEEDED)


# senders


@pytest.mark.parametrize("author", [BEA, "someone@example.org", "Ada <ada@chat.test>, bea@chat.test"])
async def test_from_is_the_envelope_s_sender(house, author):
    async with house.login(ADA) as client:
        octets = mails.encrypted(ADA, BEA).replace(b"From: <ada@chat.test>", b"From: " + author.encode())
        assert (await client.send(ADA, BEA, octets)).startswith("500 ")
        assert (await client.send(ADA, BEA, octets.replace(b"From: ", b"X-From: "))).startswith(
            "500 5.7.1 Invalid FROM"
        )
        assert (await client.send("", BEA, mails.encrypted(ADA, BEA))).startswith("500 ")
    assert await house.messages(BEA) == []


async def test_the_case_of_letters_in_from_does_not_matter(house):
    async with house.login(ADA) as client:
        assert (await client.send(ADA, BEA, mails.encrypted("ADA@Chat.Test", BEA))).startswith("250")


async def test_somebody_else_s_name_is_refused_at_rcpt(house):
    async with house.login(ADA) as client:
        mail, rcpt, other, data = await client.say(
            f"MAIL FROM:<{BEA}>", f"RCPT TO:<{ADA}>", f"RCPT TO:<{REMOTE}>", "DATA"
        )
        assert mail.startswith("250 ")
        refusal = f"553 5.7.1 <{BEA}>: Sender address rejected: not owned by user {ADA}"
        assert rcpt == other == refusal
        assert data.startswith("554 5.5.1 ")


async def test_an_ordinary_account_hears_of_it_at_mail_as_ever(house):
    async with house.login(ALICE) as client:
        [mail] = await client.say(f"MAIL FROM:<{BOB}>")
        assert mail.startswith("553 5.7.1 You may send only")


async def test_more_than_the_burst_is_refused_at_rcpt(tmp_path):
    clock = HandClock()
    async with open_chat_house(tmp_path, clock=clock) as house, house.login(ADA) as client:
        octets = mails.encrypted(ADA, BEA)
        for _ in range(10):
            assert (await client.send(ADA, [BEA, REMOTE, "x@relay.test"], octets)).startswith("250")
        mail, rcpt, again, _ = await client.say(f"MAIL FROM:<{ADA}>", f"RCPT TO:<{BEA}>", f"RCPT TO:<{REMOTE}>", "RSET")
        assert mail.startswith("250 ")
        assert rcpt == again == (f"450 4.7.1: Too much mail from <{ADA}>, rate limited until: 2026-11-27 12:16:41 UTC")
        clock.passed_s += 1
        assert (await client.send(ADA, BEA, octets)).startswith("250")
        assert (await client.send(ADA, BEA, octets)).startswith("450 4.7.1: Too much mail from")
        async with house.login(BEA) as other:
            assert (await other.send(BEA, ADA, mails.encrypted(BEA, ADA))).startswith("250")


async def test_an_ordinary_account_sends_as_often_as_ever(house):
    async with house.login(ALICE) as client:
        for _ in range(12):
            assert (await client.send(ALICE, BOB, mails.plain(ALICE, BOB))).startswith("250")


# what is told to others, and what is kept

TELLING = "Received: from laptop (laptop [10.1.2.3]) by x\r\nX-Originating-IP: [10.1.2.3]\r\nX-Mailer: Talkative 1\r\nUser-Agent: Talkative/1\r\n"  # fmt: skip


async def test_attack_104_outgoing_mail_tells_neither_subject_nor_machine(house):
    octets = mails.encrypted(
        ADA, REMOTE, "Our secret plan", TELLING + "Autocrypt: addr=ada@chat.test; keydata=AA==\r\n"
    )
    async with house.login(ADA) as client:
        assert (await client.send(ADA, REMOTE, octets)).startswith("250")
    [(item, sent)] = await house.queued()
    assert re.findall(rb"(?im)^subject:.*", sent) == [b"Subject: [...]\r"]
    for telling in (b"secret plan", b"10.1.2.3", b"192.0.2.77", b"127.0.0.1", b"alkative", b"received:"):
        assert telling not in sent.replace(b"Message-ID: <Our secret plan@x.test>", b"").lower(), telling
    assert sent.partition(b"\r\n\r\n")[2] == octets.partition(b"\r\n\r\n")[2]
    assert item.expires_at - item.accepted_at == timedelta(days=2)


async def test_attack_103_a_key_slipped_in_breaks_the_signature(house):
    zones, keys = house.smtp.zones, await house.house.keys.signing_keys("chat.test")
    for key in keys:
        zones.names[f"{key.selector}._domainkey.chat.test"] = {"TXT": [dkim.public_record(key)]}
    octets = mails.encrypted(ADA, REMOTE, "subject", TELLING + "Autocrypt: addr=ada@chat.test; keydata=AA==\r\n")
    async with house.login(ADA) as client:
        await client.send(ADA, REMOTE, octets)
    [(_, sent)] = await house.queued()
    assert {(each.result, each.domain) for each in await verified(house, sent)} == {("pass", "chat.test")}
    signed = re.sub(r"\s", "", header(sent).partition("h=")[2].partition(";")[0]).split(":")
    assert signed.count("Autocrypt") == signed.count("Content-Type") == signed.count("Subject") == 2
    forged = b"Autocrypt: addr=ada@chat.test; keydata=BB==\r\n" + sent
    assert {each.result for each in await verified(house, forged)} == {"fail"}


@pytest.mark.parametrize("origin", ["local", "remote"])
async def test_stored_mail_has_no_signature_and_no_trace(house, origin):
    if origin == "local":
        async with house.login(ADA) as client:
            answer = await client.send(ADA, BEA, mails.encrypted(ADA, BEA, "s", TELLING))
    else:
        octets = house.signed(mails.encrypted(REMOTE, BEA))
        octets = b"Received: from a by b; now\r\nAuthentication-Results: b; spf=pass\r\n" + octets
        async with house.mx() as client:
            answer = await client.send(REMOTE, BEA, octets)
    assert answer.startswith("250 ")
    [stored] = await house.messages(BEA)
    assert not {"dkim-signature", "authentication-results", "received", "received-spf"} & set(names(stored))
    sender = ADA if origin == "local" else REMOTE
    assert stored.startswith(f"Return-Path: <{sender}>\r\nDelivered-To: {BEA}\r\n".encode())
    assert b"192.0.2.77" not in stored


async def test_one_message_to_both_kinds_of_domain_is_stored_as_each_wants_it(house):
    async with house.login(ADA) as client:
        assert (await client.send(ADA, [BEA, BOB, REMOTE], mails.encrypted(ADA, BEA))).startswith("250")
    [hidden], [plain], [(_, sent)] = await house.messages(BEA), await house.messages("bob"), await house.queued()
    assert names(hidden)[:3] == ["return-path", "delivered-to", "from"]
    assert names(plain)[:4] == ["return-path", "delivered-to", "received", "dkim-signature"]
    assert names(sent)[0] == "dkim-signature"
    assert hidden.endswith(plain.partition(b"\r\nFrom:")[2])


async def test_mail_between_ordinary_accounts_is_as_ever(house):
    async with house.login(ALICE) as client:
        assert (await client.send(ALICE, BOB, mails.plain(ALICE, BOB))).startswith("250")
    [stored] = await house.messages("bob")
    assert names(stored)[:4] == ["return-path", "delivered-to", "received", "dkim-signature"]
    assert b"Subject: plain\r\n" in stored


async def test_attack_104_what_the_log_is_told_has_no_address(house):
    with pytest.raises(NoSuchAddress) as hidden:
        await house.house.addresses.resolve(Address("nobody", "chat.test"))
    assert hidden.value.log_fields == {}


# sizes and counts


async def test_messages_have_the_size_of_the_domain(house):
    await house.terms(message_octets_max=3000)
    large = mails.encrypted(ADA, BEA) + b"x" * 3000 + b"\r\n"
    async with house.login(ADA) as client:
        assert (await client.say(f"MAIL FROM:<{ADA}> SIZE=3001"))[0].startswith("552 5.3.4 ")
        assert (await client.say(f"MAIL FROM:<{ADA}> SIZE=3000", "RSET"))[0].startswith("250 ")
        assert (await client.send(ADA, BEA, large)).startswith("552 5.3.4 ")
    async with house.mx() as client:
        answers = await client.say(f"MAIL FROM:<{REMOTE}> SIZE=3001", f"RCPT TO:<{ADA}>", "RSET")
        assert answers[1].startswith("552 5.3.4 ")
        assert (await client.send(REMOTE, ADA, house.signed(large))).startswith("552 5.3.4 ")
        answers = await client.say(f"MAIL FROM:<{REMOTE}> SIZE=3001", f"RCPT TO:<{ALICE}>", "RSET")
        assert answers[1].startswith("250 ")
        assert (await client.send(REMOTE, ALICE, house.signed(large))).startswith("250 ")
    async with house.login(ALICE) as client:
        assert (await client.send(ALICE, BOB, large.replace(ADA.encode(), ALICE.encode()))).startswith("250 ")


async def test_a_group_has_a_thousand_members(tmp_path):
    async with open_chat_house(tmp_path, recipients_max=3) as house:
        async with house.login(ADA) as client:
            group = [f"member{number}@relay.test" for number in range(1000)]
            assert (await client.send(ADA, group, mails.encrypted(ADA, "g@relay.test"))).startswith("250 ")
            [hello] = await client.say("EHLO [127.0.0.1]")
            assert "RCPTMAX=1000" in hello
        async with house.login(ALICE) as client:
            answers = await client.say(
                f"MAIL FROM:<{ALICE}>", *(f"RCPT TO:<x{number}@relay.test>" for number in range(4))
            )
            assert answers[-1].startswith("452 4.5.3 ")
        [(item, _)] = await house.queued()
        assert len(item.recipients) == 1000


async def test_a_lost_member_does_not_keep_the_message_from_the_group(house):
    await house.house.accounts.create(ADMIN, Address("full", "chat.test"), Secret(PASSWORD), 1000)
    async with house.login(ADA) as client:
        group = [BEA, "gone@chat.test", "full@chat.test", REMOTE]
        assert (await client.send(ADA, group, mails.encrypted(ADA, BEA) + b"x" * 1000)).startswith("250 ")
    assert len(await house.messages(BEA)) == 1
    queued = await house.queued()
    assert {item.kind for item, _ in queued} == {"submission", "notice"}
    [notice] = [octets for item, octets in queued if item.kind == "notice"]
    told = {(each.address, each.status) for each in parse_dsn(notice).recipients}
    assert told == {("gone@chat.test", "5.1.1"), ("full@chat.test", "5.2.2")}


async def test_dsn_parameters_are_taken(house):
    async with house.login(ADA) as client:
        answers = await client.say(
            f"MAIL FROM:<{ADA}> RET=HDRS ENVID=x BODY=8BITMIME", f"RCPT TO:<{BEA}> NOTIFY=NEVER ORCPT=rfc822;{BEA}"
        )
        assert [answer[:3] for answer in answers] == ["250", "250"]


async def test_vrfy_tells_nothing(house):
    async with house.mx() as client:
        answers = await client.say(*(f"VRFY {name}" for name in (ADA, "nobody@chat.test", "ada", "nobody")))
        assert {answer[:10] for answer in answers} == {"252 2.0.0 "}
        assert len(set(answers)) == 1


# where mail comes from


async def test_unsigned_mail_is_refused(house):
    async with house.mx() as client:
        for mail_from in (REMOTE, ""):
            answer = await client.send(mail_from, ADA, mails.encrypted(REMOTE, ADA))
            assert answer == "554 5.7.1 No DKIM signature found"


async def test_only_a_valid_signature_of_the_very_domain_counts(house):
    forgeries = [
        house.signed(mails.encrypted("carl@sub.relay.test", ADA)),  # of the parent
        house.signed(mails.encrypted("carl@other.test", ADA)),
        house.signed(mails.encrypted(REMOTE, ADA)) + b"more\r\n",
        house.signed(mails.encrypted(REMOTE, ADA)).replace(b"Subject: [...]", b"Subject: [..]"),
        b"DKIM-Signature: nonsense\r\n" + mails.encrypted(REMOTE, ADA),
    ]
    async with house.mx() as client:
        for octets in forgeries:
            assert await client.send(REMOTE, ADA, octets) == "554 5.7.1 No valid DKIM signature found"
        octets = b"DKIM-Signature: nonsense\r\n" + house.signed(mails.encrypted(REMOTE, ADA))
        assert (await client.send(REMOTE, ADA, octets)).startswith("250 ")


async def test_clear_text_is_refused_before_anybody_asks_the_dns(house):
    async with house.mx() as client:
        asked = len(house.smtp.zones.questions)
        assert (await client.send(REMOTE, ADA, house.signed(mails.plain(REMOTE, ADA)))).startswith(NEEDED)
        assert len(house.smtp.zones.questions) == asked


async def test_some_accounts_take_clear_text_that_is_signed(house):
    await house.terms(cleartext_accounts=(ADA,))
    async with house.mx() as client:
        octets = mails.plain(REMOTE, ADA)
        assert (await client.send(REMOTE, ADA, house.signed(octets))).startswith("250 ")
        assert (await client.send(REMOTE, ADA, octets)).startswith("554 5.7.1 No DKIM signature")
        assert (await client.send(REMOTE, BEA, house.signed(octets))).startswith(NEEDED)
        assert (await client.send(REMOTE, [ADA, BEA], house.signed(octets))).startswith(NEEDED)


async def test_trouble_with_the_dns_is_temporary(house):
    names = house.smtp.zones.names
    for key in house.relay_keys:
        names[f"{key.selector}._domainkey.relay.test"] = UNAVAILABLE
    async with house.mx() as client:
        assert (await client.send(REMOTE, ADA, house.signed(mails.encrypted(REMOTE, ADA)))).startswith("451 4.4.3 ")
        assert (await client.send(REMOTE, ADA, house.signed(mails.encrypted("x@y.test", ADA)))).startswith("554 ")


async def test_nothing_but_the_signature_is_looked_at(house):
    house.smtp.zones.names |= {
        "relay.test": {"TXT": ["v=spf1 -all"]},
        "_dmarc.relay.test": {"TXT": ["v=DMARC1; p=reject; aspf=s"]},
    }
    asked = len(house.smtp.zones.questions)
    async with house.mx() as client:
        assert (await client.send(REMOTE, ADA, house.signed(mails.encrypted(REMOTE, ADA)))).startswith("250 ")
    assert all("_domainkey" in name for name, _ in house.smtp.zones.questions[asked:])
    assert len(await house.messages(ADA)) == 1


async def test_an_author_at_an_ip_address_signs_nothing(house):
    async with house.mx() as client:
        octets = mails.encrypted("carl@[127.0.0.2]", ADA)
        assert (await client.send("carl@[127.0.0.2]", ADA, octets)).startswith("250 ")
    assert len(await house.messages(ADA)) == 1


@pytest.mark.parametrize("mail_from", ["SRS0=ab=cd=relay.test=carl@forwarder.test", "eve@stranger.test", ""])
async def test_an_envelope_with_another_sender_loses_it(house, mail_from):
    async with house.mx() as client:
        assert (await client.send(mail_from, ADA, house.signed(mails.encrypted(REMOTE, ADA)))).startswith("250 ")
    [stored] = await house.messages(ADA)
    assert stored.startswith(b"Return-Path: <>\r\n")


async def test_clear_text_sessions_hear_of_tls_for_each_recipient(house):
    async with house.mx(CLEAR_PEER) as client:
        mail, chat, ordinary = await client.say(f"MAIL FROM:<{REMOTE}>", f"RCPT TO:<{ADA}>", f"RCPT TO:<{ALICE}>")
        assert mail.startswith("250 ")
        assert chat == "530 5.7.0 Must issue a STARTTLS command first"
        assert ordinary.startswith("250 ")


async def test_where_all_domains_want_tls_mail_is_refused(house):
    await house.terms("example.test", requires_tls_inbound=True)
    async with house.mx(CLEAR_PEER) as client:
        for _ in range(2):
            assert await client.say(f"MAIL FROM:<{REMOTE}>") == ["530 5.7.0 Must issue a STARTTLS command first"]
        await house.terms("example.test", requires_tls_inbound=False)
        assert (await client.say(f"MAIL FROM:<{REMOTE}>"))[0].startswith("250 ")
    await house.terms("example.test", requires_tls_inbound=True)
    async with house.mx() as client:
        assert (await client.say(f"MAIL FROM:<{REMOTE}>"))[0].startswith("250 ")


async def test_unknown_recipients_are_refused_at_rcpt(house):
    async with house.mx() as client:
        mail, unknown, known = await client.say(
            f"MAIL FROM:<{REMOTE}>", "RCPT TO:<nobody@chat.test>", f"RCPT TO:<{ADA}>"
        )
        assert unknown.startswith("550 5.1.1 ")
        assert mail[:4] == known[:4] == "250 "


async def test_each_kind_of_domain_gets_a_message_of_its_own(house):
    async with house.mx() as client:
        answers = await client.say(
            f"MAIL FROM:<{REMOTE}>", f"RCPT TO:<{ADA}>", f"RCPT TO:<{ALICE}>", f"RCPT TO:<{BEA}>", "RSET"
        )
        assert [answer[:9] for answer in answers[1:4]] == ["250 2.1.5", "452 4.5.3", "250 2.1.5"]
        answers = await client.say(
            f"MAIL FROM:<{REMOTE}>", f"RCPT TO:<{ALICE}>", f"RCPT TO:<{ADA}>", f"RCPT TO:<{BOB}>", "RSET"
        )
        assert [answer[:9] for answer in answers[1:4]] == ["250 2.1.5", "452 4.5.3", "250 2.1.5"]


async def test_an_alias_of_an_ordinary_domain_is_no_back_door(house):
    await house.house.aliases.create(ADMIN, Address("door", "example.test"), [Address.parse(ADA)])
    async with house.mx() as client:
        assert (await client.send(REMOTE, "door@example.test", house.signed(mails.plain(REMOTE, ADA)))).startswith(
            NEEDED
        )
        octets = mails.encrypted(REMOTE, ADA)
        assert (await client.send(REMOTE, "door@example.test", octets)).startswith("554 5.7.1 No DKIM")
        assert (await client.send(REMOTE, "door@example.test", house.signed(octets))).startswith("250 ")


async def test_a_deny_list_of_the_administrator_still_refuses(house):
    await house.terms(denylist=("relay.test",))
    async with house.mx() as client:
        answer = await client.send(REMOTE, ADA, house.signed(mails.encrypted(REMOTE, ADA)))
        assert answer == "550 5.7.1 Sender is refused here"


async def test_the_day_s_limit_of_the_server_is_not_that_of_groups(tmp_path):
    settings = replace(Settings(), queue=Queue(recipients_per_day_max=2))
    async with open_chat_house(tmp_path, settings=settings) as house:
        group = [f"member{number}@relay.test" for number in range(3)]
        async with house.login(ADA) as client:
            assert (await client.send(ADA, group, mails.encrypted(ADA, "g@relay.test"))).startswith("250 ")
        async with house.login(ALICE) as client:
            assert (await client.send(ALICE, group, mails.plain(ALICE, "g@relay.test"))).startswith("450 4.7.1 You may")
