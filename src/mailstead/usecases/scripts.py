"""An owner's Sieve scripts: list, get, put, check, activate, rename, delete. Spec: RFC 5804 §2."""

from __future__ import annotations

import asyncio
import unicodedata
from collections import OrderedDict
from hashlib import sha256
from typing import Final

from mailstead.model.envelope import Actor
from mailstead.model.errors import BadScriptName, LimitReached, NotAllowed
from mailstead.model.filtering import SCRIPT_OCTETS_MAX, SCRIPTS_MAX, SieveScript
from mailstead.ports.storage import AccountStore, Storage
from mailstead.sieve.script import Script, compile_script

NAME_OCTETS_MAX: Final = 512
"""Spec: RFC 5804 §1.6: names of at least 128 characters (up to 512 octets) must be possible."""
COMPILED_MAX: Final = 500
INLINE_OCTETS_MAX: Final = 4096
"""Longer scripts are compiled in a thread, so that other conversations need not wait."""

_FORBIDDEN: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


class CompiledScripts:
    """Scripts that were compiled lately, by the hash of their text: one text is one script, whoever has it."""

    def __init__(self) -> None:
        self._scripts: OrderedDict[bytes, Script] = OrderedDict()

    async def get(self, octets: bytes) -> Script:
        """Give a script ready to run. Errors: BadScript, with what is wrong and where."""
        key = sha256(octets).digest()
        script = self._scripts.get(key)
        if script is None:
            if len(octets) <= INLINE_OCTETS_MAX:
                script = compile_script(octets)
            else:
                script = await asyncio.to_thread(compile_script, octets)
            self._scripts[key] = script
            if len(self._scripts) > COMPILED_MAX:
                self._scripts.popitem(last=False)
        else:
            self._scripts.move_to_end(key)
        return script


class Scripts:
    """What actors do with the scripts of their own account, and of no other."""

    def __init__(self, storage: Storage, compiled: CompiledScripts) -> None:
        self._accounts = storage.accounts
        self._compiled = compiled

    async def list(self, actor: Actor) -> list[SieveScript]:
        """All scripts by name."""
        return await self._store(actor).scripts()

    async def get(self, actor: Actor, name: str) -> bytes:
        """A script's text. Errors: NoSuchScript."""
        return await self._store(actor).script(name)

    async def check_room(self, actor: Actor, name: str, size_octets: int) -> None:
        """Check that a script of that size could be put under that name. Spec: RFC 5804 §2.5.

        Errors: LimitReached, BadScriptName.
        """
        name = script_name(name)
        if size_octets > SCRIPT_OCTETS_MAX:
            raise LimitReached(f"A script has at most {SCRIPT_OCTETS_MAX} octets")
        found = await self.list(actor)
        if len(found) >= SCRIPTS_MAX and all(script.name != name for script in found):
            raise LimitReached(f"An account has at most {SCRIPTS_MAX} scripts")

    async def check(self, octets: bytes) -> None:
        """Check a script without keeping it. Spec: RFC 5804 §2.12.

        Errors: BadScript, LimitReached.
        """
        if len(octets) > SCRIPT_OCTETS_MAX:
            raise LimitReached(f"A script has at most {SCRIPT_OCTETS_MAX} octets")
        await self._compiled.get(octets)

    async def put(self, actor: Actor, name: str, octets: bytes) -> None:
        """Make or replace a script; what does not compile is never kept (attack row 57). Spec: RFC 5804 §2.6.

        Errors: BadScript, BadScriptName, LimitReached.
        """
        name = script_name(name)
        await self.check(octets)
        await self._store(actor).put_script(name, octets)

    async def activate(self, actor: Actor, name: str | None) -> None:
        """Make one script the active one, or (None) none. Spec: RFC 5804 §2.8.

        Errors: NoSuchScript; BadScript, for one that an earlier release took and this one does not.
        """
        store = self._store(actor)
        if name is not None:
            await self._compiled.get(await store.script(name))
        await store.activate_script(name)

    async def delete(self, actor: Actor, name: str) -> None:
        """Errors: NoSuchScript, ScriptActive. Spec: RFC 5804 §2.10."""
        await self._store(actor).delete_script(name)

    async def rename(self, actor: Actor, name: str, new_name: str) -> None:
        """Errors: NoSuchScript, ScriptExists, BadScriptName. Spec: RFC 5804 §2.11.1."""
        await self._store(actor).rename_script(name, script_name(new_name))

    def _store(self, actor: Actor) -> AccountStore:
        if actor.account_id is None:
            raise NotAllowed
        return self._accounts.of(actor.account_id)


def script_name(name: str) -> str:
    """Give the one form (NFC) of a script's name, which is a key and nothing else. Spec: RFC 5804 §1.6; attack row 57.

    Errors: BadScriptName.
    """
    name = unicodedata.normalize("NFC", name)
    if not name or len(name.encode("utf-8", "surrogatepass")) > NAME_OCTETS_MAX:
        raise BadScriptName(f"A script's name has 1 to {NAME_OCTETS_MAX} octets")
    if any(unicodedata.category(character) in _FORBIDDEN for character in name):
        raise BadScriptName("A script's name has no control characters")
    return name
