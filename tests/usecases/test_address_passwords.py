"""Passwords of addresses, made by those who look after them. Spec: reference forwardemail 4.8 (generate-password)."""

import email
from datetime import UTC, datetime
from email.policy import default

import pytest

from mailstead.config.settings import Settings
from mailstead.model.address import Address
from mailstead.model.directory import Domain
from mailstead.model.envelope import Actor
from mailstead.model.errors import (
    AuthenticationFailed,
    NoSuchAlias,
    NoSuchDomain,
    NotAllowed,
    PolicyRefused,
    TooManyFailures,
)
from mailstead.model.people import Group, ObjectId, User, UserId
from mailstead.model.queue import QueueQuery
from mailstead.model.secret import Secret
from mailstead.policy.address_rules import AddressWishes
from mailstead.policy.srs import Srs
from mailstead.usecases.address_book import AddressBook
from mailstead.usecases.address_passwords import AddressPasswords
from mailstead.usecases.aliases import Aliases
from mailstead.usecases.log_in_links import LogInLinks
from mailstead.usecases.password_mail import PasswordMail
from mailstead.usecases.passwords import HashCost, Passwords
from mailstead.usecases.routes import Routes
from mailstead.usecases.sealing import Sealing
from mailstead.wiring.house import _relay_terms

DOMAIN = "example.test"
SALES = "sales@example.test"
FIRST, OTHER = Secret("pw-never-in-a-log-first"), Secret("pw-never-in-a-log-other")


async def user(storage, number, group, domain=DOMAIN):
    user_id = UserId(ObjectId(f"{number:024x}"))
    address = f"user{number}@example.net"
    await storage.people.add_user(User(user_id, address), None)
    await storage.people.set_member(domain, user_id, group)
    return Actor(None, Address.parse(address), user_id=user_id, groups={domain: group})


@pytest.fixture
async def owner(storage, domains):
    return await user(storage, 1, Group.ADMIN)


@pytest.fixture
async def book(storage, accounts, clock):
    passwords = Passwords(clock, HashCost(1, 8))
    yield AddressBook(storage, accounts, Aliases(storage), passwords)
    passwords.close()


@pytest.fixture
async def links(storage, accounts, clock):
    return LogInLinks(storage, accounts, clock, b"k" * 32)


@pytest.fixture
async def make(storage, book, accounts, links, keys, clock):
    sealing = Sealing(storage, keys, Srs((b"s" * 32,)), clock, authserv_id="mx.example.test", srs_domain="")
    routes = Routes(storage, _relay_terms(Settings()))

    def made(url="https://mail.example.test"):
        mail = PasswordMail(storage, routes, sealing, clock, hostname="mx.example.test", url=url)
        return AddressPasswords(storage, book, accounts, links, mail)

    return made


@pytest.fixture
async def sales(book, owner):
    return await book.create(owner, DOMAIN, AddressWishes(name="sales", has_imap=True))


async def test_the_first_password_is_made_freely(make, sales, owner, peer, accounts):
    made = await make().generate(owner, peer, DOMAIN, "sales")
    assert str(made.address) == SALES
    assert len(made.secret.reveal()) == 24
    assert made.secret.reveal() not in repr(made)
    assert (await accounts.log_in(SALES, made.secret, peer, "imap")).account_id == sales.account.account_id


async def test_the_next_one_needs_the_present_one_or_the_word(make, sales, owner, peer, accounts, storage):
    passwords = make()
    await passwords.generate(owner, peer, DOMAIN, "sales", new=FIRST)
    with pytest.raises(PolicyRefused, match="is_override"):
        await passwords.generate(owner, peer, DOMAIN, "sales")
    with pytest.raises(PolicyRefused, match="not the present"):
        await passwords.generate(owner, peer, DOMAIN, "sales", old=OTHER)
    await accounts.log_in(SALES, FIRST, peer, "imap")
    made = await passwords.generate(owner, peer, DOMAIN, sales.entry.profile.object_id, old=FIRST, new=OTHER)
    assert made.secret == OTHER
    with pytest.raises(AuthenticationFailed):
        await accounts.log_in(SALES, FIRST, peer, "imap")
    made = await passwords.generate(owner, peer, DOMAIN, "sales", is_override=True)
    assert (await accounts.log_in(SALES, made.secret, peer, "imap")).account_id == sales.account.account_id


async def test_a_mailbox_outlives_an_override(make, sales, owner, peer, storage):
    from mailstead.mime.facts import message_facts
    from mailstead.model.message import NewMessage

    octets = b"From: a@example.org\r\n\r\nhello\r\n"
    message = NewMessage(octets, message_facts(octets), datetime(2026, 1, 1, tzinfo=UTC))
    store = storage.accounts.of(sales.account.account_id)
    await store.append("INBOX", [message])
    await make().generate(owner, peer, DOMAIN, "sales", is_override=True)
    assert (await store.usage()).message_count == 1


async def test_attack_061_the_present_password_cannot_be_guessed_here(make, sales, owner, peer):
    passwords = make()
    await passwords.generate(owner, peer, DOMAIN, "sales", new=FIRST)
    refused = []
    for number in range(200):
        try:
            await passwords.generate(owner, peer, DOMAIN, "sales", old=Secret(f"pw-never-in-a-log-{number}"))
        except PolicyRefused:
            continue
        except TooManyFailures as error:
            refused.append(error)
            break
    assert refused


@pytest.mark.parametrize(
    "wrong", ["x" * 129, " pw-never-in-a-log", "pw-never-in-a-log ", 'a"b-never-in-log', "a'b-in-log"]
)
async def test_what_a_password_must_not_be(make, sales, owner, peer, wrong):
    with pytest.raises(PolicyRefused):
        await make().generate(owner, peer, DOMAIN, "sales", new=Secret(wrong))


async def test_what_has_no_mailbox_has_no_password(make, book, owner, peer):
    await book.create(owner, DOMAIN, AddressWishes(name="info", recipients=("a@example.org",)))
    with pytest.raises(PolicyRefused, match="has_imap"):
        await make().generate(owner, peer, DOMAIN, "info")


async def test_instructions_hold_a_link_and_never_a_password(make, sales, owner, peer, storage, links, accounts):
    made = await make().generate(owner, peer, DOMAIN, "sales", instructions_to="friend@elsewhere.test")
    assert made.secret is None
    [item] = await storage.queue.items(QueueQuery(limit=10))
    octets = await storage.queue.octets(item.item_id)
    assert [str(one.recipient.address) for one in item.recipients] == ["friend@elsewhere.test"]
    message = email.message_from_bytes(octets, policy=default)
    token = message.get_content().partition("https://mail.example.test/log-in/")[2].split()[0]
    assert (await links.set_password(token, FIRST)).address == Address.parse(SALES)
    await accounts.log_in(SALES, FIRST, peer, "imap")
    with pytest.raises(PolicyRefused):  # once
        await links.set_password(token, OTHER)
    with pytest.raises(PolicyRefused, match="is_override"):
        await make().generate(owner, peer, DOMAIN, "sales", instructions_to="friend@elsewhere.test")


async def test_where_there_are_no_pages_no_link_is_sent(make, sales, owner, peer, storage):
    with pytest.raises(PolicyRefused, match="no pages"):
        await make("").generate(owner, peer, DOMAIN, "sales", instructions_to="friend@elsewhere.test")
    with pytest.raises(PolicyRefused, match="new_password"):
        await make().generate(owner, peer, DOMAIN, "sales", new=FIRST, instructions_to="friend@elsewhere.test")
    assert await storage.queue.items(QueueQuery(limit=10)) == []


async def test_attack_092_others_do_not_set_it(make, book, sales, owner, peer, storage):
    member = await user(storage, 2, Group.USER)
    own = await book.create(member, DOMAIN, AddressWishes(name="own", has_imap=True))
    await make().generate(member, peer, DOMAIN, own.entry.profile.object_id)
    with pytest.raises(NoSuchAlias):
        await make().generate(member, peer, DOMAIN, "sales")
    await storage.directory.add_domain(Domain("example.com"))
    stranger = await user(storage, 3, Group.ADMIN, "example.com")
    for domain in (DOMAIN, "example.com"):
        with pytest.raises((NoSuchDomain, NoSuchAlias)):
            await make().generate(stranger, peer, domain, sales.entry.profile.object_id)


async def test_attack_092_an_administrators_account_is_not_taken_over_by_its_domain(
    make, sales, owner, peer, storage, admin
):
    user_id = UserId(ObjectId(f"{9:024x}"))
    await storage.people.add_user(User(user_id, SALES, is_admin=True, account_id=sales.account.account_id), None)
    with pytest.raises(NotAllowed):
        await make().generate(owner, peer, DOMAIN, "sales", is_override=True)
    await make().generate(admin, peer, DOMAIN, "sales", is_override=True)
