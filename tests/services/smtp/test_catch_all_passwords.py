"""Passwords of a catch-all, over real sessions: what they are good for, and what they are not."""

import base64

import pytest
from test_session import TLS_PEER, b64, talk

from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.errors import (
    AuthenticationFailed,
    LimitReached,
    NoSuchDomain,
    NoSuchKey,
    NotAllowed,
    PolicyRefused,
)
from mailstead.model.people import Group, ObjectId, UserId
from mailstead.model.secret import Secret
from mailstead.proto.sasl.client import ScramSha256Client, plain_response
from mailstead.usecases.catch_all_passwords import CatchAllPasswords
from mailstead.usecases.passwords import HashCost, Passwords

DOMAIN = "example.test"
NAME = f"*@{DOMAIN}"
CHOSEN = "pw-never-in-a-log-chosen"


def user(group, domain=DOMAIN):
    return Actor(None, Address("o", "example.net"), user_id=UserId(ObjectId("0" * 24)), groups={domain: group})


OWNER = user(Group.ADMIN)


@pytest.fixture
async def catch_all(house):
    passwords = Passwords(house.house.clock, HashCost(1, 8, 1))
    yield CatchAllPasswords(house.storage, passwords, house.house.clock, house.house.audit)
    passwords.close()


def plain(secret):
    return "AUTH PLAIN " + b64(plain_response(NAME, Secret(secret)))


async def sent(client, mail_from, header_from, to="bob@example.test"):
    answers = await client.say(f"MAIL FROM:<{mail_from}>")
    if not answers[0].startswith("250"):
        return answers[0][:3]
    await client.say(f"RCPT TO:<{to}>", "DATA")
    return (await client.send(b"From: " + header_from + b"\r\nSubject: s\r\n\r\nbody"))[:3]


@pytest.mark.parametrize("chosen", [None, CHOSEN])
async def test_it_sends_with_every_address_of_its_domain_and_with_no_other(house, catch_all, chosen):
    made = await catch_all.add(OWNER, DOMAIN, "shop", Secret(chosen) if chosen else None)
    assert made.username == NAME
    await house.house.domains.add(Actor(None, None, is_admin=True), "example.com")
    async with talk(house.submission(), TLS_PEER) as client:
        assert (await client.say(plain(made.secret.reveal())))[0].startswith("235")
        for name in ("shop", "alice", "team", "nobody-yet"):
            address = f"{name}@example.test"
            assert await sent(client, address, address.encode()) == "250"
        for address in ("a@example.com", "a@elsewhere.test", "a@sub.example.test"):
            assert await sent(client, address, address.encode()) == "553"
            assert await sent(client, "shop@example.test", address.encode()) == "550"
    assert len(await house.messages("bob")) == 4


async def test_it_sends_to_others(house, catch_all):
    made = await catch_all.add(OWNER, DOMAIN)
    async with talk(house.submission(), TLS_PEER) as client:
        await client.say(plain(made.secret.reveal()))
        assert await sent(client, "shop@example.test", b"shop@example.test", "x@elsewhere.test") == "250"
    [item] = await house.queued()
    assert (str(item.mail_from), item.domain) == ("shop@example.test", DOMAIN)


async def test_it_logs_in_by_scram(house, catch_all):
    first = await catch_all.add(OWNER, DOMAIN, "first")
    second = await catch_all.add(OWNER, DOMAIN, "second", Secret(CHOSEN))
    for made in (first, second):
        async with talk(house.submission(), TLS_PEER) as client:
            scram = ScramSha256Client(NAME, made.secret, "clientnonce")
            [challenge] = await client.say("AUTH SCRAM-SHA-256 " + b64(scram.first()))
            [signature] = await client.say(b64(scram.final(base64.b64decode(challenge[4:]))))
            assert scram.check(base64.b64decode(signature[4:]))
            assert (await client.say(""))[0].startswith("235")


@pytest.mark.parametrize("service", ["imap", "pop3", "sieve", "dav", "api", "web"])
async def test_attack_092_it_is_good_for_nothing_else(house, catch_all, service):
    made = await catch_all.add(OWNER, DOMAIN)
    with pytest.raises(AuthenticationFailed):
        await house.accounts.log_in(NAME, made.secret, TLS_PEER, service)
    assert (await house.accounts.log_in(NAME, made.secret, TLS_PEER, "smtp")).scopes == {"smtp"}


async def test_a_wrong_one_and_that_of_another_domain_are_refused(house, catch_all):
    await house.house.domains.add(Actor(None, None, is_admin=True), "example.com")
    made = await catch_all.add(user(Group.ADMIN, "example.com"), "example.com")
    async with talk(house.submission(), TLS_PEER) as client:
        assert (await client.say(plain(made.secret.reveal())))[0].startswith("535 5.7.8 ")
        assert (await client.say(plain("pw-never-in-a-log-wrong")))[0].startswith("535 5.7.8 ")


async def test_attack_064_without_the_password_the_session_ends(house, catch_all):
    made = await catch_all.add(OWNER, DOMAIN)
    kept = await catch_all.add(OWNER, DOMAIN)
    async with talk(house.submission(), TLS_PEER) as client:
        assert (await client.say(plain(made.secret.reveal())))[0].startswith("235")
        await catch_all.remove(OWNER, DOMAIN, made.password.password_id)
        assert (await client.read()).startswith("421 4.7.0 ")
    async with talk(house.submission(), TLS_PEER) as client:
        assert (await client.say(plain(made.secret.reveal())))[0].startswith("535 ")
        assert (await client.say(plain(kept.secret.reveal())))[0].startswith("235 ")


async def test_attack_092_only_administrators_of_the_domain_have_them(catch_all):
    made = await catch_all.add(OWNER, DOMAIN, "shop")
    for actor, error in ((user(Group.USER), NotAllowed), (user(Group.ADMIN, "example.com"), NoSuchDomain)):
        with pytest.raises(error):
            await catch_all.list(actor, DOMAIN)
        with pytest.raises(error):
            await catch_all.add(actor, DOMAIN)
        with pytest.raises(error):
            await catch_all.remove(actor, DOMAIN, made.password.password_id)
    assert await catch_all.list(OWNER, DOMAIN) == [made.password]


async def test_they_are_bounded_and_checked(catch_all):
    for wrong in ("x" * 129, " leading-blank", 'quo"tes-in-it', "short"):
        with pytest.raises(PolicyRefused):
            await catch_all.add(OWNER, DOMAIN, "", Secret(wrong))
    with pytest.raises(PolicyRefused):
        await catch_all.add(OWNER, DOMAIN, "x" * 151)
    for _ in range(10):
        await catch_all.add(OWNER, DOMAIN)
    with pytest.raises(LimitReached):
        await catch_all.add(OWNER, DOMAIN)
    with pytest.raises(NoSuchKey):
        await catch_all.remove(OWNER, DOMAIN, "0" * 24)
