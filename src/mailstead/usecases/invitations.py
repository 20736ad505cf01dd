"""Invitations: accounts that can be had are invented, not stored; one comes into being when somebody logs in with it.

Spec: reference chatmail, sections 4.3 (``/new``), 4.4 and 11.1 (invitation, ``dclogin:``).
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Final
from urllib.parse import quote

from mailstead.model.address import Address
from mailstead.model.directory import Domain
from mailstead.model.errors import NoSuchDomain, PolicyRefused, TryAgainLater
from mailstead.ports.storage import Storage

NAME_CHARACTERS: Final = string.ascii_lowercase + string.digits
PASSWORD_CHARACTERS: Final = string.ascii_letters + string.digits + string.punctuation
PASSWORD_LONGER: Final = 3
"""So many characters more than must be."""
_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Proposal:
    """An account that nobody has yet."""

    email: str
    password: str = field(repr=False)
    dclogin_url: str = field(repr=False)
    """The same in one piece, for relays that Delta Chat cannot ask over HTTPS."""


class Invitations:
    """Invents accounts for domains where logging in makes them."""

    def __init__(self, storage: Storage, check: Callable[[Domain], Awaitable[None]] | None = None) -> None:
        """`check` raises, with the reason, where no account could be made just now."""
        self._directory = storage.directory
        self._check = check

    async def propose(self, name: str, token: str = "") -> Proposal:
        """Give name and password; with a token, the password begins with it, as the log-in then wants.

        Errors: NoSuchDomain; PolicyRefused where none can be had, or not without a token, or not with this one;
        TryAgainLater, also what `check` raises.
        """
        domain = await self._directory.domain(name)
        if domain is None:
            raise NoSuchDomain(domain=name)
        terms = domain.terms
        if not terms.opens_accounts:
            raise PolicyRefused("This server takes no new accounts")
        if terms.invite_tokens and not any(
            compare_digest(token.encode(), each.encode()) for each in terms.invite_tokens
        ):
            raise PolicyRefused(
                "This server takes new accounts by invitation only, and this invitation is none of its own"
            )
        if self._check is not None:
            await self._check(domain)
        prefix = token if terms.invite_tokens else ""
        for _ in range(_TRIES):
            local_part = "".join(secrets.choice(NAME_CHARACTERS) for _ in range(terms.username_length_max))
            address = Address(local_part, domain.name)
            if await self._directory.find(address) is None:
                break
        else:
            raise TryAgainLater("No free name was found; please try again")
        length = max(terms.password_length_min + PASSWORD_LONGER, 12)
        password = prefix + "".join(secrets.choice(PASSWORD_CHARACTERS) for _ in range(length))
        return Proposal(str(address), password, dclogin_url(address, password))


def dclogin_url(address: Address, password: str) -> str:
    """Write the log-in of an account so that Delta Chat asks nobody for the servers' certificates."""
    host = address.domain.strip("[]")
    where = f"&ih={host}&sh={host}" if address.domain.startswith("[") else ""
    return f"dclogin:{address}?p={quote(password, safe='')}&v=1{where}&ic=3"


def invitation_uri(domain: str, token: str = "") -> str:
    """Write what a QR code of the relay says."""
    query = f"?{quote(token, safe='')}" if token else ""
    return f"DCACCOUNT:https://{domain}/new{query}"
