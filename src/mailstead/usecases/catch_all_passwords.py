"""Passwords of a catch-all: with one, ``*@domain`` logs in for submission, and sends with any address of the domain.

For programs that send in many names: shops, forums, password managers. Nothing can be read with them.

Spec: reference forwardemail 4.7 (catch-all-passwords), 6.1 (8).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import CATCH_ALL
from mailstead.model.envelope import Actor
from mailstead.model.errors import PolicyRefused, TryAgainLater
from mailstead.model.people import OBJECT_ID_OCTETS, CatchAllPassword, ObjectId
from mailstead.model.secret import Secret
from mailstead.policy.address_rules import check_new_password
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases.accounts import SCRAM_ITERATION_COUNT, SCRAM_SALT_OCTETS
from mailstead.usecases.audit import Audit
from mailstead.usecases.domain_entries import administered
from mailstead.usecases.openings import scram_iteration_count_of
from mailstead.usecases.passwords import Passwords, new_app_password

DESCRIPTION_CHARACTERS_MAX: Final = 150
_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class NewCatchAllPassword:
    """A password of a catch-all and its text, which is shown this once."""

    password: CatchAllPassword
    secret: Secret

    @property
    def username(self) -> str:
        """What is typed as user name."""
        return f"{CATCH_ALL}@{self.password.domain}"


class CatchAllPasswords:
    """For administrators of the domain. Errors of all verbs: NoSuchDomain, NotAllowed."""

    def __init__(self, storage: Storage, passwords: Passwords, clock: Clock, audit: Audit) -> None:
        self._people = storage.people
        self._directory = storage.directory
        self._passwords = passwords
        self._clock = clock
        self._audit = audit

    async def list(self, actor: Actor, domain: str) -> Sequence[CatchAllPassword]:
        """By creation."""
        entry = await administered(self._people, actor, domain)
        return await self._directory.catch_all_passwords(entry.domain.name)

    async def add(
        self, actor: Actor, domain: str, description: str = "", chosen: Secret | None = None
    ) -> NewCatchAllPassword:
        """Make a password; `chosen`: this one. Its text is given this once.

        Errors: PolicyRefused (text or description), LimitReached, TryAgainLater.
        """
        entry = await administered(self._people, actor, domain)
        name = entry.domain.name
        if len(description) > DESCRIPTION_CHARACTERS_MAX or not (description + " ").isprintable():
            raise PolicyRefused(f"A description has at most {DESCRIPTION_CHARACTERS_MAX} printable characters")
        if chosen is not None:
            check_new_password(chosen.reveal())
        secret = chosen or new_app_password()
        made = CatchAllPassword(
            ObjectId(secrets.token_hex(OBJECT_ID_OCTETS)),
            name,
            description,
            self._clock.now().replace(microsecond=0),
            is_chosen=chosen is not None,
        )
        for attempt in range(1, _TRIES + 1):
            salt, count = await self._salt(name)
            if chosen is None:
                verifier = await self._passwords.make_app_verifier(secret, salt, count)
            else:
                verifier = await self._passwords.make_verifier(secret, salt, count)
            try:
                await self._directory.add_catch_all_password(made, salt, count, verifier)
                break
            except TryAgainLater:  # the first one was made at the same moment, with another salt
                if attempt == _TRIES:
                    raise
        self._audit.note(actor, "catch-all-password.add", f"{CATCH_ALL}@{name}", name, description=description)
        return NewCatchAllPassword(made, secret)

    async def remove(self, actor: Actor, domain: str, password_id: str) -> None:
        """Remove a password; sessions that came in with one end. Errors: NoSuchKey."""
        entry = await administered(self._people, actor, domain)
        name = entry.domain.name
        await self._directory.remove_catch_all_password(name, ObjectId(password_id))
        self._audit.note(actor, "catch-all-password.remove", f"{CATCH_ALL}@{name}", name, id=password_id)

    async def _salt(self, domain: str) -> tuple[bytes, int]:
        """Give salt and iteration count, one for all passwords of a catch-all, as SCRAM asks before it knows which."""
        credentials = await self._directory.credentials(Address(CATCH_ALL, domain))
        if credentials is not None:
            return credentials.scram_salt, credentials.scram_iteration_count
        found = await self._directory.domain(domain)
        return secrets.token_bytes(SCRAM_SALT_OCTETS), scram_iteration_count_of(found, SCRAM_ITERATION_COUNT)
