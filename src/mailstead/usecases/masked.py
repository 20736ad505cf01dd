"""Addresses made up for one correspondent, as password managers ask for them: of whoever asks, leading to him.

Which domain: the one that is asked for; else that of the user's own address, else the first one that he has a part in.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import uuid4

from mailstead.model.envelope import Actor
from mailstead.model.errors import AddressTaken, NoSuchAlias, NoSuchDomain, NotAllowed
from mailstead.model.people import Listing, User
from mailstead.policy.address_rules import AddressWishes
from mailstead.policy.words import NAMES_COUNT, two_words
from mailstead.ports.storage import Storage
from mailstead.usecases.address_book import AddressBook, ShownAddress

LABEL: Final = "masked"
SHOWN_MAX: Final = 1000
"""Of a domain, in a list."""
DESCRIPTION_CHARACTERS_MAX: Final = 150
_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"
"""Without letters and digits that are taken for each other."""
_CHARACTERS: Final = 12
_TRIES: Final = 10


class NameForm(StrEnum):
    """How a made-up name looks."""

    CHARACTERS = "random_characters"
    WORDS = "random_words"
    UUID = "uuid"


@dataclass(frozen=True, slots=True)
class MaskOwner:
    """Who asks, and where he may have addresses."""

    user: User
    domains: Sequence[str]
    """The one that is taken where none is asked for comes first."""


class MaskedAddresses:
    """Errors of all verbs: NotAllowed for who is no user."""

    def __init__(self, storage: Storage, book: AddressBook) -> None:
        self._people = storage.people
        self._directory = storage.directory
        self._book = book

    async def owner(self, actor: Actor) -> MaskOwner:
        """Give who asks."""
        user = await self._people.user(actor.user_id) if actor.user_id is not None else None
        if user is None:
            raise NotAllowed
        names = sorted(actor.groups)
        if actor.is_admin and not names:
            names = [domain.name for domain in await self._directory.domains()]
        own = user.address.rpartition("@")[2]
        return MaskOwner(user, sorted(names, key=lambda name: (name != own, name)))

    async def make(
        self,
        actor: Actor,
        *,
        domain: str = "",
        name: str = "",
        form: NameForm = NameForm.CHARACTERS,
        description: str = "",
    ) -> ShownAddress:
        """Make an address that leads to who asks; without a name one is made up.

        Errors: NoSuchDomain; as `AddressBook.create`.
        """
        owner = await self.owner(actor)
        if not domain and not owner.domains:
            raise NoSuchDomain("You have no part in any domain here")
        told = "".join(letter if letter.isprintable() else " " for letter in description)
        for attempt in range(_TRIES):
            wishes = AddressWishes(
                name=name or _made_up(form, attempt),
                description=told[:DESCRIPTION_CHARACTERS_MAX],
                labels=(LABEL,),
                is_masked=True,
            )
            try:
                return await self._book.create(actor, domain or owner.domains[0], wishes)
            except AddressTaken:
                if name or attempt == _TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    async def list(self, actor: Actor, text: str = "", *, is_enabled: bool | None = None) -> list[ShownAddress]:
        """Those of who asks, by domain and name; `text`: in name, description or label."""
        owner = await self.owner(actor)
        found: list[ShownAddress] = []
        for domain in owner.domains:
            page = await self._book.list(actor, domain, Listing(limit=SHOWN_MAX, text=text))
            found += [shown for shown in page.items if _is_of(shown, owner)]
        return [shown for shown in found if is_enabled is None or shown.entry.owner.is_enabled is is_enabled]

    async def find(self, actor: Actor, object_id: str) -> ShownAddress:
        """One of those. Errors: NoSuchAlias."""
        owner = await self.owner(actor)
        for domain in owner.domains:
            try:
                shown = await self._book.get(actor, domain, object_id)
            except NoSuchAlias:
                continue
            if _is_of(shown, owner) and shown.entry.profile.object_id == object_id:
                return shown
        raise NoSuchAlias

    async def change(
        self, actor: Actor, object_id: str, *, description: str | None = None, is_enabled: bool | None = None
    ) -> ShownAddress:
        """Switch one of those on or off, or describe it otherwise. Errors: NoSuchAlias; PolicyRefused."""
        shown = await self.find(actor, object_id)
        wishes = AddressWishes(description=description, is_enabled=is_enabled)
        return await self._book.change(actor, shown.domain.domain.name, object_id, wishes)

    async def delete(self, actor: Actor, object_id: str) -> None:
        """Remove one of those; never what has a mailbox. Errors: NoSuchAlias."""
        shown = await self.find(actor, object_id)
        await self._book.delete(actor, shown.domain.domain.name, object_id)


def _is_of(shown: ShownAddress, owner: MaskOwner) -> bool:
    return shown.account is None and shown.entry.profile.user_id == owner.user.user_id


def _made_up(form: NameForm, attempt: int) -> str:
    match form:
        case NameForm.UUID:
            return str(uuid4())
        case NameForm.WORDS:
            words = two_words(secrets.randbelow(NAMES_COUNT))
            return f"{words}{10 + secrets.randbelow(90)}" if attempt else words
        case NameForm.CHARACTERS:
            return "".join(secrets.choice(_ALPHABET) for _ in range(_CHARACTERS))
