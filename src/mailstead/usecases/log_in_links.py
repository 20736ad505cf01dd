"""Links with which somebody sets the password of an account, once.

Nothing is stored: a link holds account and end, signed together with what the account's password is now. So the first
new password, by whatever way, ends all links.
"""

from __future__ import annotations

import base64
import binascii
import struct
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import Account, Credentials
from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchAccount, PolicyRefused
from mailstead.model.ids import AccountId
from mailstead.model.secret import Secret
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases.accounts import Accounts

LIFE: Final = timedelta(days=3)
TOKEN_CHARACTERS_MAX: Final = 200

_END: Final = struct.Struct("!I")
_MAC_OCTETS: Final = 32
_REFUSED: Final = "This link is not good, or not any more: ask the administrator for a new one"


class LogInLinks:
    """Makes links and takes them. `key` is the house's own, for nothing else."""

    def __init__(self, storage: Storage, accounts: Accounts, clock: Clock, key: bytes) -> None:
        self._directory = storage.directory
        self._accounts = accounts
        self._clock = clock
        self._key = key

    async def make(self, actor: Actor, address: Address, life: timedelta = LIFE) -> str:
        """Give a token for an account, good until its password changes or `life` is over.

        Errors: NoSuchAccount; NotAllowed (`Accounts.managed`).
        """
        await self._accounts.managed(actor, address)
        credentials = await self._directory.credentials(address)
        if credentials is None:
            raise NoSuchAccount(address=address.key)
        head = _END.pack(int((self._clock.now() + life).timestamp())) + credentials.account.account_id.encode()
        return base64.urlsafe_b64encode(self._mac(head, credentials) + head).decode().rstrip("=")

    async def account(self, token: str) -> Account:
        """Give the account whose password may be set. Errors: PolicyRefused, one and the same for all that is wrong."""
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise PolicyRefused(_REFUSED)
        try:
            octets = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            mac, head = octets[:_MAC_OCTETS], octets[_MAC_OCTETS:]
            end = datetime.fromtimestamp(_END.unpack_from(head)[0], UTC)
            account_id = AccountId(head[_END.size :].decode("ascii"))
        except (binascii.Error, struct.error, UnicodeError, ValueError):
            raise PolicyRefused(_REFUSED) from None
        account = await self._directory.account(account_id)
        credentials = None if account is None else await self._directory.credentials(account.address)
        if credentials is None or not compare_digest(mac, self._mac(head, credentials)) or self._clock.now() > end:
            raise PolicyRefused(_REFUSED)
        return credentials.account

    async def set_password(self, token: str, password: Secret) -> Account:
        """Set the password of the account; the link is used up. Errors: PolicyRefused, also for a bad password."""
        account = await self.account(token)
        # The link stands for its owner: nobody else was given it.
        await self._accounts.set_password(Actor(account.account_id, account.address), account.address, password)
        return account

    def _mac(self, head: bytes, credentials: Credentials) -> bytes:
        """Sign a link's head together with the present main password."""
        password = credentials.password
        now = sha256(credentials.scram_salt + (password.scram_stored_key if password else b"")).digest()
        return digest(self._key, now + head, "sha256")
