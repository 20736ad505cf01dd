"""The password of an address with a mailbox, made or set by those who look after it.

Spec: reference forwardemail 4.8 (generate-password).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import AuthenticationFailed, PolicyRefused
from mailstead.model.secret import Secret
from mailstead.policy.address_rules import check_new_password
from mailstead.ports.storage import Storage
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.address_book import AddressBook
from mailstead.usecases.log_in_links import LIFE, LogInLinks
from mailstead.usecases.password_mail import PasswordMail
from mailstead.usecases.passwords import is_unset
from mailstead.usecases.rights import as_house

_SERVICE: Final = "web"
"""The present password is asked of a person: a second factor does not make it wrong."""
_OCTETS: Final = 18
"""Of chance in a password of ours: 24 characters."""


@dataclass(frozen=True, slots=True)
class AddressPassword:
    """What was made for an address."""

    address: Address
    secret: Secret | None
    """Shown this once; None: a link was sent instead."""


class AddressPasswords:
    """An address has one password of this kind; further ones for single programs are app passwords."""

    def __init__(
        self, storage: Storage, book: AddressBook, accounts: Accounts, links: LogInLinks, mail: PasswordMail
    ) -> None:
        self._directory = storage.directory
        self._book = book
        self._accounts = accounts
        self._links = links
        self._mail = mail

    async def generate(
        self,
        actor: Actor,
        peer: Peer,
        domain: str,
        name_or_id: str,
        *,
        new: Secret | None = None,
        old: Secret | None = None,
        is_override: bool = False,
        instructions_to: str = "",
    ) -> AddressPassword:
        """Set the password: the first one freely, another one with the present one (`old`) or with `is_override`.

        `instructions_to`: nothing is set, and a link for setting it goes there by mail.
        The mailbox stays as it is, unless only its owner's password opens it: then `old` is needed.
        Errors: NoSuchDomain, NoSuchAlias, NotAllowed (rights above the actor's); PolicyRefused, also for a wrong `old`,
        which counts as a failed log-in; TooManyFailures, TryAgainLater; BadAddress.
        """
        _, entry = await self._book.managed(actor, domain, name_or_id)
        account = entry.owner
        if not isinstance(account, Account):
            raise PolicyRefused("This alias has no mailbox, and so no password: set has_imap first")
        if new is not None:
            check_new_password(new.reveal())
        to = Address.parse(instructions_to.strip()) if instructions_to.strip() else None
        if to is not None and account.is_sealed:
            raise PolicyRefused("No link sets the password of a sealed mailbox; its recovery key does")
        if to is not None and not self._mail.has_pages:
            raise PolicyRefused("The server has no pages that a link could lead to; leave emailed_instructions out")
        if to is not None and new is not None:
            raise PolicyRefused("With emailed_instructions the password is chosen behind the link: no new_password")
        await self._check_old(account, peer, old, is_override=is_override)
        if to is not None:
            token = await self._links.make(as_house(actor), account.address)
            await self._mail.send(account.address, to, token, LIFE)
            return AddressPassword(account.address, None)
        secret = new or Secret(secrets.token_urlsafe(_OCTETS))
        await self._accounts.set_password(as_house(actor), account.address, secret, old)
        return AddressPassword(account.address, secret)

    async def _check_old(self, account: Account, peer: Peer, old: Secret | None, *, is_override: bool) -> None:
        """Errors: PolicyRefused, TooManyFailures, TryAgainLater."""
        if old is not None:
            try:
                came = await self._accounts.log_in(str(account.address), old, peer, _SERVICE)
            except AuthenticationFailed:
                raise PolicyRefused("password is not the present password of this alias") from None
            if came.app_password_id is not None:
                raise PolicyRefused("password is an app password; the alias's own is needed")
            return
        if account.is_sealed:
            raise PolicyRefused("Only its own password opens this mailbox: give the present one in password")
        credentials = await self._directory.credentials(account.address)
        is_first = credentials is not None and credentials.password is not None and is_unset(credentials.password)
        if is_override or is_first:
            return
        raise PolicyRefused("This alias has a password: give it in password, or repeat this with is_override true")
