"""The addresses of a domain as those who administer it see them. The table of validations is the reference's, row by row."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mailstead.mime.facts import message_facts
from mailstead.model.address import Address
from mailstead.model.directory import Account, Alias, Domain, HostTarget, WebhookTarget
from mailstead.model.envelope import Actor
from mailstead.model.errors import (
    AddressDisabled,
    AddressPaused,
    AddressTaken,
    AliasLoop,
    AuthenticationFailed,
    BadAddress,
    BadTarget,
    LimitReached,
    NoSuchAlias,
    NoSuchDomain,
    NotAllowed,
    PolicyRefused,
)
from mailstead.model.message import NewMessage
from mailstead.model.people import Group, Listing, ObjectId, User, UserId
from mailstead.model.secret import Secret
from mailstead.policy.address_rules import ADMINISTRATIVE, AddressWishes, VacationWishes
from mailstead.policy.words import FIRST, SECOND
from mailstead.usecases.address_book import AddressBook
from mailstead.usecases.aliases import Aliases
from mailstead.usecases.passwords import HashCost, Passwords, is_unset
from mailstead.usecases.vacations import Vacations

DOMAIN = "example.test"
OUTSIDE = "a@example.org"
ALL = Listing(limit=1000)


def wishes(name="", **others):
    return AddressWishes(name=name, **others)


@pytest.fixture
async def passwords(clock):
    made = Passwords(clock, HashCost(1, 8))
    yield made
    made.close()


@pytest.fixture
async def book(storage, accounts, passwords):
    return AddressBook(storage, accounts, Aliases(storage), passwords, quota_octets=10 << 30)


async def user(storage, number, group, domain=DOMAIN):
    """Give the actor of a user with that part in the domain."""
    user_id = UserId(ObjectId(f"{number:024x}"))
    address = f"user{number}@example.net"
    await storage.people.add_user(User(user_id, address), None)
    await storage.people.set_member(domain, user_id, group)
    return Actor(None, Address.parse(address), user_id=user_id, groups={domain: group})


@pytest.fixture
async def owner(storage, domains):
    return await user(storage, 1, Group.ADMIN)


@pytest.fixture
async def member(storage, domains):
    return await user(storage, 2, Group.USER)


async def put_mail(storage, account):
    octets = b"From: a@example.org\r\n\r\nhello\r\n"
    message = NewMessage(octets, message_facts(octets), datetime(2026, 1, 1, tzinfo=UTC))
    await storage.accounts.of(account.account_id).append("INBOX", [message])


# making, finding, listing


async def test_an_address_without_a_mailbox_is_an_alias(book, owner, storage):
    made = await book.create(
        owner, DOMAIN, wishes("Sales", recipients=(OUTSIDE,), description="shop", labels=("a", "b"))
    )
    assert isinstance(made.entry.owner, Alias)
    assert (made.entry.owner.address, made.entry.owner.targets) == (Address("sales", DOMAIN), (Address.parse(OUTSIDE),))
    assert (made.entry.owner.description, made.entry.profile.labels) == ("shop", ("a", "b"))
    assert made.user.address == "user1@example.net"
    for asked in ("sales", "SALES", "sales@example.test", made.entry.profile.object_id):
        assert await book.get(owner, DOMAIN, asked) == made
    of = await storage.people.domain_entry(DOMAIN)
    assert await book.get(owner, of.profile.object_id, "sales") == made


async def test_an_address_with_a_mailbox_is_an_account_with_no_password_yet(book, owner, storage, accounts, peer):
    made = await book.create(
        owner,
        DOMAIN,
        wishes("sales", has_imap=True, recipients=(OUTSIDE,), description="d", max_quota="1 GB", sending_limit=7),
    )
    account = made.account
    assert (account.address, account.forward_to, account.keeps_copy) == (
        Address("sales", DOMAIN),
        (Address.parse(OUTSIDE),),
        True,
    )
    assert (account.quota_octets, account.sending_limit, made.entry.profile.description) == (1 << 30, 7, "d")
    assert (made.usage.message_count, made.usage.quota_octets) == (0, 1 << 30)
    assert is_unset((await storage.directory.credentials(account.address)).password)
    for guess in ("", "\0" * 8, "password"):
        with pytest.raises(AuthenticationFailed):
            await accounts.log_in("sales@example.test", Secret(guess), peer, "imap")


async def test_who_names_nobody_gets_the_mail_unless_there_is_a_mailbox(book, owner):
    made = await book.create(owner, DOMAIN, wishes("one"))
    assert made.entry.owner.targets == (Address.parse("user1@example.net"),)
    made = await book.create(owner, DOMAIN, wishes("two", has_imap=True))
    assert made.account.forward_to == ()


async def test_without_a_name_it_gets_two_words(storage, accounts, passwords, owner):
    numbers = iter([5, 5, 6])
    book = AddressBook(storage, accounts, Aliases(storage), passwords, random_number=lambda _: next(numbers))
    first = await book.create(owner, DOMAIN, wishes(recipients=(OUTSIDE,)))
    assert first.entry.owner.address.local_part == f"{FIRST[0]}-{SECOND[5]}"
    second = await book.create(owner, DOMAIN, wishes("  ", recipients=(OUTSIDE,)))  # the first try is taken
    assert second.entry.owner.address.local_part == f"{FIRST[0]}-{SECOND[6]}"


async def test_a_list_has_both_kinds_in_pages_and_is_searched(book, owner):
    await book.create(owner, DOMAIN, wishes("amy", recipients=(OUTSIDE,), labels=("Shop",)))
    await book.create(owner, DOMAIN, wishes("bea", has_imap=True, description="Shopping"))
    await book.create(owner, DOMAIN, wishes("cis", recipients=("b@example.org",)))

    async def names(**asked):
        listing = Listing(
            **{"limit": 1000} | {k: v for k, v in asked.items() if k in {"page", "limit", "sort", "text"}}
        )
        rest = {key: value for key, value in asked.items() if key in {"name", "recipient"}}
        found = await book.list(owner, DOMAIN, listing, **rest)
        return [one.entry.owner.address.local_part for one in found.items], found.item_count

    assert await names() == (["amy", "bea", "cis"], 3)
    assert await names(sort="-name") == (["cis", "bea", "amy"], 3)
    assert await names(page=2, limit=2) == (["cis"], 3)
    assert await names(text="shop") == (["amy", "bea"], 2)
    assert await names(name="BEA") == (["bea"], 1)
    assert await names(recipient="B@example.org") == (["cis"], 1)


@pytest.mark.parametrize("text", ["%", "_", "' OR 1=1 --", '{"$ne":null}', "a%y"])
async def test_attack_075_what_is_searched_stands_for_itself(book, owner, text):
    await book.create(owner, DOMAIN, wishes("amy", recipients=(OUTSIDE,)))
    assert (await book.list(owner, DOMAIN, Listing(text=text))).item_count == 0
    assert (await book.list(owner, DOMAIN, ALL, name=text)).item_count == 0
    assert (await book.list(owner, DOMAIN, ALL, recipient=text)).item_count == 0
    with pytest.raises(NoSuchAlias):
        await book.get(owner, DOMAIN, text)


# the reference's validations (4.8, last paragraph), row by row


async def test_names_are_lower_cased(book, owner):
    made = await book.create(owner, DOMAIN, wishes("ÄnNe", recipients=(OUTSIDE,)))
    assert made.entry.owner.address.local_part == "änne"


@pytest.mark.parametrize(
    "name", ["a+b", "+", "!a", "!!!a", "a\u200bb", "a\u00adb", "\u202ea", "a b", "a@b", "a,b", ".", "a..b"]
)
async def test_names_that_nobody_may_have(book, owner, name):
    with pytest.raises((PolicyRefused, BadAddress)):
        await book.create(owner, DOMAIN, wishes(name, recipients=(OUTSIDE,)))
    assert (await book.list(owner, DOMAIN, ALL)).item_count == 0


async def test_asterisks_collapse_and_the_catch_all_is_labelled(book, owner):
    made = await book.create(owner, DOMAIN, wishes("***", recipients=(OUTSIDE,), labels=("mine",)))
    assert made.entry.owner.address.local_part == "*"
    assert made.entry.profile.labels == ("catch-all", "mine")
    assert await book.get(owner, DOMAIN, "**") == made
    changed = await book.change(owner, DOMAIN, "*", AddressWishes(labels=()))
    assert changed.entry.profile.labels == ("catch-all",)


@pytest.mark.parametrize("name", ["*", "/^sales-(.+)$/"])
async def test_no_mailbox_and_no_vacation_for_what_stands_for_many(book, owner, name):
    with pytest.raises(PolicyRefused, match="IMAP"):
        await book.create(owner, DOMAIN, wishes(name, recipients=(OUTSIDE,), has_imap=True))
    vacation = VacationWishes(is_enabled=True, message="away")
    with pytest.raises(PolicyRefused, match="vacation"):
        await book.create(owner, DOMAIN, wishes(name, recipients=(OUTSIDE,), vacation=vacation))
    await book.create(owner, DOMAIN, wishes(name, recipients=(OUTSIDE,)))
    for change in (AddressWishes(has_imap=True), AddressWishes(vacation=vacation)):
        with pytest.raises(PolicyRefused):
            await book.change(owner, DOMAIN, name, change)


async def test_a_catch_all_cannot_be_disabled(book, owner):
    with pytest.raises(PolicyRefused, match="disabled"):
        await book.create(owner, DOMAIN, wishes("*", recipients=(OUTSIDE,), is_enabled=False))
    await book.create(owner, DOMAIN, wishes("*", recipients=(OUTSIDE,), error_code_if_disabled=250))
    with pytest.raises(PolicyRefused, match="disabled"):
        await book.change(owner, DOMAIN, "*", AddressWishes(is_enabled=False))


@pytest.mark.parametrize("twice", [("a@example.org", "A@EXAMPLE.org"), ("example.org", "*@example.org")])
async def test_recipients_are_unique(book, owner, twice):
    with pytest.raises(PolicyRefused, match="unique"):
        await book.create(owner, DOMAIN, wishes("sales", recipients=twice))


@pytest.mark.parametrize("has_imap", [False, True])
async def test_an_alias_is_not_its_own_recipient(book, owner, has_imap):
    with pytest.raises(AliasLoop):
        await book.create(owner, DOMAIN, wishes("sales", recipients=("Sales@example.test",), has_imap=has_imap))
    await book.create(owner, DOMAIN, wishes("sales", recipients=(OUTSIDE,), has_imap=has_imap))
    with pytest.raises(AliasLoop):
        await book.change(owner, DOMAIN, "sales", AddressWishes(recipients=("sales+x@example.test",)))


@pytest.mark.parametrize("has_imap", [False, True])
async def test_there_are_at_most_as_many_recipients_as_the_domain_says(book, owner, storage, has_imap):
    terms = (await storage.directory.domain(DOMAIN)).terms
    await storage.directory.set_terms(DOMAIN, replace(terms, targets_per_alias_max=2))
    three = tuple(f"{name}@example.org" for name in "abc")
    with pytest.raises(LimitReached):
        await book.create(owner, DOMAIN, wishes("sales", recipients=three, has_imap=has_imap))
    await book.create(owner, DOMAIN, wishes("sales", recipients=three[:2], has_imap=has_imap))
    with pytest.raises(LimitReached):
        await book.change(owner, DOMAIN, "sales", AddressWishes(recipients=three))


@pytest.mark.parametrize("name", ["/(/", r"/(a)\1/", "/(?=a)b/", "/a/q"])
async def test_an_expression_must_compile(book, owner, name):
    with pytest.raises(BadAddress):
        await book.create(owner, DOMAIN, wishes(name, recipients=(OUTSIDE,)))


async def test_an_expression_loses_its_flags_and_keeps_its_case(book, owner):
    made = await book.create(owner, DOMAIN, wishes(r"/^\D+$/gi", recipients=(OUTSIDE,)))
    assert made.entry.owner.address.local_part == r"/^\D+$/"
    assert await book.get(owner, DOMAIN, r"/^\D+$/i") == made


@pytest.mark.parametrize("other", ["example.org", "192.0.2.1", "mail.example.org:26", "https://example.org/hook"])
async def test_recipient_verification_needs_addresses_only(book, owner, other):
    asked = wishes("sales", recipients=(OUTSIDE, other), has_recipient_verification=True)
    with pytest.raises(PolicyRefused, match="verification"):
        await book.create(owner, DOMAIN, asked)
    await book.create(owner, DOMAIN, replace(asked, has_recipient_verification=False))
    with pytest.raises(PolicyRefused, match="verification"):
        await book.change(owner, DOMAIN, "sales", AddressWishes(has_recipient_verification=True))


async def test_recipients_are_whatever_an_alias_may_lead_to(book, owner):
    made = await book.create(
        owner, DOMAIN, wishes("sales", recipients=(OUTSIDE, "example.org", "192.0.2.1", "https://example.org/hook"))
    )
    assert made.entry.owner.targets == (
        Address.parse(OUTSIDE),
        Address("*", "example.org"),
        HostTarget("192.0.2.1"),
        WebhookTarget("https://example.org/hook"),
    )
    with pytest.raises(BadTarget):
        await book.create(owner, DOMAIN, wishes("other", recipients=("nonsense",)))


@pytest.mark.parametrize("name", ["*", "/a/", "admin", "Postmaster", "no-reply", "no.reply", "ceo"])
async def test_attack_092_members_do_not_give_away_names_of_the_domain(book, member, owner, storage, name):
    entry = await storage.people.domain_entry(DOMAIN)
    await storage.people.set_domain_profile(DOMAIN, replace(entry.profile, restricted_names=("ceo",)))
    with pytest.raises(PolicyRefused, match="administrators"):
        await book.create(member, DOMAIN, wishes(name, recipients=(OUTSIDE,)))
    own = await book.create(member, DOMAIN, wishes("mine", recipients=(OUTSIDE,)))
    with pytest.raises(PolicyRefused, match="administrators"):
        await book.change(member, DOMAIN, own.entry.profile.object_id, AddressWishes(name=name))
    if name != "/a/":
        await book.create(owner, DOMAIN, wishes(name, recipients=(OUTSIDE,)))


def test_names_that_authorities_write_to_are_reserved():
    assert {"admin", "administrator", "webmaster", "hostmaster", "postmaster", "abuse", "security"} <= ADMINISTRATIVE


async def test_a_vacation_starts_before_it_ends(book, owner):
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    vacation = VacationWishes(is_enabled=True, message="away", start=moment, end=moment)
    with pytest.raises(PolicyRefused, match="before it ends"):
        await book.create(owner, DOMAIN, wishes("sales", has_imap=True, vacation=vacation))
    # also against what was set before
    await book.create(owner, DOMAIN, wishes("sales", has_imap=True, vacation=replace(vacation, end=None)))
    with pytest.raises(PolicyRefused):
        await book.change(owner, DOMAIN, "sales", AddressWishes(vacation=VacationWishes(end=moment)))


async def test_quotas_are_at_most_the_domains_which_is_at_most_the_administrators(book, owner, admin, storage):
    for text in ("200 GB", "many", "-1"):
        with pytest.raises(PolicyRefused, match="max_quota"):
            await book.create(admin, DOMAIN, wishes("sales", has_imap=True, max_quota=text))
    with pytest.raises(PolicyRefused, match="server"):  # whose administrator may more
        await book.create(owner, DOMAIN, wishes("sales", has_imap=True, max_quota="11 GB"))
    made = await book.create(admin, DOMAIN, wishes("sales", has_imap=True, max_quota="11 GB"))
    assert made.account.quota_octets == 11 << 30
    entry = await storage.people.domain_entry(DOMAIN)
    await storage.people.set_domain_profile(DOMAIN, replace(entry.profile, account_quota_octets_max=1 << 30))
    for actor in (owner, admin):
        with pytest.raises(PolicyRefused, match="domain"):
            await book.change(actor, DOMAIN, "sales", AddressWishes(max_quota="2 GB"))
    made = await book.create(owner, DOMAIN, wishes("other", has_imap=True))
    assert made.account.quota_octets == 1 << 30


@pytest.mark.parametrize(
    "asked",
    [
        {"description": "x" * 151},
        {"labels": ("x" * 151,)},
        {"labels": tuple(map(str, range(51)))},
        {"error_code_if_disabled": 500},
        {"retention_days": 366},
        {"retention_days": -1},
        {"sending_limit": -2},
        {"public_key": "x" * 100_001},
        {"has_imap": True, "vacation": VacationWishes(subject="x" * 101)},
        {"has_imap": True, "vacation": VacationWishes(message="x" * 1001)},
        {"has_imap": True, "vacation": VacationWishes(is_enabled=True, message=" ")},
        {"vacation": VacationWishes(is_enabled=True, message="needs a mailbox")},
    ],
)
async def test_what_is_too_long_or_too_much_is_refused(book, owner, asked):
    with pytest.raises((PolicyRefused, LimitReached)):
        await book.create(owner, DOMAIN, wishes("sales", recipients=(OUTSIDE,), **asked))


# changing


async def test_what_is_not_asked_for_stays(book, owner):
    asked = wishes(
        "sales",
        recipients=(OUTSIDE,),
        description="d",
        labels=("l",),
        has_pgp=True,
        public_key="k",
        retention_days=3,
        is_enabled=False,
        error_code_if_disabled=421,
    )
    made = await book.create(owner, DOMAIN, asked)
    changed = await book.change(owner, DOMAIN, "sales", AddressWishes(description="e"))
    assert changed.entry.owner == replace(made.entry.owner, description="e")
    then = replace(made.entry.profile, updated_at=None, description="e")
    assert replace(changed.entry.profile, updated_at=None) == then


async def test_an_alias_gets_another_name_and_keeps_its_id(book, owner, storage):
    made = await book.create(owner, DOMAIN, wishes("old", recipients=(OUTSIDE,), labels=("l",)))
    await book.create(owner, DOMAIN, wishes("taken", recipients=(OUTSIDE,)))
    changed = await book.change(owner, DOMAIN, "old", AddressWishes(name="New"))
    assert changed.entry.owner.address.local_part == "new"
    assert (changed.entry.profile.object_id, changed.entry.profile.labels) == (made.entry.profile.object_id, ("l",))
    assert await storage.directory.find(Address("old", DOMAIN)) is None
    with pytest.raises(AddressTaken):
        await book.change(owner, DOMAIN, "new", AddressWishes(name="taken"))
    changed = await book.change(owner, DOMAIN, "new", AddressWishes(name="/^n/"))
    assert [alias.address.local_part for alias in await storage.directory.patterns(DOMAIN)] == ["/^n/"]
    await book.create(owner, DOMAIN, wishes("box", has_imap=True))
    with pytest.raises(PolicyRefused, match="keeps its name"):
        await book.change(owner, DOMAIN, "box", AddressWishes(name="bax"))
    await book.change(owner, DOMAIN, "box", AddressWishes(name="BOX"))  # the same


async def test_an_account_is_changed(book, owner, storage):
    await book.create(owner, DOMAIN, wishes("sales", has_imap=True))
    changed = await book.change(
        owner, DOMAIN, "sales", AddressWishes(recipients=(OUTSIDE,), max_quota="2 GB", sending_limit=5)
    )
    account = changed.account
    assert (account.forward_to, account.quota_octets, account.sending_limit) == ((Address.parse(OUTSIDE),), 2 << 30, 5)
    assert changed.usage.quota_octets == 2 << 30
    changed = await book.change(owner, DOMAIN, "sales", AddressWishes(recipients=(), sending_limit=-1))
    assert (changed.account.forward_to, changed.account.sending_limit) == ((), None)


@pytest.mark.parametrize(("code", "error"), [(421, AddressPaused), (550, AddressDisabled), (250, None)])
@pytest.mark.parametrize("has_imap", [False, True])
async def test_a_disabled_address_answers_and_beats_the_catch_all(book, owner, addresses, code, error, has_imap):
    await book.create(owner, DOMAIN, wishes("*", recipients=(OUTSIDE,)))
    await book.create(owner, DOMAIN, wishes("sales", recipients=("b@example.org",), has_imap=has_imap))
    await book.change(owner, DOMAIN, "sales", AddressWishes(is_enabled=False, error_code_if_disabled=code))
    sales = Address("sales", DOMAIN)
    if error is None:
        assert (await addresses.resolve(sales)).is_silent
    else:
        with pytest.raises(error):
            await addresses.resolve(sales)
    await book.change(owner, DOMAIN, "sales", AddressWishes(is_enabled=True))
    found = await addresses.resolve(sales)
    assert [str(one.target) for one in found.forwards] == ["b@example.org"]
    assert len(found.accounts) == int(has_imap)


async def test_a_vacation_is_kept_while_it_is_off(book, owner, storage):
    start, end = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC)
    vacation = VacationWishes(is_enabled=False, subject="s", message="m", start=start, end=end)
    made = await book.create(owner, DOMAIN, wishes("sales", has_imap=True, vacation=vacation))
    assert (made.vacation.subject, made.vacation.message, made.is_away) == ("s", "m", False)
    actor = Actor(made.account.account_id, made.account.address)
    assert await Vacations(storage).get(actor) is None
    made = await book.change(owner, DOMAIN, "sales", AddressWishes(vacation=VacationWishes(is_enabled=True)))
    assert made.is_away
    assert await Vacations(storage).get(actor) == made.vacation
    assert (made.vacation.start, made.vacation.end) == (start, end)
    made = await book.change(owner, DOMAIN, "sales", AddressWishes(vacation=VacationWishes(clears_end=True)))
    assert (made.vacation.start, made.vacation.end, made.is_away) == (start, None, True)


async def test_an_address_is_deleted_with_its_mailbox(book, owner, storage):
    await book.create(owner, DOMAIN, wishes("sales", recipients=(OUTSIDE,)))
    box = await book.create(owner, DOMAIN, wishes("box", has_imap=True))
    assert (await book.delete(owner, DOMAIN, "sales")).entry.owner.address.local_part == "sales"
    assert await book.delete(owner, DOMAIN, box.entry.profile.object_id) == box
    assert (await book.list(owner, DOMAIN, ALL)).items == ()
    assert await storage.accounts.ids() == []
    with pytest.raises(NoSuchAlias):
        await book.delete(owner, DOMAIN, "sales")


# one becomes the other


async def test_an_alias_gets_a_mailbox_and_at_no_moment_is_mail_refused(book, owner, addresses, storage, monkeypatch):
    made = await book.create(
        owner, DOMAIN, wishes("sales", recipients=(OUTSIDE,), description="d", labels=("l",), is_enabled=True)
    )
    sales = Address("sales", DOMAIN)
    resolved = []
    really = storage.directory.turn_into_account

    async def watched(*arguments):
        resolved.append(await addresses.resolve(sales))
        await really(*arguments)
        resolved.append(await addresses.resolve(sales))
        account = resolved[-1].accounts[0]
        await put_mail(storage, account)  # its store is there already

    monkeypatch.setattr(storage.directory, "turn_into_account", watched)
    changed = await book.change(owner, DOMAIN, "sales", AddressWishes(has_imap=True))
    before, after = resolved
    assert [str(one.target) for one in before.forwards] == [str(one.target) for one in after.forwards] == [OUTSIDE]
    assert (before.accounts, after.accounts) == ((), (changed.account,))
    assert changed.entry.profile.object_id == made.entry.profile.object_id
    assert (changed.entry.profile.description, changed.entry.profile.labels) == ("d", ("l",))
    assert (changed.account.forward_to, changed.account.quota_octets) == ((Address.parse(OUTSIDE),), 10 << 30)
    assert changed.usage.message_count == 1


async def test_an_alias_that_was_disabled_is_so_as_an_account(book, owner):
    await book.create(
        owner, DOMAIN, wishes("sales", recipients=(OUTSIDE,), is_enabled=False, error_code_if_disabled=421)
    )
    changed = await book.change(owner, DOMAIN, "sales", AddressWishes(has_imap=True))
    assert (changed.account.is_enabled, changed.account.disabled_code) == (False, 421)
    changed = await book.change(owner, DOMAIN, "sales", AddressWishes(has_imap=False))
    assert (changed.entry.owner.is_enabled, changed.entry.owner.disabled_code) == (False, 421)


async def test_a_store_is_not_left_behind_when_the_alias_is_gone_meanwhile(book, owner, storage, monkeypatch):
    await book.create(owner, DOMAIN, wishes("sales", recipients=(OUTSIDE,)))
    really = storage.accounts.create

    async def slow(*arguments):
        await really(*arguments)
        await storage.directory.remove_alias(Address("sales", DOMAIN))

    monkeypatch.setattr(storage.accounts, "create", slow)
    with pytest.raises(NoSuchAlias):
        await book.change(owner, DOMAIN, "sales", AddressWishes(has_imap=True))
    assert await storage.accounts.ids() == []


async def test_an_empty_mailbox_goes_when_the_address_becomes_an_alias(book, owner, storage):
    made = await book.create(owner, DOMAIN, wishes("sales", has_imap=True, recipients=(OUTSIDE,), description="d"))
    changed = await book.change(owner, DOMAIN, "sales", AddressWishes(has_imap=False))
    assert isinstance(changed.entry.owner, Alias)
    assert (changed.entry.owner.targets, changed.entry.owner.description) == ((Address.parse(OUTSIDE),), "d")
    assert changed.entry.profile.object_id == made.entry.profile.object_id
    assert await storage.accounts.ids() == []


async def test_a_mailbox_with_mail_goes_only_when_it_is_said_so(book, owner, storage):
    made = await book.create(owner, DOMAIN, wishes("sales", has_imap=True, recipients=(OUTSIDE,)))
    await put_mail(storage, made.account)
    with pytest.raises(PolicyRefused, match="holds 1 message"):
        await book.change(owner, DOMAIN, "sales", AddressWishes(has_imap=False))
    assert isinstance(await storage.directory.find(Address("sales", DOMAIN)), Account)
    await book.change(owner, DOMAIN, "sales", AddressWishes(has_imap=False, is_override=True))
    assert isinstance(await storage.directory.find(Address("sales", DOMAIN)), Alias)
    assert await storage.accounts.ids() == []


async def test_an_account_with_no_recipient_cannot_become_an_alias_that_leads_nowhere(book, owner, storage):
    made = await book.create(owner, DOMAIN, wishes("sales", has_imap=True))
    with pytest.raises(BadTarget):
        await book.change(owner, DOMAIN, "sales", AddressWishes(has_imap=False, is_override=True))
    assert await storage.directory.find(Address("sales", DOMAIN)) == made.account
    await book.change(owner, DOMAIN, "sales", AddressWishes(has_imap=False, recipients=(OUTSIDE,)))


async def test_mail_that_comes_in_between_is_not_lost(book, owner, storage, monkeypatch):
    made = await book.create(owner, DOMAIN, wishes("sales", has_imap=True, recipients=(OUTSIDE,)))
    really = storage.directory.turn_into_alias

    async def meanwhile(*arguments):
        await put_mail(storage, made.account)  # a delivery that had resolved the address before
        await really(*arguments)

    monkeypatch.setattr(storage.directory, "turn_into_alias", meanwhile)
    with pytest.raises(PolicyRefused, match="holds 1 message"):
        await book.change(owner, DOMAIN, "sales", AddressWishes(has_imap=False))
    shown = await book.get(owner, DOMAIN, "sales")
    assert (shown.account, shown.usage.message_count) == (made.account, 1)
    assert shown.entry.profile.object_id == made.entry.profile.object_id


async def test_an_account_that_administers_does_not_become_an_alias(book, owner, storage, admin):
    made = await book.create(owner, DOMAIN, wishes("sales", has_imap=True, recipients=(OUTSIDE,)))
    user_id = UserId(ObjectId(f"{9:024x}"))
    await storage.people.add_user(User(user_id, "sales@example.test", account_id=made.account.account_id), None)
    with pytest.raises(NotAllowed):
        await book.change(admin, DOMAIN, "sales", AddressWishes(has_imap=False))
    assert await storage.people.user(user_id) is not None


# rights


async def test_attack_092_a_member_has_his_own_addresses_and_no_others(book, owner, member):
    other = await book.create(owner, DOMAIN, wishes("other", recipients=(OUTSIDE,)))
    own = await book.create(member, DOMAIN, wishes("own", recipients=(OUTSIDE,)))
    assert [one.entry.profile.object_id for one in (await book.list(member, DOMAIN, ALL)).items] == [
        own.entry.profile.object_id
    ]
    assert (await book.list(owner, DOMAIN, ALL)).item_count == 2
    for asked in ("other", other.entry.profile.object_id):
        with pytest.raises(NoSuchAlias):
            await book.get(member, DOMAIN, asked)
        with pytest.raises(NoSuchAlias):
            await book.change(member, DOMAIN, asked, AddressWishes(description="mine"))
        with pytest.raises(NoSuchAlias):
            await book.delete(member, DOMAIN, asked)
    await book.change(member, DOMAIN, "own", AddressWishes(description="mine"))
    await book.delete(member, DOMAIN, "own")


async def test_attack_092_another_tenants_domain_is_not_there(book, owner, storage):
    await storage.directory.add_domain(Domain("example.com"))
    stranger = await user(storage, 3, Group.ADMIN, "example.com")
    made = await book.create(owner, DOMAIN, wishes("sales", recipients=(OUTSIDE,)))
    of = await storage.people.domain_entry(DOMAIN)
    for domain in (DOMAIN, of.profile.object_id, "nowhere.test", "no domain"):
        with pytest.raises(NoSuchDomain):
            await book.list(stranger, domain, ALL)
        with pytest.raises(NoSuchDomain):
            await book.create(stranger, domain, wishes("x", recipients=(OUTSIDE,)))
        with pytest.raises(NoSuchDomain):
            await book.get(stranger, domain, made.entry.profile.object_id)
    with pytest.raises(NoSuchAlias):  # an id of another domain
        await book.get(stranger, "example.com", made.entry.profile.object_id)


async def test_sending_limits_are_at_most_the_servers_but_for_its_administrators(
    storage, accounts, passwords, owner, admin
):
    book = AddressBook(storage, accounts, Aliases(storage), passwords, sending_limit=100)
    with pytest.raises(PolicyRefused, match="smtp_limit"):
        await book.create(owner, DOMAIN, wishes("sales", has_imap=True, sending_limit=101))
    made = await book.create(owner, DOMAIN, wishes("sales", has_imap=True, sending_limit=100))
    with pytest.raises(PolicyRefused, match="smtp_limit"):
        await book.change(owner, DOMAIN, "sales", AddressWishes(sending_limit=101))
    assert made.account.sending_limit == 100
    assert (await book.change(admin, DOMAIN, "sales", AddressWishes(sending_limit=101))).account.sending_limit == 101
    entry = await storage.people.domain_entry(DOMAIN)
    kept = {"alias_default_smtp_limit": 200}
    await storage.people.set_domain_profile(DOMAIN, replace(entry.profile, kept=kept))
    assert (await book.create(owner, DOMAIN, wishes("other", has_imap=True))).account.sending_limit == 100


@pytest.mark.parametrize("has_imap", [False, True])
async def test_of_a_change_that_is_refused_nothing_is_done(book, owner, storage, has_imap):
    made = await book.create(owner, DOMAIN, wishes("sales", recipients=(OUTSIDE,), has_imap=has_imap))
    start, end = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    refused = (
        {"recipients": ("nonsense",)},
        {"recipients": ("sales@example.test",)},
        {"labels": ("x" * 151,)},
        {"max_quota": "many", "has_imap": True},
        {"sending_limit": -2},
        {"has_imap": True, "vacation": VacationWishes(is_enabled=True)},
        {"has_imap": True, "vacation": VacationWishes(message="m", start=start, end=end)},
        {"error_code_if_disabled": 500},
    )
    for asked in refused:
        name = {} if has_imap else {"name": "shop"}
        with pytest.raises((PolicyRefused, BadTarget, AliasLoop)):
            await book.change(
                owner, DOMAIN, "sales", AddressWishes(description="new", is_enabled=False, **name, **asked)
            )
        assert await book.get(owner, DOMAIN, "sales") == made, asked


async def test_of_an_address_that_is_refused_nothing_is_made(book, owner, storage):
    for asked in (
        {"vacation": VacationWishes(is_enabled=True)},
        {"labels": ("x" * 151,)},
        {"max_quota": "many"},
        {"recipients": ("nonsense",)},
        {"description": "x" * 151},
        {"name": "mailer-daemon"},
    ):
        with pytest.raises((PolicyRefused, BadTarget)):
            await book.create(owner, DOMAIN, AddressWishes(**{"name": "sales", "has_imap": True, **asked}))
        assert (await book.list(owner, DOMAIN, ALL)).item_count == 0
        assert await storage.accounts.ids() == []


async def test_an_alias_gets_another_name_and_a_mailbox_at_once(book, owner, storage):
    made = await book.create(owner, DOMAIN, wishes("old", recipients=(OUTSIDE,)))
    changed = await book.change(owner, DOMAIN, "old", AddressWishes(name="new", has_imap=True))
    assert (str(changed.account.address), changed.entry.profile.object_id) == (
        "new@example.test",
        made.entry.profile.object_id,
    )
