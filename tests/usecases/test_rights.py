"""Who may do what: every verb of those use cases that ask, for every kind of actor (attack row 92).

A row says what becomes of each of `ROLES`, by a letter: ``+`` it is done; ``N`` NotAllowed; others' things are not there:
``D`` NoSuchDomain, ``A`` NoSuchAccount, ``L`` NoSuchAlias, ``U`` NoSuchUser, ``Q`` NoSuchQueueItem, ``T`` NoSuchToken,
``I`` NoSuchInvite. Who was let in, and failed then: ``P`` PolicyRefused (names that members may not take),
``X`` AddressTaken, ``K`` BadImport, ``Z`` nobody answers. A verb without a row fails the last test: deny by default.
"""

import importlib
import inspect
import pkgutil
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

import mailstead.usecases
from mailstead.model import errors
from mailstead.model.address import Address
from mailstead.model.directory import Alias, KeyState
from mailstead.model.envelope import Actor, Recipient
from mailstead.model.people import AddressProfile, Group, Listing, ObjectId
from mailstead.model.queue import Destination, DestinationKind, ItemKind, NewItem, NewRecipient, QueueQuery
from mailstead.model.reports import ReportQuery
from mailstead.model.secret import Secret
from mailstead.model.trace import TraceEvent, TraceQuery
from mailstead.policy.address_rules import AddressWishes
from mailstead.policy.srs import Srs
from mailstead.ports.probes import ProbeFailed
from mailstead.usecases import rights
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.address_book import AddressBook
from mailstead.usecases.aliases import Aliases
from mailstead.usecases.audit import Audit
from mailstead.usecases.checks import Checks
from mailstead.usecases.dns_writing import DnsWriting
from mailstead.usecases.dnsplan import DnsPlan
from mailstead.usecases.doctor import Doctor, DoctorTerms
from mailstead.usecases.domains import Domains
from mailstead.usecases.idle_accounts import IdleAccounts
from mailstead.usecases.keys import Keys
from mailstead.usecases.last_log_ins import LastLogIns
from mailstead.usecases.log_in_links import LogInLinks
from mailstead.usecases.member_mail import MemberMail
from mailstead.usecases.members import Members
from mailstead.usecases.outgoing import Outgoing
from mailstead.usecases.passwords import HashCost, Passwords
from mailstead.usecases.people import Users
from mailstead.usecases.publications import HouseOffers
from mailstead.usecases.reporting import Reporting
from mailstead.usecases.rights import Rights
from mailstead.usecases.routes import HouseRelayTerms, Routes
from mailstead.usecases.sealing import Sealing
from mailstead.usecases.sender_lists import ALLOWED, SenderLists
from mailstead.usecases.tokens import Tokens
from mailstead.usecases.traces import Traces

DOMAIN, OTHER = "example.test", "other.test"
PASSWORD = Secret("pw-never-in-a-log-any")
ROLES = ("nobody", "owner", "app", "member", "admin", "foreign", "root")
"""No log-in; alice's account; the same by an app password; a member, whose addresses are mine* and bob's account; an
administrator of the domain; one of another; one of the server."""
LETTERS = {
    errors.NotAllowed: "N",
    errors.NoSuchDomain: "D",
    errors.NoSuchAccount: "A",
    errors.NoSuchAlias: "L",
    errors.NoSuchUser: "U",
    errors.NoSuchQueueItem: "Q",
    errors.NoSuchToken: "T",
    errors.NoSuchInvite: "I",
    errors.PolicyRefused: "P",
    errors.AddressTaken: "X",
    errors.BadImport: "K",
    errors.DnsUnavailable: "Z",
}


@dataclass
class House:
    """Use cases over one store, and a number that makes names new."""

    admin: Actor
    actors: dict[str, Actor]
    users: dict[str, object]
    cases: dict[type, object]
    storage: object
    clock: object
    number: int = 0

    def __getitem__(self, of):
        return self.cases[of]

    def address(self, name="x"):
        """A new name of the domain."""
        return Address.parse(f"{name}{self.number}@{DOMAIN}")

    async def alias(self, name="x"):
        """An alias that is there; the member's, if its name begins so."""
        address = self.address(name)
        await self[Aliases].add(self.admin, Alias(address, (Address.parse("y@elsewhere.test"),)))
        if name == "mine":
            profile = AddressProfile(ObjectId(""), self.users["member"].user_id)
            await self.storage.people.set_address_profile(DOMAIN, address.local_part, profile)
        return address

    async def account(self):
        address = self.address("a")
        await self[Accounts].create(self.admin, address, PASSWORD)
        return address


def address(text):
    return Address.parse(text)


class Examined:
    """The plan of a doctor who looks at nothing: whoever is let in, it says so."""

    async def host(self):
        raise errors.DnsUnavailable


class Nothing:
    """Probes and zones of a machine that has none."""

    async def own_addresses(self):
        return ()

    async def certificate(self):
        raise ProbeFailed("none")

    async def values(self, _name, _kind):
        return ()


@pytest.fixture
async def house(storage, bus, clock, accounts, users, audit, admin, alice, bob):
    keys = Keys(storage, bus, clock, audit)
    domains = Domains(storage, keys, audit)
    await domains.add(admin, OTHER)
    await keys.create(admin, DOMAIN)
    sealing = Sealing(storage, keys, Srs((b"k" * 32,)), clock, authserv_id="mx.test", srs_domain="mx.test")
    routes = Routes(storage, HouseRelayTerms())
    members = Members(
        storage, users, clock, audit, MemberMail(storage, routes, sealing, clock, hostname="mx.test"), b"k" * 32
    )
    plan = DnsPlan(storage, routes, Nothing(), HouseOffers("mx.test", ()), [])
    people = {}
    for name, domain, group in (
        ("member", DOMAIN, Group.USER),
        ("admin", DOMAIN, Group.ADMIN),
        ("foreign", OTHER, Group.ADMIN),
        ("root", "", None),
    ):
        people[name] = await users.create(admin, address(f"{name}@elsewhere.test"), PASSWORD, is_admin=name == "root")
        if group is not None:
            await members.add(admin, domain, people[name], group)
    await storage.people.set_address_profile(DOMAIN, "bob", AddressProfile(ObjectId(""), people["member"].user_id))
    actors = {
        "nobody": Actor(None, None),
        "owner": Actor(alice.account_id, alice.address),
        "app": Actor(alice.account_id, alice.address, app_password_id=1),
        **{name: await users.actor_of(user) for name, user in people.items()},
    }
    aliases = Aliases(storage, audit)
    cases = {
        type(each): each
        for each in (
            domains,
            aliases,
            accounts,
            keys,
            users,
            users.tokens,
            members,
            audit,
            Traces(storage),
            Reporting(storage, clock),
            Outgoing(storage, clock, audit),
            plan,
            DnsWriting(plan, Nothing()),
            Checks(storage),
            IdleAccounts(storage, accounts, LastLogIns(storage, clock)),
            LogInLinks(storage, accounts, clock, b"k" * 32),
            SenderLists(storage),
        )
    }
    cases[Doctor] = Doctor(
        storage,
        clock,
        plan=Examined(),
        resolver=None,
        web=None,
        probes=None,
        terms=DoctorTerms("mx.test", (), (), "", 0),
    )
    storage.trace.record(TraceEvent(clock.now(), "q1", "in", "received", recipient=f"bob@{DOMAIN}", domain=DOMAIN))
    destination = Destination(DestinationKind.DOMAIN, "elsewhere.test")
    await storage.queue.put(
        [
            NewItem(
                queue_id="q1",
                kind=ItemKind.SUBMISSION,
                mail_from=alice.address,
                recipients=(NewRecipient(Recipient(address("y@elsewhere.test")), destination),),
                octets=b"Subject: x\r\n\r\nx\r\n",
                accepted_at=clock.now(),
                expires_at=clock.now() + timedelta(days=5),
                domain=DOMAIN,
            )
        ]
    )
    yield House(admin, actors, people, cases, storage, clock)
    keys.close()


# one function for each verb: does it once, as the actor, on what was made for it

VERBS = {}


def row(of, name, outcomes):
    """Say what becomes of a verb for each of `ROLES`; a verb may have several rows."""

    def add(function):
        VERBS[of, name, function.__name__] = (function, outcomes)
        return function

    return add


# Domains


@row(Domains, "add", "NNNNNN+")
async def add_domain(house, actor):
    await house[Domains].add(actor, f"d{house.number}.test")


@row(Domains, "list", "NNN++++")
async def list_domains(house, actor):
    names = [domain.name for domain in await house[Domains].list(actor)]
    assert actor.is_admin or names == list(actor.groups)


@row(Domains, "get", "DDD++D+")
async def get_domain(house, actor):
    terms = (await house[Domains].get(actor, DOMAIN)).terms
    assert bool(terms.webhook_key) == actor.administers(DOMAIN)


@row(Domains, "set_terms", "DDDN+D+")
async def set_terms(house, actor):
    await house[Domains].set_terms(actor, DOMAIN, {"requires_tls_inbound": "no"})


@row(Domains, "set_terms", "DDDNND+")
async def set_terms_of_the_server(house, actor):
    await house[Domains].set_terms(actor, DOMAIN, {"account_quota_octets": "1 TB"})


@row(Domains, "set_terms", "DDDNND+")
async def set_smarthost_password(house, actor):
    await house[Domains].set_terms(actor, DOMAIN, {}, PASSWORD)


@row(Domains, "remove", "DDDN+D+")
async def remove_domain(house, actor):
    name = f"gone{house.number}.test"
    await house[Domains].add(house.admin, name)
    groups = {name: actor.groups[DOMAIN]} if DOMAIN in actor.groups else {}
    await house[Domains].remove(replace(actor, groups=groups), name)


# Aliases


@row(Aliases, "create", "DDD++D+")
async def create_alias(house, actor):
    await house[Aliases].create(actor, house.address(), [address("y@elsewhere.test")])


@row(Aliases, "add", "DDD++D+")
async def add_alias(house, actor):
    made = await house[Aliases].add(actor, Alias(house.address(), (address("y@elsewhere.test"),)))
    entry = await house.storage.people.address_entry(DOMAIN, made.address.local_part)
    is_members = entry.profile.user_id is not None
    assert is_members != actor.administers(DOMAIN)


@row(Aliases, "add", "DDDP+D+")
async def add_alias_with_a_reserved_name(house, actor):
    await house[Aliases].add(actor, Alias(address(f"postmaster@{DOMAIN}"), (address("y@elsewhere.test"),)))
    await house[Aliases].remove(house.admin, address(f"postmaster@{DOMAIN}"))


@row(Aliases, "add", "DDDP+D+")
async def add_alias_by_expression(house, actor):
    pattern = Address(f"/^p{house.number}-(.+)$/", DOMAIN)
    await house[Aliases].add(actor, Alias(pattern, (address("y@elsewhere.test"),)))


@row(Aliases, "check", "DDD++D+")
async def check_alias(house, actor):
    await house[Aliases].check(actor, Alias(house.address(), (address("y@elsewhere.test"),)))


@row(Aliases, "mask", "DDD++D+")
async def mask(house, actor):
    await house[Aliases].mask(actor, DOMAIN, [address("y@elsewhere.test")])


@row(Aliases, "get", "LLLL+L+")
async def get_alias(house, actor):
    await house[Aliases].get(actor, await house.alias())


@row(Aliases, "get", "LLL++L+")
async def get_own_alias(house, actor):
    await house[Aliases].get(actor, await house.alias("mine"))


@row(Aliases, "replace", "LLLL+L+")
async def replace_alias(house, actor):
    await house[Aliases].replace(actor, Alias(await house.alias(), (address("z@elsewhere.test"),)))


@row(Aliases, "replace", "LLL++L+")
async def replace_own_alias(house, actor):
    await house[Aliases].replace(actor, Alias(await house.alias("mine"), (address("z@elsewhere.test"),)))


@row(Aliases, "enable", "LLLL+L+")
async def enable_alias(house, actor):
    await house[Aliases].enable(actor, await house.alias())


@row(Aliases, "disable", "LLLL+L+")
async def disable_alias(house, actor):
    await house[Aliases].disable(actor, await house.alias())


@row(Aliases, "disable", "LLL++L+")
async def disable_own_alias(house, actor):
    await house[Aliases].disable(actor, await house.alias("mine"))


@row(Aliases, "set_catch_all", "DDDN+D+")
async def set_catch_all(house, actor):
    await house[Aliases].set_catch_all(actor, DOMAIN, [])


@row(Aliases, "list", "NNN++++")
async def list_aliases(house, actor):
    other, own = await house.alias(), await house.alias("mine")
    found = {alias.address.key for alias in await house[Aliases].list(actor)}
    assert (other.key in found) == actor.administers(DOMAIN)
    assert (own.key in found) == (DOMAIN in actor.groups or actor.is_admin)


@row(Aliases, "list", "NNN++D+")
async def list_aliases_of_a_domain(house, actor):
    await house[Aliases].list(actor, DOMAIN)


@row(Aliases, "remove", "LLLL+L+")
async def remove_alias(house, actor):
    await house[Aliases].remove(actor, await house.alias())


@row(Aliases, "remove", "LLL++L+")
async def remove_own_alias(house, actor):
    await house[Aliases].remove(actor, await house.alias("mine"))


@row(Aliases, "import_table", "DDD++D+")
async def import_table(house, actor):
    ((_, error),) = await house[Aliases].import_table(actor, [Alias(house.address(), (address("y@elsewhere.test"),))])
    if error is not None:
        raise error


@row(Aliases, "import_table", "DDDL+D+")
async def import_over_what_is_there(house, actor):
    alias = Alias(await house.alias(), (address("y@elsewhere.test"),))
    ((_, error),) = await house[Aliases].import_table(actor, [alias], replaces=True)
    if error is not None:
        raise error


# Accounts


@row(Accounts, "create", "DDD++D+")
async def create_account(house, actor):
    await house[Accounts].create(actor, house.address("new"), PASSWORD)


@row(Accounts, "managed", "ANNA+A+")
async def manage_account(house, actor):
    await house[Accounts].managed(actor, address(f"alice@{DOMAIN}"))


@row(Accounts, "list", "NNN++++")
async def list_accounts(house, actor):
    own = {account.address.local_part for account in await house[Accounts].list(actor)}
    assert ("alice" in own) == actor.administers(DOMAIN)
    assert ("bob" in own) == (DOMAIN in actor.groups or actor.is_admin)


@row(Accounts, "remove", "AAAA+A+")
async def remove_account(house, actor):
    await house[Accounts].remove(actor, await house.account())


@row(Accounts, "set_quota", "AAAA+A+")
async def set_quota(house, actor):
    await house[Accounts].set_quota(actor, await house.account(), 1000)


@row(Accounts, "set_quota", "AAA++A+")
async def set_quota_of_his_own(house, actor):
    await house[Accounts].set_quota(actor, address(f"bob@{DOMAIN}"), 1000)


@row(Accounts, "set_forwarding", "AAAA+A+")
async def forward(house, actor):
    await house[Accounts].set_forwarding(actor, await house.account(), [], keeps_copy=True)


@row(Accounts, "set_forwarding", "A+NA+A+")
async def forward_alice(house, actor):
    await house[Accounts].set_forwarding(actor, address(f"alice@{DOMAIN}"), [], keeps_copy=True)


@row(Accounts, "set_sending_limit", "ANNA+A+")
async def limit_sending(house, actor):
    await house[Accounts].set_sending_limit(actor, address(f"alice@{DOMAIN}"), 10)


@row(Accounts, "set_enabled", "ANNA+A+")
async def enable_account(house, actor):
    await house[Accounts].set_enabled(actor, address(f"alice@{DOMAIN}"), is_enabled=True)


@row(Accounts, "set_password", "A+NA+A+")
async def set_password(house, actor):
    await house[Accounts].set_password(actor, address(f"alice@{DOMAIN}"), PASSWORD)


@row(Accounts, "set_password", "AAAA+A+")
async def set_password_of_another(house, actor):
    await house[Accounts].set_password(actor, await house.account(), PASSWORD)


@row(Accounts, "set_password", "AAAANA+")
async def set_password_of_who_administers_the_server(house, actor):
    """Or an administrator of a domain would have the whole server."""
    made = await house.account()
    await house[Users].create(house.admin, made, is_admin=True)
    await house[Accounts].set_password(actor, made, PASSWORD)


@row(Accounts, "remove", "AAAANA+")
async def remove_who_administers_another_domain(house, actor):
    made = await house.account()
    user = await house[Users].create(house.admin, made)
    await house[Members].add(house.admin, OTHER, user, Group.USER)
    await house[Accounts].remove(actor, made)


@row(Accounts, "add_app_password", "A+NA+A+")
async def add_app_password(house, actor):
    await house[Accounts].add_app_password(actor, address(f"alice@{DOMAIN}"), f"phone {house.number}")


@row(Accounts, "list_app_passwords", "A+NA+A+")
async def list_app_passwords(house, actor):
    await house[Accounts].list_app_passwords(actor, address(f"alice@{DOMAIN}"))


@row(Accounts, "remove_app_password", "A+NA+A+")
async def remove_app_password(house, actor):
    owner = address(f"alice@{DOMAIN}")
    made = await house[Accounts].add_app_password(house.admin, owner, "x")
    await house[Accounts].remove_app_password(actor, owner, made.app_password.app_password_id)


@row(Accounts, "bring_back", "NNNNNN+")
async def bring_back(house, actor):
    found = await house.storage.directory.credentials(address(f"alice@{DOMAIN}"))
    again = replace(found, account=replace(found.account, address=house.address("back")))
    await house[Accounts].bring_back(actor, again)


@row(Accounts, "adopt", "NNNNNN+")
async def adopt(house, actor):
    await house[Accounts].adopt(actor, house.address("taken"), "$6$saltsalt$" + "x" * 86)


# Keys


@row(Keys, "list", "DDDN+D+")
async def list_keys(house, actor):
    await house[Keys].list(actor, DOMAIN)


@row(Keys, "create", "DDDNXDX")
async def create_keys(house, actor):
    await house[Keys].create(actor, DOMAIN)


@row(Keys, "rotate", "DDDN+D+")
async def rotate_keys(house, actor):
    await house[Keys].rotate(actor, DOMAIN)
    for published in await house[Keys].list(house.admin, DOMAIN):
        if published.key.state is KeyState.PENDING:
            await house[Keys].remove(house.admin, DOMAIN, published.key.selector)


@row(Keys, "activate", "DDDN+D+")
async def activate_keys(house, actor):
    if not any(each.key.state is KeyState.PENDING for each in await house[Keys].list(house.admin, DOMAIN)):
        await house[Keys].rotate(house.admin, DOMAIN)
    await house[Keys].activate(actor, DOMAIN)


@row(Keys, "retire", "DDDN+D+")
async def retire_key(house, actor):
    (selector, *_) = [each.key.selector for each in await house[Keys].list(house.admin, DOMAIN)]
    await house[Keys].retire(actor, DOMAIN, selector)


@row(Keys, "import_key", "DDDNKDK")
async def import_key(house, actor):
    await house[Keys].import_key(actor, DOMAIN, "imported", b"no key")


@row(Keys, "remove", "DDDN+D+")
async def remove_key(house, actor):
    (selector, *_) = [each.key.selector for each in await house[Keys].list(house.admin, DOMAIN)]
    await house[Keys].retire(house.admin, DOMAIN, selector)
    await house[Keys].remove(actor, DOMAIN, selector)
    if not await house[Keys].list(house.admin, DOMAIN):
        await house[Keys].create(house.admin, DOMAIN)


# Users and tokens


@row(Users, "create", "NNNNNN+")
async def create_user(house, actor):
    await house[Users].create(actor, address(f"u{house.number}@elsewhere.test"), PASSWORD)


@row(Users, "get", "UUU+UU+")
async def get_user(house, actor):
    await house[Users].get(actor, house.users["member"].user_id)


@row(Users, "list", "NNNNNN+")
async def list_users(house, actor):
    await house[Users].list(actor)


@row(Users, "change", "UUU+UU+")
async def change_user(house, actor):
    await house[Users].change(actor, replace(house.users["member"], given_name="x"))


@row(Users, "change", "UUUNUU+")
async def raise_user(house, actor):
    user = await house[Users].get(house.admin, house.users["member"].user_id)
    await house[Users].change(actor, replace(user, is_admin=not user.is_admin))


@row(Users, "enable", "UUUNUU+")
async def disable_user(house, actor):
    await house[Users].enable(actor, house.users["member"].user_id, is_enabled=False)


@row(Users, "set_password", "UUUNUU+")
async def set_user_password(house, actor):
    await house[Users].set_password(actor, house.users["member"].user_id, PASSWORD)


@row(Users, "remove", "UUUNUU+")
async def remove_user(house, actor):
    await house[Users].remove(actor, house.users["member"].user_id)


@row(Tokens, "list", "UUU++++")
async def list_tokens(house, actor):
    await house[Tokens].list(actor)


@row(Tokens, "list", "NNN+NN+")
async def list_tokens_of_a_user(house, actor):
    await house[Tokens].list(actor, house.users["member"])


@row(Tokens, "create", "NNN+NN+")
async def create_token(house, actor):
    await house[Tokens].create(actor, "x", user=house.users["member"])


@row(Tokens, "remove", "NNN+NN+")
async def remove_token(house, actor):
    made = await house[Tokens].create(house.admin, "x", user=house.users["member"])
    await house[Tokens].remove(actor, made.token.token_id, house.users["member"])


@row(Tokens, "remove_all", "NNN+NN+")
async def remove_all_tokens(house, actor):
    await house[Tokens].remove_all(actor, house.users["member"])


@row(Tokens, "reset", "NNN+NN+")
async def reset_tokens(house, actor):
    await house[Tokens].reset(actor, user=house.users["member"])


# Members


@row(Members, "list", "DDD++D+")
async def list_members(house, actor):
    await house[Members].list(actor, DOMAIN)


@row(Members, "invites", "DDDN+D+")
async def list_invites(house, actor):
    await house[Members].invites(actor, DOMAIN)


@row(Members, "invite", "DDDN+D+")
async def invite(house, actor):
    invited = await house[Members].invite(actor, DOMAIN, address(f"i{house.number}@elsewhere.test"), Group.ADMIN)
    assert (invited.token is not None) == actor.is_admin


@row(Members, "withdraw", "DDDN+D+")
async def withdraw(house, actor):
    invited = address(f"w{house.number}@elsewhere.test")
    await house[Members].invite(house.admin, DOMAIN, invited, Group.USER)
    await house[Members].withdraw(actor, DOMAIN, invited)


@row(Members, "accept", "IIIIIII")
async def accept(house, actor):
    await house[Members].invite(house.admin, DOMAIN, address(f"z{house.number}@elsewhere.test"), Group.ADMIN)
    await house[Members].accept(actor, DOMAIN)


@row(Members, "change", "DDDN+D+")
async def raise_member(house, actor):
    await house[Members].change(actor, DOMAIN, house.users["member"].user_id, Group.ADMIN)
    await house[Members].change(house.admin, DOMAIN, house.users["member"].user_id, Group.USER)


@row(Members, "add", "NNNNNN+")
async def add_member(house, actor):
    await house[Members].add(actor, OTHER, house.users["member"], Group.USER)


@row(Members, "remove", "DDDN+D+")
async def remove_member(house, actor):
    user = await house[Users].create(house.admin, address(f"r{house.number}@elsewhere.test"), PASSWORD)
    await house[Members].add(house.admin, DOMAIN, user, Group.USER)
    await house[Members].remove(actor, DOMAIN, user.user_id)


# what went where


@row(Traces, "messages", "NNNN+++")
async def trace(house, actor):
    found = await house[Traces].messages(actor, TraceQuery(), 10)
    assert bool(found) == actor.administers(DOMAIN)


@row(Reporting, "list", "DDDN+D+")
async def reports_of_a_domain(house, actor):
    await house[Reporting].list(actor, ReportQuery(domain=DOMAIN))


@row(Reporting, "list", "NNNN+++")
async def reports(house, actor):
    await house[Reporting].list(actor, ReportQuery())


@row(Audit, "list", "N++++++")
async def audit_log(house, actor):
    page = await house[Audit].list(actor, Listing(limit=1000))
    seen = {entry.domain for entry in page.items}
    assert actor.is_admin or seen <= {name for name in actor.groups if actor.administers(name)} | {""}


@row(Audit, "list", "DDDN+D+")
async def audit_log_of_a_domain(house, actor):
    await house[Audit].list(actor, Listing(), domain=DOMAIN)


@row(Audit, "export", "DDDN+D+")
async def export_audit_log(house, actor):
    async for _ in house[Audit].export(actor, domain=DOMAIN):
        pass


@row(Outgoing, "pages", "NNNN+++")
async def queue_pages(house, actor):
    found = [item async for page in house[Outgoing].pages(actor, QueueQuery(), ()) for item in page]
    assert bool(found) == actor.administers(DOMAIN)


@row(Outgoing, "show", "NNNN+Q+")
async def show_item(house, actor):
    await house[Outgoing].show(actor, "q1")


@row(Outgoing, "octets", "NNNNNN+")
async def item_octets(house, actor):
    (item,) = await house[Outgoing].show(house.admin, "q1")
    await house[Outgoing].octets(actor, item.item_id)


@row(Outgoing, "fitting", "NNNN+Q+")
async def count_fitting(house, actor):
    await house[Outgoing].fitting(actor, [QueueQuery(queue_id="q1")], ())


def queue_change(name):
    @row(Outgoing, name, "NNNN+Q+")
    async def change(house, actor):
        await getattr(house[Outgoing], name)(actor, [QueueQuery(queue_id="q1")])

    @row(Outgoing, name, "NNNN+++")
    async def change_all(house, actor):
        """Of all that fits, only what is his."""
        count = await getattr(house[Outgoing], name)(actor, [QueueQuery()])
        assert count == 0 or actor.administers(DOMAIN)


for verb in ("hold", "release", "retry", "cancel"):
    queue_change(verb)


def server_only(of, name, *arguments):
    @row(of, name, "NNNNNN+")
    async def call(house, actor):
        found = getattr(house[of], name)(actor, *arguments)
        if inspect.isasyncgen(found):
            async for _ in found:
                pass
        else:
            await found


server_only(Outgoing, "count")
server_only(Outgoing, "destinations")
server_only(Outgoing, "forget_finished", datetime(2020, 1, 1, tzinfo=UTC))
server_only(Outgoing, "suppressions")
server_only(Outgoing, "suppress", address("s@elsewhere.test"), "x")
server_only(Checks, "findings")
server_only(IdleAccounts, "daily", datetime(2020, 1, 1, tzinfo=UTC))
server_only(IdleAccounts, "once", datetime(2020, 1, 1, tzinfo=UTC))
server_only(DnsWriting, "write", ())


@row(Outgoing, "unsuppress", "NNNNNN+")
async def unsuppress(house, actor):
    await house[Outgoing].suppress(house.admin, address("s@elsewhere.test"), "x")
    await house[Outgoing].unsuppress(actor, address("s@elsewhere.test"))


# DNS


@row(DnsPlan, "of_host", "NNN++++")
async def plan_of_host(house, actor):
    await house[DnsPlan].of_host(actor)


@row(DnsPlan, "of_domain", "DDD++D+")
async def plan_of_domain(house, actor):
    await house[DnsPlan].of_domain(actor, DOMAIN)


@row(DnsWriting, "look", "DDDN+D+")
async def look_at_zone(house, actor):
    await house[DnsWriting].look(actor, DOMAIN)


@row(Doctor, "records", "DDDNZDZ")
async def check_records(house, actor):
    await house[Doctor].records(actor, DOMAIN)


@row(Doctor, "examine", "DDDNZDZ")
async def examine_domain(house, actor):
    await house[Doctor].examine(actor, DOMAIN)


@row(Doctor, "examine", "NNNNNNZ")
async def examine_all(house, actor):
    await house[Doctor].examine(actor)


# an account's own


@row(LogInLinks, "make", "ANNA+A+")
async def make_link(house, actor):
    await house[LogInLinks].make(actor, address(f"alice@{DOMAIN}"))


@row(SenderLists, "entries", "N++NNNN")
async def sender_entries(house, actor):
    await house[SenderLists].entries(actor, ALLOWED)


@row(SenderLists, "add", "N++NNNN")
async def add_sender(house, actor):
    await house[SenderLists].add(actor, ALLOWED, ["x@elsewhere.test"])


@row(SenderLists, "remove", "N++NNNN")
async def remove_sender(house, actor):
    await house[SenderLists].remove(actor, ALLOWED, ["x@elsewhere.test"])


CASES = sorted({of for of, _, _ in VERBS}, key=lambda of: of.__name__)


@pytest.mark.parametrize("of", CASES, ids=lambda of: of.__name__)
async def test_attack_092_who_may_do_what(house, of):
    wrong = []
    for (case, name, function_name), (function, outcomes) in VERBS.items():
        if case is not of:
            continue
        assert len(outcomes) == len(ROLES)
        for role, expected in zip(ROLES, outcomes, strict=True):
            house.number += 1
            try:
                await function(house, house.actors[role])
                found = "+"
            except tuple(LETTERS) as error:
                found = LETTERS[type(error)]
            if found != expected:
                wrong.append(f"{of.__name__}.{name} ({function_name}) for {role}: {found}, not {expected}")
    assert wrong == []


@pytest.mark.parametrize("of", CASES, ids=lambda of: of.__name__)
def test_attack_092_each_verb_has_its_row(of):
    with_actor = {
        name
        for name, function in inspect.getmembers(of, inspect.isfunction)
        if not name.startswith("_") and "actor" in inspect.signature(function).parameters
    }
    beside = {Audit: {"note"}, Accounts: {"watch_revocations"}}
    assert with_actor - beside.get(of, set()) == {name for case, name, _ in VERBS if case is of}


async def test_members_do_not_see_secrets_nor_lose_them(house):
    domains = house[Domains]
    await domains.set_terms(house.admin, DOMAIN, {"invite_tokens": "abc"}, PASSWORD)
    seen = {role: (await domains.get(house.actors[role], DOMAIN)).terms for role in ("member", "admin", "root")}
    assert (seen["member"].invite_tokens, seen["member"].webhook_key) == ((), "")
    assert (seen["admin"].invite_tokens, seen["admin"].smarthost_password) == (("abc",), "")
    assert seen["root"].smarthost_password == PASSWORD.reveal()
    await domains.set_terms(house.actors["admin"], DOMAIN, {"requires_tls_inbound": "yes"})
    assert (await domains.get(house.admin, DOMAIN)).terms.smarthost_password == PASSWORD.reveal()


async def test_attack_092_a_trace_tells_nothing_of_other_recipients(house, storage, clock):
    def step(queue_id, name, recipient="", domain="", direction="in", mail_from=""):
        storage.trace.record(
            TraceEvent(clock.now(), queue_id, direction, name, recipient=recipient, domain=domain, mail_from=mail_from)
        )

    step("both", "spf", domain=DOMAIN)
    step("both", "delivered", f"bob@{DOMAIN}", DOMAIN)
    step("both", "delivered", f"carol@{OTHER}", OTHER)
    step("forged", "delivered", f"carol@{OTHER}", OTHER, mail_from=f"alice@{DOMAIN}")
    step("sent", "attempt", "y@elsewhere.test", DOMAIN, "out", f"alice@{DOMAIN}")
    for query in (TraceQuery(), TraceQuery(address=f"@{DOMAIN}"), TraceQuery(queue_id="both")):
        found = await house[Traces].messages(house.actors["admin"], query, 10)
        told = {(message.queue_id, each.step, each.recipient) for message in found for each in message.steps}
        assert ("both", "delivered", f"carol@{OTHER}") not in told
        assert ("both", "delivered", f"bob@{DOMAIN}") in told
        assert not any(queue_id == "forged" for queue_id, _, _ in told)
    found = await house[Traces].messages(house.actors["admin"], TraceQuery(), 10)
    assert Counter(len(message.steps) for message in found) == {2: 1, 1: 2}
    assert len(await house[Traces].messages(house.admin, TraceQuery(), 10)) == 4


async def test_what_was_done_is_in_the_audit_log(house):
    await create_alias(house, house.actors["admin"])
    await set_password(house, house.actors["owner"])
    await rotate_keys(house, house.actors["admin"])
    await set_smarthost_password(house, house.actors["root"])
    audit = house[Audit]
    await audit.settle()
    page = await audit.list(house.actors["admin"], Listing(limit=100), domain=DOMAIN)
    told = {(entry.actor, entry.verb) for entry in page.items}
    assert {
        ("admin@elsewhere.test", "alias.add"),
        ("admin@elsewhere.test", "key.add"),
        ("root@elsewhere.test", "domain.terms"),
    } <= told
    assert PASSWORD.reveal() not in str(page.items)


async def test_an_administrator_of_a_domain_does_not_lift_the_servers_quota(house, storage):
    judge, actor = Rights(storage, quota_octets=1000), house.actors["admin"]

    async def outcome(octets):
        try:
            return await judge.bounded_quota(actor, DOMAIN, octets)
        except errors.LimitReached:
            return "refused"

    entry = await storage.people.domain_entry(DOMAIN)
    for largest, expected in (
        (0, [1000, 900, "refused"]),
        (500, [500, "refused", "refused"]),
        (9000, [1000, 900, "refused"]),
    ):
        await storage.people.set_domain_profile(DOMAIN, replace(entry.profile, account_quota_octets_max=largest))
        assert [await outcome(octets) for octets in (None, 900, 2000)] == expected
    await house[Domains].set_terms(house.admin, DOMAIN, {"account_quota_octets": "5000"})
    assert await outcome(2000) == 2000
    assert await judge.bounded_quota(house.admin, DOMAIN, 1 << 50) == 1 << 50


async def test_a_member_has_so_many_addresses(house, storage, accounts, clock, monkeypatch):
    monkeypatch.setattr(rights, "ADDRESSES_PER_MEMBER_MAX", 3)
    aliases, book = house[Aliases], AddressBook(storage, accounts, house[Aliases], Passwords(clock, HashCost(1, 8)))
    target, wishes = [address("y@elsewhere.test")], AddressWishes(recipients=("y@elsewhere.test",))
    await aliases.create(house.actors["member"], house.address("one"), target)
    await book.create(house.actors["member"], DOMAIN, wishes)  # and bob is the third
    for verb in (
        aliases.create(house.actors["member"], house.address("two"), target),
        aliases.mask(house.actors["member"], DOMAIN, target),
        house[Accounts].create(house.actors["member"], house.address("two"), PASSWORD),
        book.create(house.actors["member"], DOMAIN, wishes),
    ):
        with pytest.raises(errors.LimitReached):
            await verb
    await book.create(house.actors["admin"], DOMAIN, wishes)
    await aliases.remove(house.actors["member"], house.address("one"))
    await book.create(house.actors["member"], DOMAIN, wishes)


OWN = {
    "AccountEvents", "Announcements", "AppleDevices", "Attachments", "CalendarFiles", "Calendars", "Cards",
    "ClientProfiles",
    "Collections", "DeviceTokens", "DavObjects", "DavPush", "Events", "ExportArchives", "Exports", "FactorSettings", "Filters",
    "Folders", "Imports", "JunkFilter", "Mailboxes", "MaskedAddresses", "Messages", "OwnAddresses", "OwnAliases", "OwnForwarding", "Scripts",
    "RemoteImports", "ScriptEntries", "SealedAccounts", "Sharings", "Submissions", "Subscriptions", "Vacations", "WebSessions",
    "Addresses", "Emails", "Unlocking",
    "Agenda", "CardGroups", "CardIndex", "CardMerging", "CardSheets", "ChosenMessages", "Completions", "Conversations", "EventEditing", "FilterRules",
    "Identities", "LiveNews", "MailedInvitations", "MessageReasons", "OpenpgpKeys", "OpenpgpMail", "Outbox", "OwnPreferences", "RemoteImages", "ShownMessages", "Snoozing", "Tasks", "Unsubscribing",
}  # fmt: skip
"""What an actor does with his own account, or by a right that their own tests go through."""
OF_DOMAINS = {
    "AddressBook", "AddressPasswords", "AddressTables", "CatchAllPasswords", "DomainBook", "LogMail",
}  # fmt: skip
"""Made of the verbs above; whose domain it is, they ask `domain_entries`. Their tests: test_address_book and so on."""
OF_THE_SERVER = {
    "AccountReturns", "BackupJobs", "Backups", "CertificateCare", "DailyDoctor", "DomainKinds", "HouseJobs", "JunkTraining",
    "OidcLinks", "Overviews", "RecentLog", "Restores", "Statistics", "UpdateState", "UpdateWishes", "Updates", "VmailImports",
}  # fmt: skip
"""Each verb asks `must_be_admin` first."""
BESIDE = {"CallLimits", "Idempotency", "MemberMail", "Notes", "Refusals", "Revocations", "Rights", "Unnoted"}
"""Do nothing to anybody: they count, tell, judge."""


def test_attack_092_each_use_case_says_who_may():
    found = set()
    for module in pkgutil.iter_modules(mailstead.usecases.__path__):
        for name, of in inspect.getmembers(
            importlib.import_module(f"mailstead.usecases.{module.name}"), inspect.isclass
        ):
            methods = inspect.getmembers(of, inspect.isfunction)
            if (
                not name.startswith("_")
                and of.__module__.endswith(f".{module.name}")
                and any(
                    "actor" in inspect.signature(function).parameters for verb, function in methods if verb[0] != "_"
                )
            ):
                found.add(name)
    told = {of.__name__ for of in CASES} | OWN | OF_DOMAINS | OF_THE_SERVER | BESIDE
    assert found - told == set(), "say here who may use them, and test it"
    assert told - found == set(), "they are gone"
