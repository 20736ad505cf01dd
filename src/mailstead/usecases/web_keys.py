"""Public keys of our addresses, as anybody may ask for them (Web Key Directory).

Spec: draft-koch-openpgp-webkey-service-19 §3.1.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from mailstead.mime.openpgp import Flaw
from mailstead.mime.openpgp_keys import published
from mailstead.model.address import Address
from mailstead.model.directory import Account, Alias, AliasKind
from mailstead.model.people import AddressEntry, Listing
from mailstead.policy.web_key import DIGEST_CHARACTERS, HOST_LABEL, key_digest
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage

ADDRESSES_MAX: Final = 20_000
"""Of a domain, that are looked through for who asks with a digest alone; programs of today tell the local part, too."""
TABLE_KEPT_S: Final = 300.0
TABLES_MAX: Final = 1000
_PAGE: Final = 1000
_LOCAL_PART_CHARACTERS_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class WebKey:
    """What the directory has of an address, for its owner."""

    address: Address
    url: str
    """Where it is, or would be."""
    octets: bytes = b""
    """Empty: nothing is published."""
    why_not: str = ""


class WebKeys:
    """Keys stand in the profiles of addresses; nothing is remembered of them here but which digest is whose."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._directory = storage.directory
        self._people = storage.people
        self._clock = clock
        self._tables: dict[str, tuple[float, dict[str, str]]] = {}
        self._lock = asyncio.Lock()

    async def find(self, domain: str, digest: str, local_part: str | None = None) -> bytes | None:
        """Give the key that is published under a digest, binary; None: there is none, whatever the reason.

        `local_part`: what the asking program says that the digest is of. Errors: of the store.
        """
        if len(digest) != DIGEST_CHARACTERS or await self._directory.domain(domain) is None:
            return None
        if local_part is not None:
            if len(local_part) > _LOCAL_PART_CHARACTERS_MAX or key_digest(local_part) != digest:
                return None
        else:
            local_part = (await self._table(domain)).get(digest)
        entry = None if local_part is None else await self._people.address_entry(domain, local_part)
        # An entry is found by its id, too, which is nobody's local part.
        if entry is None or key_digest(entry.owner.address.local_part) != digest:
            return None
        return self.of(entry).octets or None

    def of(self, entry: AddressEntry) -> WebKey:
        """Say what is published of an address, and if nothing is, why. For pages that its owner has asked for."""
        address, profile = entry.owner.address, entry.profile
        host = f"{HOST_LABEL}.{address.domain}"
        path = f"/.well-known/openpgpkey/{address.domain}/hu/{key_digest(address.local_part)}"
        url = f"https://{host}{path}"
        if not profile.public_key.strip():
            return WebKey(address, url, why_not="There is no public key")
        if profile.has_wkd_disabled:
            return WebKey(address, url, why_not="Its owner does not want it to be published")
        if not self._is_working(entry.owner):
            return WebKey(address, url, why_not="The address is switched off, or stands for many")
        try:
            return WebKey(address, url, published(profile.public_key, str(address)))
        except Flaw as flaw:
            return WebKey(address, url, why_not=f"{str(flaw)[0].upper()}{str(flaw)[1:]}")

    def _is_working(self, owner: Account | Alias) -> bool:
        if isinstance(owner, Account):
            return owner.is_enabled
        return owner.kind is AliasKind.EXACT and owner.is_working(self._clock.now())

    async def _table(self, domain: str) -> dict[str, str]:
        """Give digest → local part for the addresses of a domain that have a key."""
        async with self._lock:  # who guesses digests makes us look once
            now_s = self._clock.monotonic_s()
            known = self._tables.get(domain)
            if known is not None and now_s - known[0] < TABLE_KEPT_S:
                return known[1]
            found: dict[str, str] = {}
            for page in range(1, ADDRESSES_MAX // _PAGE + 1):
                listed = await self._people.address_entries(domain, Listing(page=page, limit=_PAGE))
                for entry in listed.items:
                    if entry.profile.public_key:
                        local_part = entry.owner.address.local_part
                        found[key_digest(local_part)] = local_part
                if page * _PAGE >= listed.item_count:
                    break
            if len(self._tables) >= TABLES_MAX:
                self._tables.clear()
            self._tables[domain] = now_s, found
            return found
