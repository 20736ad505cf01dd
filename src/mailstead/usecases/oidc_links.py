"""Whose account a person of the provider is: a link by issuer and subject, never by address (attack row 94).

A link is made by an administrator, or by who shows the account's password together with a fresh log-in at the provider;
or, for domains that the settings name, by the provider's own word at the first log-in. An account has one person of a
provider, and a person one account; whoever is linked is not linked otherwise by an address that is claimed.

The end of a link ends what came in by it: sessions of browsers, and of mail programs within seconds.
"""

from __future__ import annotations

from collections.abc import Collection

from mailstead.model.address import Address
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor
from mailstead.model.errors import Conflict, NoSuchUser, NotAllowed, PolicyRefused
from mailstead.model.people import OidcLink, owner_of
from mailstead.policy.oidc import SUBJECT_CHARACTERS_MAX, Identity, claimed_address
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.telemetry import log
from mailstead.usecases.audit import Audit

_log = log.get("accounts")


class OidcLinks:
    """Finds, makes and ends links with one provider."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        audit: Audit,
        issuer: str,
        *,
        claim: str = "email",
        auto_link_domains: Collection[str] = (),
    ) -> None:
        self._factors = storage.factors
        self._directory = storage.directory
        self._people = storage.people
        self._clock = clock
        self._audit = audit
        self._issuer = issuer
        self._claim = claim
        self._auto_link_domains = frozenset(auto_link_domains)

    async def owner(self, identity: Identity) -> str | None:
        """Give who of ours somebody of the provider is (`model.people.owner_of`); None: nobody yet."""
        owner = await self._factors.oidc_owner(identity.issuer, identity.subject)
        return owner if owner is not None else await self._linked_by_claim(identity)

    async def _linked_by_claim(self, identity: Identity) -> str | None:
        address = claimed_address(identity.claims, self._claim, self._auto_link_domains)
        found = await self._directory.find(address) if address is not None else None
        if not isinstance(found, Account) or address is None or found.address.key != address.key:
            return None
        owner = owner_of(None, found.account_id)
        try:
            await self._factors.link_oidc(identity.issuer, identity.subject, owner, self._clock.now())
        except Conflict:  # the account is somebody else's of that provider: his it stays
            _log.warning("an account is claimed that another person is linked to", account=address.key)
            return None
        self._audit.note(_by(address), "oidc.link", address.key, address.domain, how="claim", subject=identity.subject)
        return owner

    async def confirm(self, identity: Identity, actor: Actor) -> None:
        """Link who has just shown password and second factor here, and has logged in at the provider.

        Errors: Conflict, when either is linked otherwise; NotAllowed for programs.
        """
        if actor.address is None or actor.app_password_id is not None or actor.token_id is not None:
            raise NotAllowed
        owner = owner_of(actor.user_id, actor.account_id)
        await self._factors.link_oidc(identity.issuer, identity.subject, owner, self._clock.now())
        key, domain = actor.address.key, actor.address.domain
        self._audit.note(actor, "oidc.link", key, domain, how="password", subject=identity.subject)

    async def link(self, actor: Actor, address: Address, subject: str) -> None:
        """Link an account, or a user who is none, with a person of the provider.

        Errors: NotAllowed, NoSuchUser, Conflict; PolicyRefused for a subject that cannot be.
        """
        actor.must_be_admin()
        if not subject or len(subject) > SUBJECT_CHARACTERS_MAX or not subject.isprintable():
            raise PolicyRefused(f"A subject has 1 to {SUBJECT_CHARACTERS_MAX} printable characters")
        owner = await self._owner_of(address)
        await self._factors.link_oidc(self._issuer, subject, owner, self._clock.now())
        self._audit.note(actor, "oidc.link", address.key, address.domain, how="administrator", subject=subject)

    async def unlink(self, actor: Actor, address: Address) -> bool:
        """End an account's link, and what came in by it; whether there was one. Errors: NotAllowed, NoSuchUser."""
        actor.must_be_admin()
        owner = await self._owner_of(address)
        if not any(link.issuer == self._issuer for link in await self._factors.oidc_links(owner)):
            return False
        await self._factors.unlink_oidc(owner, self._issuer)
        # Which of them came by the provider is not kept: whoever came by the password does so again.
        await self._factors.remove_sessions(owner)
        self._audit.note(actor, "oidc.unlink", address.key, address.domain)
        return True

    async def links(self, actor: Actor, address: Address) -> list[OidcLink]:
        """Give an account's links. Errors: NotAllowed, NoSuchUser."""
        actor.must_be_admin()
        return await self._factors.oidc_links(await self._owner_of(address))

    async def _owner_of(self, address: Address) -> str:
        found = await self._directory.find(address)
        if isinstance(found, Account):
            return owner_of(None, found.account_id)
        user = await self._people.user_of(address.key)
        if user is None:
            raise NoSuchUser(address=address.key)
        return owner_of(user.user_id, user.account_id)


def _by(address: Address) -> Actor:
    return Actor(None, address)
