"""The first run: who opens the link of a server that nobody administers yet becomes its administrator.

The link holds its end, signed with the house's own key; nothing is stored. It is good until somebody administers the
server, by whatever way, and for no longer than its life.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import struct
from datetime import UTC, datetime, timedelta
from hmac import compare_digest, digest
from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import DomainExists, PolicyRefused
from mailstead.model.people import Listing
from mailstead.model.secret import Secret
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.domains import Domains
from mailstead.usecases.people import Users

PATH: Final = "/first-run/"
"""Of the page behind the link."""
LIFE: Final = timedelta(days=3)
CLAIM: Final = timedelta(minutes=1)
"""For so long one of two who begin at once keeps the other out."""
TOKEN_CHARACTERS_MAX: Final = 100

_KIND: Final = "first run"
_END: Final = struct.Struct("!I")
_HOUSE: Final = Actor(None, None, is_admin=True, label="first run")
_REFUSED: Final = "This link is not good, or not any more: the server prints a new one when it starts"


class FirstRun:
    """Makes the link and takes it. `key` is the house's own, for nothing else."""

    def __init__(
        self, storage: Storage, clock: Clock, domains: Domains, accounts: Accounts, users: Users, key: bytes
    ) -> None:
        self._directory = storage.directory
        self._people = storage.people
        self._memory = storage.memory
        self._clock = clock
        self._domains = domains
        self._accounts = accounts
        self._users = users
        self._key = key

    async def is_needed(self) -> bool:
        """Whether nobody administers the server."""
        page = 1
        while True:
            found = await self._people.users(Listing(page=page, limit=1000))
            if any(user.is_admin for user in found.items):
                return False
            if page * 1000 >= found.item_count:
                return True
            page += 1

    def token(self) -> Secret:
        """Give what the link ends with."""
        end = _END.pack(int((self._clock.now() + LIFE).timestamp()))
        return Secret(base64.urlsafe_b64encode(end + self._mac(end)).decode().rstrip("="))

    async def check(self, token: str) -> None:
        """Errors: PolicyRefused, one and the same for all that is wrong."""
        try:
            octets = base64.b64decode(
                token[:TOKEN_CHARACTERS_MAX] + "=" * (-len(token) % 4), altchars=b"-_", validate=True
            )
            end = datetime.fromtimestamp(_END.unpack_from(octets)[0], UTC)
        except (binascii.Error, struct.error, ValueError):
            raise PolicyRefused(_REFUSED) from None
        is_ours = compare_digest(octets[_END.size :], self._mac(octets[: _END.size]))
        if not is_ours or self._clock.now() > end or not await self.is_needed():
            raise PolicyRefused(_REFUSED)

    async def begin(self, token: str, address: Address, kind: str, password: Secret, peer: Peer) -> None:
        """Make the domain of an address, the mailbox there, and its owner the administrator.

        A mailbox that is there already must be shown to be one's own by its password. A chatmail domain makes its
        accounts itself: there the administrator has none, but logs in on the web.
        Errors: PolicyRefused (link, password, or somebody else begins at this moment); AuthenticationFailed,
        TooManyFailures (password of a mailbox that is there); BadAddress, BadSettings (kind).
        """
        await self.check(token)
        now = self._clock.now()
        if await self._memory.remember_first(_KIND, "begun", b"1", now, now + CLAIM) is not None:
            raise PolicyRefused("Somebody is doing that at this moment")
        try:
            with contextlib.suppress(DomainExists):  # by command, or by an attempt whose password was refused
                await self._domains.add(_HOUSE, address.domain, kind)
            if isinstance(await self._directory.find(address), Account):
                await self._accounts.log_in(str(address), password, peer, "web")
            elif kind != "mail":
                await self._users.create(_HOUSE, address, password, is_admin=True)
                return
            else:
                await self._accounts.create(_HOUSE, address, password)
            await self._users.create(_HOUSE, address, None, is_admin=True)
        finally:
            await self._memory.forget(_KIND, ["begun"])

    def _mac(self, end: bytes) -> bytes:
        return digest(self._key, b"first run\0" + end, "sha256")
