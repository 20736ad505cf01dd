"""The addresses of a domain, as those who administer it see them: one list of what has a mailbox and what has none.

What has a mailbox is an account, what has none is an alias; either becomes the other in one step, in which no mail is
refused. Administrators of the domain have all verbs; its other members have them for addresses of their own.

Spec: reference forwardemail 4.8; docs/adr/0033.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from mailstead.model.address import Address
from mailstead.model.directory import CATCH_ALL, Account, Alias, AliasKind, Credentials, Domain, HostTarget, Target
from mailstead.model.envelope import Actor
from mailstead.model.errors import AddressTaken, AliasLoop, BadAddress, LimitReached, NoSuchAlias, PolicyRefused
from mailstead.model.ids import AccountId
from mailstead.model.mailbox import Usage
from mailstead.model.people import AddressEntry, AddressProfile, DomainEntry, Listing, ObjectId, Page, User
from mailstead.model.verdict import Decision
from mailstead.policy import address_rules
from mailstead.policy.address_rules import AddressWishes
from mailstead.policy.names import may_be_given
from mailstead.policy.patterns import pattern_name
from mailstead.policy.targets import SAME_LOCAL_PART, SMTP_PORT, read_target, target_key
from mailstead.policy.words import NAMES_COUNT, two_words
from mailstead.ports.storage import Storage
from mailstead.usecases.accounts import SCRAM_ITERATION_COUNT, SCRAM_SALT_OCTETS, Accounts
from mailstead.usecases.address_turns import AddressTurns
from mailstead.usecases.aliases import Aliases
from mailstead.usecases.audit import Notes, Unnoted
from mailstead.usecases.domain_entries import domain_entry
from mailstead.usecases.openings import scram_iteration_count_of
from mailstead.usecases.passwords import Passwords
from mailstead.usecases.rights import Rights, as_house
from mailstead.usecases.vacations import Vacation, Vacations, check_vacation, kept_vacation, vacation_of

WishT = TypeVar("WishT")

SILENT: Final = 250
"""What a disabled address answers where nothing else is said. Spec: reference forwardemail 4.8."""
_NAME_TRIES: Final = 20
_UNNAMED: Final = ObjectId("")
"""The store gives ids."""
_TEXT_OF_NO_ALIAS: Final = "Alias does not exist"


@dataclass(frozen=True, slots=True)
class ShownAddress:
    """An address with all that is told of it."""

    entry: AddressEntry
    domain: DomainEntry
    user: User | None
    """Whose it is."""
    usage: Usage | None = None
    """Of the mailbox, if it has one."""
    vacation: Vacation | None = None
    """As it was set last, switched on or not."""
    is_away: bool = False
    """Whether the vacation is switched on."""

    @property
    def account(self) -> Account | None:
        """The account, where the address has a mailbox."""
        return self.entry.owner if isinstance(self.entry.owner, Account) else None


class AddressBook:
    """Errors of all verbs: NoSuchDomain for who has no part in the domain, NoSuchAlias for another's address."""

    def __init__(
        self,
        storage: Storage,
        accounts: Accounts,
        aliases: Aliases,
        passwords: Passwords,
        *,
        quota_octets: int | None = None,
        sending_limit: int | None = None,
        random_number: Callable[[int], int] = secrets.randbelow,
        audit: Notes | None = None,
    ) -> None:
        """`quota_octets`: of new accounts, where neither the wishes nor the domain say another.

        `sending_limit`: of all accounts, above which only administrators of the server go.
        """
        self._storage = storage
        self._directory = storage.directory
        self._people = storage.people
        self._accounts = accounts
        self._aliases = aliases
        self._passwords = passwords
        self._vacations = Vacations(storage)
        self._turns = AddressTurns(storage)
        self._rights = Rights(storage, quota_octets=quota_octets)
        self._quota_octets = quota_octets
        self._sending_limit = sending_limit
        self._random_number = random_number
        self._audit: Final = audit or Unnoted()

    async def list(
        self, actor: Actor, domain: str, listing: Listing, *, name: str = "", recipient: str = ""
    ) -> Page[ShownAddress]:
        """A part of the addresses: all of the domain, or a member's own. Errors: NoSuchDomain."""
        entry = await self.domain(actor, domain)
        target = recipient.strip().casefold()
        found = await self._people.address_entries(
            entry.domain.name,
            listing,
            user_id=None if actor.administers(entry.domain.name) else actor.user_id,
            target=target,
            local_part=name.strip(),
        )
        users: dict[str, User | None] = {}
        shown = []
        for one in found.items:
            owner = one.profile.user_id
            if owner is not None and owner not in users:
                users[owner] = await self._people.user(owner)
            shown.append(await self._shown(entry, one, users.get(owner) if owner is not None else None))
        return Page(tuple(shown), found.item_count)

    async def get(self, actor: Actor, domain: str, name_or_id: str) -> ShownAddress:
        """One address, by its name or by its id. Errors: NoSuchDomain, NoSuchAlias."""
        of, entry = await self._found(actor, domain, name_or_id)
        return await self._shown_with_user(of, entry)

    async def create(self, actor: Actor, domain: str, wishes: AddressWishes) -> ShownAddress:
        """Make an address; without a name it gets one of two words.

        Errors: NoSuchDomain, AddressTaken, PolicyRefused, BadAddress, BadTarget, LimitReached, NoSuchAddress,
        AliasLoop.
        """
        of = await self.domain(actor, domain)
        if not (wishes.name or "").strip():
            return await self._create_with_words(actor, of, wishes)
        return await self._create(actor, of, wishes)

    async def _create_with_words(self, actor: Actor, of: DomainEntry, wishes: AddressWishes) -> ShownAddress:
        for attempt in range(_NAME_TRIES):
            name = two_words(self._random_number(NAMES_COUNT))
            if attempt * 2 >= _NAME_TRIES:  # a domain with very many
                name += str(10 + self._random_number(90))
            try:
                return await self._create(actor, of, replace(wishes, name=name))
            except AddressTaken:
                continue
        raise AddressTaken("No free name was found; please try again")

    async def check(self, actor: Actor, domain: str, wishes: AddressWishes) -> Address | None:
        """Do all of `create` but make it; gives the address, None where its name is left to us. Errors: as `create`."""
        of = await self.domain(actor, domain)
        has_name = bool((wishes.name or "").strip())
        alias = await self._planned(actor, of, wishes if has_name else replace(wishes, name=two_words(0)))
        if wishes.has_imap:
            self._check_account(actor, of, alias, wishes)
        await self._aliases.check(as_house(actor), _as_far_as_forwarded(alias) if wishes.has_imap else alias)
        if not has_name:
            return None
        found = await self._people.address_entry(of.domain.name, alias.address.local_part)
        if found is not None and found.owner.address.key == alias.address.key:
            raise AddressTaken(address=alias.address.key)
        return alias.address

    async def _planned(self, actor: Actor, of: DomainEntry, wishes: AddressWishes) -> Alias:
        """Give what an address would be as an alias. Errors: as `create`."""
        name = of.domain.name
        local_part = address_rules.normal_name(wishes.name or "", name)
        kind = address_rules.kind_of(local_part)
        if not actor.administers(name):
            address_rules.check_for_members(local_part, of.profile.restricted_names)
            await self._rights.must_have_room(actor, name)
        address_rules.check_mailbox(kind, wishes)
        address_rules.check_numbers(wishes)
        address_rules.labels_of(wishes.labels or (), kind)
        await self._planned_vacation(None, wishes, has_imap=bool(wishes.has_imap))
        targets = self._targets(of, wishes)
        if wishes.recipients is None and not wishes.has_imap:
            targets = await self._caller(actor)
        return self._with_wishes(
            Alias(Address(local_part, name), targets, disabled_code=SILENT, is_masked=wishes.is_masked), wishes
        )

    def _check_account(self, actor: Actor, of: DomainEntry, alias: Alias, wishes: AddressWishes) -> None:
        """Errors: PolicyRefused."""
        self._quota(actor, of, wishes.max_quota)
        self._limit(actor, of, wishes)
        verdict = may_be_given(alias.address)
        if verdict.decision is not Decision.ALLOW:
            raise PolicyRefused(verdict.reasons[0], address=alias.address.key)

    async def _create(self, actor: Actor, of: DomainEntry, wishes: AddressWishes) -> ShownAddress:
        alias = await self._planned(actor, of, wishes)
        name, local_part = of.domain.name, alias.address.local_part
        if wishes.has_imap:
            self._check_account(actor, of, alias, wishes)
            await self._create_account(actor, of, alias, wishes)
        else:
            await self._aliases.add(as_house(actor), alias)
        kind = address_rules.kind_of(local_part)
        profile = self._profile(AddressProfile(_UNNAMED, actor.user_id), wishes, kind, wishes.description or "")
        await self._people.set_address_profile(name, local_part, profile)
        planned = await self._planned_vacation(None, wishes, has_imap=bool(wishes.has_imap))
        await self._keep_vacation(alias.address, planned)
        return await self._again(of, local_part)

    async def _create_account(self, actor: Actor, of: DomainEntry, alias: Alias, wishes: AddressWishes) -> None:
        """Make an account that nobody can log in to before it has a password."""
        await self._aliases.check(as_house(actor), _as_far_as_forwarded(alias))
        quota = self._quota(actor, of, wishes.max_quota)
        account = Account(
            AccountId(""),
            alias.address,
            quota,
            alias.is_enabled,
            alias.targets,
            sending_limit=self._limit(actor, of, wishes),
            disabled_code=None if alias.is_enabled else alias.disabled_code,
        )
        await self._accounts.bring_back(as_house(actor), await self._without_password(account, of.domain))

    async def change(self, actor: Actor, domain: str, name_or_id: str, wishes: AddressWishes) -> ShownAddress:
        """Change what is asked for, and nothing else.

        Errors: as `create`; NoSuchAlias; PolicyRefused, when an account with mail is to become an alias and the wishes
        do not say that the mail may go.
        """
        of, entry = await self.managed(actor, domain, name_or_id)
        owner, name = entry.owner, of.domain.name
        was = owner.address
        if wishes.name is not None:
            owner = self._renamed(actor, of, owner, wishes.name)
        has_imap = isinstance(owner, Account) if wishes.has_imap is None else wishes.has_imap
        kind = address_rules.kind_of(owner.address.local_part)
        address_rules.check_mailbox(kind, replace(wishes, has_imap=has_imap))
        address_rules.check_numbers(wishes)
        vacation = await self._planned_vacation(owner, wishes, has_imap=has_imap)
        targets = owner.forward_to if isinstance(owner, Account) else owner.targets
        if wishes.recipients is not None or wishes.has_recipient_verification:
            targets = self._targets(of, wishes, targets)
        alias = self._with_wishes(_as_alias(owner, entry.profile, targets), wishes)
        profile = self._profile(entry.profile, wishes, kind, alias.description)
        if has_imap:
            self._quota(actor, of, wishes.max_quota)
            self._limit(actor, of, wishes)
        alias = await self._checked(actor, alias, has_imap=has_imap)
        is_renamed = owner.address != was
        if is_renamed and any(target_key(target) == was.key for target in alias.targets):
            raise AliasLoop("An alias does not lead to the name that it had")
        # Now nothing is left that could be refused for what was asked.
        if is_renamed:
            await self._directory.rename_alias(was, alias)
            self._audit.note(actor, "alias.rename", was.key, name, to=alias.address.key)
        if isinstance(owner, Account) and has_imap:
            await self._change_account(actor, of, owner, alias, wishes)
        elif isinstance(owner, Account):
            found = await self._directory.credentials(owner.address) or await self._without_password(owner, of.domain)
            await self._turns.into_alias(owner, alias, found, is_override=wishes.is_override)
            self._audit.note(actor, "account.into-alias", owner.address.key, name)
        elif has_imap:
            await self._turn_into_account(actor, of, alias, wishes)
        elif not is_renamed:
            await self._aliases.replace(as_house(actor), alias)
        await self._people.set_address_profile(name, alias.address.local_part, profile)
        await self._keep_vacation(alias.address, vacation)
        return await self._again(of, alias.address.local_part)

    async def _checked(self, actor: Actor, alias: Alias, *, has_imap: bool) -> Alias:
        """Give what an address is to be, checked as an alias or as an account's forwarding. Errors: as `create`."""
        if not has_imap:
            return await self._aliases.check(as_house(actor), alias)
        await self._aliases.check(as_house(actor), _as_far_as_forwarded(alias))
        return alias

    async def _turn_into_account(self, actor: Actor, of: DomainEntry, alias: Alias, wishes: AddressWishes) -> None:
        account = Account(
            AccountId(secrets.token_hex(8)),
            alias.address,
            self._quota(actor, of, wishes.max_quota),
            alias.is_enabled,
            alias.targets,
            sending_limit=self._limit(actor, of, wishes),
            disabled_code=None if alias.is_enabled else alias.disabled_code,
        )
        await self._turns.into_account(await self._without_password(account, of.domain))
        self._audit.note(actor, "alias.into-account", account.address.key, of.domain.name)

    async def _change_account(
        self, actor: Actor, of: DomainEntry, account: Account, alias: Alias, wishes: AddressWishes
    ) -> None:
        house = as_house(actor)
        if alias.targets != account.forward_to:
            await self._accounts.set_forwarding(house, account.address, alias.targets, keeps_copy=account.keeps_copy)
        if wishes.max_quota is not None:
            await self._accounts.set_quota(house, account.address, self._quota(actor, of, wishes.max_quota))
        if wishes.sending_limit is not None:
            limit = self._limit(actor, of, wishes)
            await self._accounts.set_sending_limit(house, account.address, limit)
        code = None if alias.is_enabled else alias.disabled_code
        if (alias.is_enabled, code) != (account.is_enabled, account.disabled_code):
            await self._directory.set_enabled(account.account_id, is_enabled=alias.is_enabled, disabled_code=code)
            verb = "account.enable" if alias.is_enabled else "account.disable"
            self._audit.note(actor, verb, account.address.key, of.domain.name)

    async def delete(self, actor: Actor, domain: str, name_or_id: str) -> ShownAddress:
        """Remove an address, with the mailbox if it has one; gives what it was. Errors: NoSuchDomain, NoSuchAlias."""
        of, entry = await self.managed(actor, domain, name_or_id)
        shown = await self._shown_with_user(of, entry)
        if isinstance(entry.owner, Account):
            await self._accounts.remove(as_house(actor), entry.owner.address)
        else:
            await self._aliases.remove(as_house(actor), entry.owner.address)
        return shown

    # what is told

    async def domain(self, actor: Actor, name_or_id: str) -> DomainEntry:
        """Give a domain that the actor has a part in. Errors: NoSuchDomain."""
        return await domain_entry(self._people, actor, name_or_id)

    async def _found(self, actor: Actor, domain: str, name_or_id: str) -> tuple[DomainEntry, AddressEntry]:
        of = await self.domain(actor, domain)
        name = of.domain.name
        entry = await self._people.address_entry(name, _asked_name(name_or_id, name))
        if entry is None or (not actor.administers(name) and entry.profile.user_id != actor.user_id):
            raise NoSuchAlias(_TEXT_OF_NO_ALIAS, domain=name)
        return of, entry

    async def managed(self, actor: Actor, domain: str, name_or_id: str) -> tuple[DomainEntry, AddressEntry]:
        """Give an address that the actor may change.

        Errors: NoSuchDomain, NoSuchAlias; NotAllowed for an account with rights above the actor's.
        """
        of, entry = await self._found(actor, domain, name_or_id)
        if isinstance(entry.owner, Account):
            await self._rights.must_outrank(actor, entry.owner)
        return of, entry

    async def _again(self, of: DomainEntry, local_part: str) -> ShownAddress:
        entry = await self._people.address_entry(of.domain.name, local_part)
        if entry is None:  # gone at the same moment
            raise NoSuchAlias(_TEXT_OF_NO_ALIAS, domain=of.domain.name)
        return await self._shown_with_user(of, entry)

    async def _shown_with_user(self, of: DomainEntry, entry: AddressEntry) -> ShownAddress:
        owner = entry.profile.user_id
        return await self._shown(of, entry, None if owner is None else await self._people.user(owner))

    async def _shown(self, of: DomainEntry, entry: AddressEntry, user: User | None) -> ShownAddress:
        if not isinstance(entry.owner, Account):
            return ShownAddress(entry, of, user)
        store = self._storage.accounts.of(entry.owner.account_id)
        preferences = await store.preferences()
        return ShownAddress(
            entry,
            of,
            user,
            await store.usage(),
            kept_vacation(preferences),
            vacation_of(preferences) is not None,
        )

    # what is asked for

    def _targets(self, of: DomainEntry, wishes: AddressWishes, now: tuple[Target, ...] = ()) -> tuple[Target, ...]:
        """Read the recipients. Errors: BadTarget, PolicyRefused, LimitReached."""
        port = of.profile.kept.get("smtp_port")
        texts, targets = tuple(map(str, now)), now
        if wishes.recipients is not None:
            texts = tuple(text for text in wishes.recipients if text.strip())
            targets = tuple(read_target(text, port=int(str(port)) if port else 25) for text in texts)
        address_rules.check_recipients(texts, targets, are_verified=bool(wishes.has_recipient_verification))
        most = of.domain.terms.targets_per_alias_max
        if len(targets) > most:
            raise LimitReached(f"An alias of this domain has at most {most} recipients")
        return targets

    async def _caller(self, actor: Actor) -> tuple[Target, ...]:
        """Give to whom an alias leads that names nobody: the caller."""
        user = await self._people.user(actor.user_id) if actor.user_id is not None else None
        if user is not None:
            return (Address.parse(user.address),)
        return () if actor.address is None else (actor.address,)

    def _with_wishes(self, alias: Alias, wishes: AddressWishes) -> Alias:
        """Give an alias with what the wishes say of it."""
        code = wishes.error_code_if_disabled
        if code is None and wishes.is_enabled is False and alias.is_enabled:
            code = SILENT
        return replace(
            alias,
            is_enabled=alias.is_enabled if wishes.is_enabled is None else wishes.is_enabled,
            disabled_code=alias.disabled_code if code is None else code,
            description=alias.description if wishes.description is None else wishes.description,
        )

    def _renamed(self, actor: Actor, of: DomainEntry, owner: Account | Alias, name: str) -> Account | Alias:
        """Give an alias with another name. Errors: PolicyRefused, also for an account; BadAddress."""
        local_part = address_rules.normal_name(name, of.domain.name)
        if local_part.casefold() == owner.address.local_part.casefold():
            return owner
        if isinstance(owner, Account):
            raise PolicyRefused("What has a mailbox keeps its name; make an alias for the other name")
        if not actor.administers(of.domain.name):
            address_rules.check_for_members(local_part, of.profile.restricted_names)
        return replace(owner, address=replace(owner.address, local_part=local_part))

    def _quota(self, actor: Actor, of: DomainEntry, text: str | None) -> int | None:
        """Give the quota of an account: no more than the domain allows. Errors: PolicyRefused."""
        most = of.profile.account_quota_octets_max or None
        asked = None if text is None else address_rules.quota_octets(text)
        if text is None or (asked is None and most is not None):
            default = of.domain.terms.account_quota_octets or self._quota_octets
            return min(default, most) if default and most else (default or most)
        if most is not None and asked is not None and asked > most:
            raise PolicyRefused(f"max_quota is at most {most} octets, as the domain says")
        # Administrators of the domain say its largest; beyond the server's they do not get by it.
        bound = of.domain.terms.account_quota_octets or self._quota_octets
        if not actor.is_admin and bound and (asked is None or asked > bound):
            raise PolicyRefused(f"max_quota is at most {bound} octets, as the server says")
        return asked

    def _limit(self, actor: Actor, of: DomainEntry, wishes: AddressWishes) -> int | None:
        """Give the sending limit of an account; None: the server's setting. Errors: PolicyRefused."""
        asked, most = wishes.sending_limit, self._sending_limit
        if asked is None:
            usual = of.profile.kept.get("alias_default_smtp_limit")
            return min(usual, most or usual) if isinstance(usual, int) and usual > 0 else None
        if most is not None and asked > most and not actor.is_admin:
            raise PolicyRefused(f"smtp_limit is at most {most}, as the server says")
        return None if asked < 0 else asked

    def _profile(
        self, profile: AddressProfile, wishes: AddressWishes, kind: AliasKind, description: str
    ) -> AddressProfile:
        labels = profile.labels if wishes.labels is None else wishes.labels
        return replace(
            profile,
            description=description,
            labels=address_rules.labels_of(labels, kind),
            has_recipient_verification=_either(wishes.has_recipient_verification, profile.has_recipient_verification),
            public_key=_either(wishes.public_key, profile.public_key),
            smime_certificate=_either(wishes.smime_certificate, profile.smime_certificate),
            has_pgp=_either(wishes.has_pgp, profile.has_pgp),
            has_smime=_either(wishes.has_smime, profile.has_smime),
            has_wkd_disabled=_either(wishes.has_wkd_disabled, profile.has_wkd_disabled),
            retention_days=_either(wishes.retention_days, profile.retention_days),
        )

    # vacations

    async def _planned_vacation(
        self, owner: Account | Alias | None, wishes: AddressWishes, *, has_imap: bool
    ) -> tuple[Vacation, bool] | None:
        """Give the vacation that is asked for, and whether it is on; None: nothing is asked. Errors: PolicyRefused."""
        asked = wishes.vacation
        if asked is None:
            return None
        if not has_imap:
            if asked.is_enabled:
                raise PolicyRefused("A vacation responder needs a mailbox: set has_imap, too")
            return None
        preferences: Mapping[str, bytes] = {}
        if isinstance(owner, Account):
            preferences = await self._storage.accounts.of(owner.account_id).preferences()
        now = kept_vacation(preferences) or Vacation("")
        is_on = vacation_of(preferences) is not None if asked.is_enabled is None else asked.is_enabled
        vacation = Vacation(
            now.message if asked.message is None else asked.message,
            now.subject if asked.subject is None else asked.subject,
            None if asked.clears_start else asked.start or now.start,
            None if asked.clears_end else asked.end or now.end,
        )
        if is_on and not vacation.message.strip():
            raise PolicyRefused("A vacation responder needs a message")
        check_vacation(vacation, is_on=is_on)
        return vacation, is_on

    async def _keep_vacation(self, address: Address, planned: tuple[Vacation, bool] | None) -> None:
        account = await self._directory.find(address) if planned is not None else None
        if planned is not None and isinstance(account, Account):
            vacation, is_on = planned
            await self._vacations.keep(Actor(account.account_id, account.address), vacation, is_on=is_on)

    # inside

    async def _without_password(self, account: Account, domain: Domain) -> Credentials:
        salt, count = secrets.token_bytes(SCRAM_SALT_OCTETS), scram_iteration_count_of(domain, SCRAM_ITERATION_COUNT)
        return Credentials(account, salt, count, self._passwords.unset_verifier())


def target_text(target: Target) -> str:
    """Write a target as it is asked for: a domain without ``*@``, an IP address without the usual port."""
    if isinstance(target, Address) and target.local_part == SAME_LOCAL_PART:
        return target.domain
    text = str(target)
    if isinstance(target, HostTarget) and target.port == SMTP_PORT:
        host = text.removesuffix(f":{SMTP_PORT}")
        return host if read_target(host) == target else text
    return text


def _asked_name(name_or_id: str, domain: str) -> str:
    """Give the local part (or id) that a path means: ``name``, ``name@domain``, ``/expression/flags``."""
    text = name_or_id.removesuffix(f"@{domain}")
    if text.startswith("/"):
        try:
            return pattern_name(text)
        except BadAddress:
            return text
    return CATCH_ALL if text and not text.strip("*") else text


def _as_far_as_forwarded(alias: Alias) -> Alias:
    """Give the alias that does what an account's forwarding does, for the checks: an account needs no target."""
    return replace(alias, is_enabled=alias.is_enabled and bool(alias.targets))


def _as_alias(owner: Account | Alias, profile: AddressProfile, targets: tuple[Target, ...]) -> Alias:
    if isinstance(owner, Alias):
        return replace(owner, targets=targets)
    code = SILENT if owner.disabled_code is None else owner.disabled_code
    return Alias(owner.address, targets, owner.is_enabled, code, description=profile.description)


def _either(wish: WishT | None, now: WishT) -> WishT:
    return now if wish is None else wish
