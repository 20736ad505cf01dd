"""The mail with a link with which somebody sets the password of an address, once: composed, signed, queued.

The password itself is never sent (attack row 63): mail is read by others, and kept for years.
"""

from __future__ import annotations

from datetime import timedelta

from mailstead.model.address import Address
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases.house_mail import HouseMail
from mailstead.usecases.routes import Routes
from mailstead.usecases.sealing import Sealing


class PasswordMail:
    """Sends links. `url` (without slash at the end) is where our pages are; empty: no mail is sent."""

    def __init__(
        self, storage: Storage, routes: Routes, sealing: Sealing, clock: Clock, *, hostname: str, url: str = ""
    ) -> None:
        self._mail = HouseMail(storage, routes, sealing, clock, hostname=hostname)
        self._clock = clock
        self._url = url

    @property
    def has_pages(self) -> bool:
        """Whether there is anything to link to."""
        return bool(self._url)

    async def send(self, address: Address, to: Address, token: str, life: timedelta) -> None:
        """Queue the mail. Its words are ours alone: it is no way to write to strangers. Errors: of the store."""
        hostname = self._mail.hostname
        text = (
            f"{address} at {hostname} is yours to use. To choose its password, open this link, which is good "
            f"once, until {self._clock.now() + life:%Y-%m-%d %H:%M} UTC:\n\n"
            f"{self._url}/log-in/{token}\n\n"
            f"Then set up your mail program with the address and that password; the server is {hostname}.\n\n"
            "If you do not know what this is about, there is nothing to do.\n"
        )
        await self._mail.send(address.domain, to, f"Your mailbox {address}", text)
