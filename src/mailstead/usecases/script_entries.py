"""An account's Sieve scripts as the API tells of them: with an id, a description, and when each was changed.

What mail filters need is in `usecases.scripts`; what is told beside it is kept among the account's preferences, by
name, and falls away with the script, whoever deletes it.

Spec: reference forwardemail 4.8, 4.10 (SieveScript).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import msgspec

from mailstead.model.address import Address
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchScript, NotAllowed, PolicyRefused, ScriptExists
from mailstead.model.filtering import SieveScript
from mailstead.model.people import OBJECT_ID_OCTETS, ObjectId
from mailstead.ports.clock import Clock
from mailstead.ports.storage import AccountStore, Storage
from mailstead.usecases.address_book import AddressBook
from mailstead.usecases.scripts import Scripts, script_name

DESCRIPTION_CHARACTERS_MAX: Final = 500
PRIORITY_MAX: Final = 1000
_NOTES: Final = "sieve.notes"
"""Preference of an account: JSON, name → `_Note`."""


class _Note(msgspec.Struct, frozen=True):
    """What is told of a script; moments in seconds since 1970."""

    description: str = ""
    priority: int = 0
    created_at_s: int = 0
    updated_at_s: int = 0


_READ: Final = msgspec.json.Decoder(dict[str, _Note])


@dataclass(frozen=True, slots=True)
class ScriptWishes:
    """What a script is asked to be; None: as it is."""

    content: str | None = None
    description: str | None = None
    priority: int | None = None
    is_active: bool | None = None


@dataclass(frozen=True, slots=True)
class ScriptEntry:
    """A script with all that is told of it."""

    script_id: ObjectId
    """Of account and name: another name is another script."""
    address: Address
    """Of the account."""
    name: str
    content: str
    is_active: bool
    description: str
    priority: int
    created_at: datetime | None
    """None: it came another way than by the API."""
    updated_at: datetime | None


class ScriptEntries:
    """Verbs take the actor whose account it is; `owner` gives that of an alias to those who look after it."""

    def __init__(self, storage: Storage, scripts: Scripts, book: AddressBook, clock: Clock) -> None:
        self._accounts = storage.accounts
        self._scripts = scripts
        self._book = book
        self._clock = clock

    async def owner(self, actor: Actor, domain: str, name_or_id: str) -> Actor:
        """Give who stands for the account of an alias. Errors: NoSuchDomain, NoSuchAlias, NotAllowed; PolicyRefused."""
        _, entry = await self._book.managed(actor, domain, name_or_id)
        if not isinstance(entry.owner, Account):
            raise PolicyRefused("This alias has no mailbox, and so no scripts: set has_imap first")
        return Actor(entry.owner.account_id, entry.owner.address)

    async def list(self, actor: Actor) -> Sequence[ScriptEntry]:
        """All scripts by name. Errors: NotAllowed."""
        notes = await self._notes(actor)
        return [await self._entry(actor, script, notes) for script in await self._scripts.list(actor)]

    async def get(self, actor: Actor, name_or_id: str) -> ScriptEntry:
        """One script. Errors: NotAllowed, NoSuchScript."""
        return await self._entry(actor, await self._found(actor, name_or_id), await self._notes(actor))

    async def create(self, actor: Actor, name: str, wishes: ScriptWishes) -> ScriptEntry:
        """Make a script. Errors: NotAllowed, ScriptExists, BadScriptName, BadScript, LimitReached, PolicyRefused."""
        _check(wishes)
        name = script_name(name)
        if any(script.name == name for script in await self._scripts.list(actor)):
            raise ScriptExists
        await self._scripts.put(actor, name, (wishes.content or "").encode())
        now_s = self._now_s()
        await self._note(actor, name, _Note(wishes.description or "", wishes.priority or 0, now_s, now_s))
        if wishes.is_active:
            await self._scripts.activate(actor, name)
        return await self.get(actor, name)

    async def change(self, actor: Actor, name_or_id: str, wishes: ScriptWishes) -> ScriptEntry:
        """Change what is asked for. Errors: NotAllowed, NoSuchScript, BadScript, LimitReached, PolicyRefused."""
        _check(wishes)
        script = await self._found(actor, name_or_id)
        if wishes.content is not None:
            await self._scripts.put(actor, script.name, wishes.content.encode())
        note = (await self._notes(actor)).get(script.name, _Note())
        description = note.description if wishes.description is None else wishes.description
        priority = note.priority if wishes.priority is None else wishes.priority
        await self._note(actor, script.name, _Note(description, priority, note.created_at_s, self._now_s()))
        if wishes.is_active is not None and wishes.is_active is not script.is_active:
            await self._scripts.activate(actor, script.name if wishes.is_active else None)
        return await self.get(actor, script.name)

    async def activate(self, actor: Actor, name_or_id: str) -> ScriptEntry:
        """Let this one filter, and no other. Errors: NotAllowed, NoSuchScript, BadScript."""
        return await self.change(actor, name_or_id, ScriptWishes(is_active=True))

    async def delete(self, actor: Actor, name_or_id: str) -> ScriptEntry:
        """Remove a script; gives what it was. Errors: NotAllowed, NoSuchScript, ScriptActive."""
        entry = await self.get(actor, name_or_id)
        await self._scripts.delete(actor, entry.name)
        await self._note(actor, entry.name, None)
        return entry

    def _store(self, actor: Actor) -> AccountStore:
        if actor.account_id is None:
            raise NotAllowed
        return self._accounts.of(actor.account_id)

    def _now_s(self) -> int:
        return int(self._clock.now().timestamp())

    async def _notes(self, actor: Actor) -> dict[str, _Note]:
        value = (await self._store(actor).preferences()).get(_NOTES)
        return _READ.decode(value) if value else {}

    async def _note(self, actor: Actor, name: str, note: _Note | None) -> None:
        """Note it, and forget what is there no more."""
        names = {script.name for script in await self._scripts.list(actor)}
        notes = {each: told for each, told in (await self._notes(actor)).items() if each in names and each != name}
        if note is not None:
            notes[name] = note
        await self._store(actor).set_preferences({_NOTES: msgspec.json.encode(notes) if notes else None})

    async def _found(self, actor: Actor, name_or_id: str) -> SieveScript:
        """A name goes before an id. Errors: NoSuchScript."""
        scripts = await self._scripts.list(actor)
        for script in scripts:
            if script.name == name_or_id:
                return script
        for script in scripts:
            if _id(actor, script.name) == name_or_id:
                return script
        raise NoSuchScript

    async def _entry(self, actor: Actor, script: SieveScript, notes: dict[str, _Note]) -> ScriptEntry:
        assert actor.address is not None
        note = notes.get(script.name, _Note())
        return ScriptEntry(
            _id(actor, script.name),
            actor.address,
            script.name,
            (await self._scripts.get(actor, script.name)).decode("utf-8", "replace"),
            script.is_active,
            note.description,
            note.priority,
            _moment(note.created_at_s),
            _moment(note.updated_at_s),
        )


def _id(actor: Actor, name: str) -> ObjectId:
    return ObjectId(sha256(f"{actor.account_id}\0{name}".encode()).digest()[:OBJECT_ID_OCTETS].hex())


def _moment(seconds: int) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _check(wishes: ScriptWishes) -> None:
    """Errors: PolicyRefused."""
    text = wishes.description or ""
    if len(text) > DESCRIPTION_CHARACTERS_MAX or not (text + " ").isprintable():
        raise PolicyRefused(f"A description has at most {DESCRIPTION_CHARACTERS_MAX} printable characters")
    if not 0 <= (wishes.priority or 0) <= PRIORITY_MAX:
        raise PolicyRefused(f"priority is a number between 0 and {PRIORITY_MAX}")
