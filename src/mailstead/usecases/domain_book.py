"""Domains as those who look after them see them: terms, profile, members, and what the DNS said when it was asked last.

Spec: reference forwardemail 4.7, 4.10 (Domain); docs/adr/0033.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

from mailstead.mailauth.dkim import public_record
from mailstead.model.address import Address, normal_domain
from mailstead.model.diagnosis import Diagnosis, Health
from mailstead.model.directory import CATCH_ALL, Account
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadSettings, DomainInUse, MailsteadError, NoSuchDomain, PolicyRefused
from mailstead.model.people import DomainEntry, DomainProfile, Group, Invite, Listing, Member, Page
from mailstead.policy.address_rules import AddressWishes, quota_octets
from mailstead.policy.dns_records import MailHost, PublishedSelector, records_of_domain
from mailstead.ports.storage import Storage
from mailstead.usecases.address_book import AddressBook
from mailstead.usecases.audit import Notes, Unnoted
from mailstead.usecases.domain_entries import administered, domain_entry
from mailstead.usecases.domains import Domains
from mailstead.usecases.members import Members

RESTRICTED_MAX: Final = 1000
RETENTION_DAYS_MAX: Final = 30
URL_CHARACTERS_MAX: Final = 2000
ACCOUNTS_MEASURED_MAX: Final = 1000
"""Whose stores are looked at for one domain's use."""
FOUND: Final = "records_found"
"""In `DomainProfile.kept`: purposes of records that were right when they were asked for last."""
RECEIVING: Final = ("mx", "verification")
SENDING: Final = ("spf", "dkim", "dmarc")
KEPT: Final = frozenset(
    {
        "plan",
        "has_adult_content_protection",
        "has_phishing_protection",
        "has_executable_protection",
        "has_virus_protection",
        "has_recipient_verification",
        "ignore_mx_check",
        "has_newsletter",
        "is_catchall_regex_disabled",
        "has_custom_verification",
        "alias_default_smtp_limit",
        "smtp_port",
    }
)
"""Settings of the reference that are kept and given back.

`smtp_port` and `alias_default_smtp_limit` have an effect (`AddressBook`), the others have none here.
"""

_PROFILE: Final = ("restricted_names", "account_quota_octets_max", "retention_days", "bounce_webhook")


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainWishes:
    """What is asked for a domain; None: as it is."""

    serves_subdomains: bool | None = None
    requires_tls_inbound: bool | None = None
    keeps_trace: bool | None = None
    targets_per_alias_max: int | None = None
    allowlist: Sequence[str] | None = None
    denylist: Sequence[str] | None = None
    verification: str | None = None
    restricted_names: Sequence[str] | None = None
    account_quota_max: str | None = None
    """``1 GB``; empty or ``0``: any."""
    retention_days: int | None = None
    bounce_webhook: str | None = None
    kept: Mapping[str, object] = field(default_factory=dict)
    """Of `KEPT`."""


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """A record to publish."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class ShownDomain:
    """A domain with all that is told of it."""

    entry: DomainEntry
    members: Sequence[Member]
    invites: Sequence[Invite]
    """Only for administrators of the domain."""
    is_administered: bool
    """Whether the one who asks may see all of it."""
    has_catch_all: bool
    has_patterns: bool
    dkim: DnsRecord | None
    dmarc: DnsRecord | None
    records_found: frozenset[str]
    used_octets: int | None
    """By the domain's mailboxes; None: not measured, as in lists."""


class DomainBook:
    """Errors of all verbs: NoSuchDomain for who has no part in the domain; NotAllowed for members who only see it."""

    def __init__(
        self,
        storage: Storage,
        domains: Domains,
        members: Members,
        addresses: AddressBook,
        examine: Callable[[Actor, str], Awaitable[Sequence[Diagnosis]]],
        hostname: str,
        audit: Notes | None = None,
    ) -> None:
        """`examine`: looks at the records of a domain (`Doctor.records`)."""
        self._storage = storage
        self._people = storage.people
        self._directory = storage.directory
        self._domains = domains
        self._members = members
        self._addresses = addresses
        self._examine = examine
        self._host = MailHost(hostname)
        self._audit: Final = audit or Unnoted()

    async def list(self, actor: Actor, listing: Listing, name: str = "") -> Page[ShownDomain]:
        """A part of the domains that the actor has a part in; `name`: only that one."""
        names = None if actor.is_admin else list(actor.groups)
        if name:
            try:
                names = [(await domain_entry(self._people, actor, name)).domain.name]
            except NoSuchDomain:
                return Page((), 0)
        found = await self._people.domain_entries(listing, names)
        return Page(tuple([await self._shown(actor, entry) for entry in found.items]), found.item_count)

    async def get(self, actor: Actor, name_or_id: str) -> ShownDomain:
        """One domain, by name or id."""
        return await self._shown(actor, await domain_entry(self._people, actor, name_or_id), is_measured=True)

    async def create(
        self, actor: Actor, name: str, wishes: DomainWishes, *, team_domain: str = "", catch_all: Sequence[str] | None
    ) -> ShownDomain:
        """Serve a further domain: the actor looks after it, with the members of `team_domain`.

        `catch_all`: to whom mail goes for names that nobody has; empty: to the actor; None: to nobody.
        Errors: NotAllowed for who does not look after the server; BadAddress, DomainExists; as `change`.
        """
        actor.must_be_admin()
        self._check(wishes)
        team = await administered(self._people, actor, team_domain) if team_domain else None
        made = (await self._domains.add(actor, name)).name
        try:
            if actor.user_id is not None:
                await self._people.set_member(made, actor.user_id, Group.ADMIN)
            for member in await self._people.members(team.domain.name) if team is not None else ():
                await self._people.set_member(made, member.user.user_id, member.group)
            await self.change(actor, made, wishes)
            if catch_all is not None:
                await self._addresses.create(
                    actor, made, AddressWishes(name=CATCH_ALL, recipients=tuple(catch_all) or None)
                )
        except MailsteadError:
            await self._domains.remove(actor, made)  # nothing stays of what was refused in the middle
            raise
        return await self.get(actor, made)

    async def change(self, actor: Actor, name_or_id: str, wishes: DomainWishes) -> ShownDomain:
        """Change what is asked for. Errors: NotAllowed; PolicyRefused, with the reason."""
        entry = await administered(self._people, actor, name_or_id)
        self._check(wishes)
        texts = _texts(wishes)
        if texts:
            try:
                await self._domains.set_terms(actor, entry.domain.name, texts)
            except BadSettings as error:
                raise PolicyRefused(error.public_text) from None
        profile = entry.profile
        changed = replace(
            profile,
            restricted_names=profile.restricted_names
            if wishes.restricted_names is None
            else tuple(dict.fromkeys(one.strip().lower() for one in wishes.restricted_names)),
            account_quota_octets_max=profile.account_quota_octets_max
            if wishes.account_quota_max is None
            else quota_octets(wishes.account_quota_max) or 0,
            retention_days=profile.retention_days if wishes.retention_days is None else wishes.retention_days,
            bounce_webhook=profile.bounce_webhook if wishes.bounce_webhook is None else wishes.bounce_webhook,
            kept={**profile.kept, **wishes.kept},
        )
        if changed != profile:
            await self._people.set_domain_profile(entry.domain.name, changed)
            name = entry.domain.name
            self._audit.note(actor, "domain.settings", name, name, names=" ".join(sorted(_changed(profile, changed))))
        return await self.get(actor, entry.domain.name)

    async def delete(self, actor: Actor, name_or_id: str) -> ShownDomain:
        """Serve a domain no longer, with the aliases in it; gives what it was.

        Errors: NotAllowed; DomainInUse while it has mailboxes, which go one by one and knowingly.
        """
        entry = await administered(self._people, actor, name_or_id)
        shown, name = await self.get(actor, name_or_id), entry.domain.name
        if await self._directory.accounts(name):
            raise DomainInUse("The domain has aliases with mailboxes; delete these first", domain=name)
        for alias in await self._directory.aliases(name):
            await self._directory.remove_alias(alias.address)
        await self._domains.remove(actor, name)
        return shown

    async def verify(self, actor: Actor, name_or_id: str, purposes: Sequence[str]) -> Sequence[str]:
        """Look whether the records for receiving or for sending are there, and keep what was found; gives the faults.

        Errors: NotAllowed; DnsUnavailable and the like of the doctor.
        """
        entry = await administered(self._people, actor, name_or_id)
        found = await self._examine(actor, entry.domain.name)
        looked = [each for each in found if each.domain == entry.domain.name and _purpose(each) in purposes]
        wrong = [each for each in looked if each.status in {Health.ERROR, Health.WARNING}]
        right = {_purpose(each) for each in looked} - {_purpose(each) for each in wrong}
        before = _found(entry)
        now = (before - set(purposes)) | right
        if now != before:
            profile = replace(entry.profile, kept={**entry.profile.kept, FOUND: sorted(now)})
            await self._people.set_domain_profile(entry.domain.name, profile)
        return [_sentence(each) for each in wrong]

    # members

    async def accept(self, actor: Actor, name_or_id: str) -> ShownDomain:
        """Take the invitation of who asks. Errors: NoSuchInvite, also where there is no such domain."""
        entry = await self._people.domain_entry(_as_key(name_or_id))
        member = await self._members.accept(actor, entry.domain.name if entry is not None else name_or_id)
        groups = {**actor.groups, member.domain: member.group}
        return await self.get(replace(actor, groups=groups), member.domain)

    async def invite(self, actor: Actor, name_or_id: str, address: str, group: Group) -> ShownDomain:
        """Invite somebody. Errors: as `Members.invite`."""
        entry = await administered(self._people, actor, name_or_id)
        await self._members.invite(actor, entry.domain.name, Address.parse(address.strip()), group)
        return await self.get(actor, entry.domain.name)

    async def withdraw(self, actor: Actor, name_or_id: str, address: str) -> ShownDomain:
        """Take an invitation back. Errors: as `Members.withdraw`."""
        entry = await administered(self._people, actor, name_or_id)
        await self._members.withdraw(actor, entry.domain.name, Address.parse(address.strip()))
        return await self.get(actor, entry.domain.name)

    async def change_member(self, actor: Actor, name_or_id: str, user_id: str, group: Group) -> ShownDomain:
        """Give a member another part. Errors: as `Members.change`."""
        entry = await administered(self._people, actor, name_or_id)
        await self._members.change(actor, entry.domain.name, user_id, group)
        return await self._shown(actor, entry, is_measured=True)

    async def remove_member(self, actor: Actor, name_or_id: str, user_id: str) -> ShownDomain:
        """End a membership. Errors: as `Members.remove`."""
        entry = await domain_entry(self._people, actor, name_or_id)
        await self._members.remove(actor, entry.domain.name, user_id)
        return await self._shown(actor, entry, is_measured=True)

    # inside

    @staticmethod
    def _check(wishes: DomainWishes) -> None:
        """Errors: PolicyRefused."""
        names = wishes.restricted_names or ()
        if len(names) > RESTRICTED_MAX or any(len(name) > 64 or not name.isprintable() for name in names):
            raise PolicyRefused(f"restricted_alias_names are at most {RESTRICTED_MAX} names")
        if wishes.retention_days is not None and not 0 <= wishes.retention_days <= RETENTION_DAYS_MAX:
            raise PolicyRefused(f"retention_days is a number between 0 and {RETENTION_DAYS_MAX}")
        if wishes.bounce_webhook and not _is_web_address(wishes.bounce_webhook):
            raise PolicyRefused("bounce_webhook is a web address, or false")
        if wishes.account_quota_max is not None:
            try:
                quota_octets(wishes.account_quota_max)
            except PolicyRefused as error:
                raise PolicyRefused(error.public_text.replace("max_quota", "max_quota_per_alias")) from None
        if unknown := set(wishes.kept) - KEPT:
            raise PolicyRefused(f"{min(unknown)} is no setting")
        port = wishes.kept.get("smtp_port")
        if port is not None and not (isinstance(port, int) and 1 <= port <= 65535):
            raise PolicyRefused("smtp_port is a number between 1 and 65535")

    async def _shown(self, actor: Actor, entry: DomainEntry, *, is_measured: bool = False) -> ShownDomain:
        name = entry.domain.name
        is_administered = actor.administers(name)
        keys = await self._directory.dkim_keys(name)
        selectors = [
            PublishedSelector(f"{key.selector}._domainkey.{key.domain}", public_record(key), key.algorithm, key.state)
            for key in keys
        ]
        records = list(records_of_domain(name, entry.domain.terms, self._host, selectors))
        first = {record.purpose: DnsRecord(record.name, record.value) for record in reversed(records)}
        used = None
        if is_measured:
            accounts: Sequence[Account] = (await self._directory.accounts(name))[:ACCOUNTS_MEASURED_MAX]
            stores = [self._storage.accounts.of(account.account_id) for account in accounts]
            used = sum([(await store.usage()).size_octets for store in stores])
        return ShownDomain(
            entry,
            await self._people.members(name),
            await self._people.invites(name) if is_administered else (),
            is_administered,
            await self._people.address_entry(name, CATCH_ALL) is not None,
            bool(await self._directory.patterns(name)),
            first.get("dkim"),
            first.get("dmarc"),
            _found(entry),
            used,
        )


def _changed(before: DomainProfile, after: DomainProfile) -> set[str]:
    names = {name for name in _PROFILE if getattr(before, name) != getattr(after, name)}
    return names | {name for name, value in after.kept.items() if before.kept.get(name) != value}


def _texts(wishes: DomainWishes) -> dict[str, str]:
    """Give the terms among the wishes as `Domains.set_terms` reads them."""
    asked = {
        "serves_subdomains": wishes.serves_subdomains,
        "requires_tls_inbound": wishes.requires_tls_inbound,
        "keeps_trace": wishes.keeps_trace,
        "targets_per_alias_max": wishes.targets_per_alias_max,
        "allowlist": wishes.allowlist,
        "denylist": wishes.denylist,
        "verification": wishes.verification,
    }
    texts: dict[str, str] = {}
    for name, value in asked.items():
        if isinstance(value, bool):
            texts[name] = "yes" if value else "no"
        elif isinstance(value, int | str):
            texts[name] = str(value)
        elif value is not None:
            texts[name] = ",".join(one.strip() for one in value if one.strip())
    return texts


def _found(entry: DomainEntry) -> frozenset[str]:
    kept = entry.profile.kept.get(FOUND)
    return frozenset(map(str, kept)) if isinstance(kept, list | tuple) else frozenset()


def _purpose(diagnosis: Diagnosis) -> str:
    return diagnosis.name.partition(" ")[0]


def _sentence(diagnosis: Diagnosis) -> str:
    expected = f", expected {diagnosis.expected}" if diagnosis.expected else ""
    advice = f" {diagnosis.advice}" if diagnosis.advice else ""
    return f"{diagnosis.name}: {diagnosis.found}{expected}.{advice}"


def _as_key(name_or_id: str) -> str:
    try:
        return normal_domain(name_or_id)
    except MailsteadError:
        return ""


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    is_short = len(text) <= URL_CHARACTERS_MAX and text.isprintable() and " " not in text
    return is_short and parts.scheme in {"http", "https"} and bool(parts.hostname)
