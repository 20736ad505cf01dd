"""The mail with a link with which somebody sets the password of an address, once: composed, signed, queued.

The password itself is never sent (attack row 63): mail is read by others, and kept for years.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Final

from mailstead.mime.compose import Heading, composed
from mailstead.model.address import Address
from mailstead.model.envelope import Recipient
from mailstead.model.queue import ItemKind, NewItem
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases.routes import Routes
from mailstead.usecases.sealing import Sealing

EXPIRES: Final = timedelta(days=2)


class PasswordMail:
    """Sends links. `url` (without slash at the end) is where our pages are; empty: no mail is sent."""

    def __init__(
        self, storage: Storage, routes: Routes, sealing: Sealing, clock: Clock, *, hostname: str, url: str = ""
    ) -> None:
        self._storage = storage
        self._routes = routes
        self._sealing = sealing
        self._clock = clock
        self._hostname = hostname
        self._url = url

    @property
    def has_pages(self) -> bool:
        """Whether there is anything to link to."""
        return bool(self._url)

    async def send(self, address: Address, to: Address, token: str, life: timedelta) -> None:
        """Queue the mail. Its words are ours alone: it is no way to write to strangers. Errors: of the store."""
        domain, now = address.domain, self._clock.now()
        message_id = f"{secrets.token_hex(12)}@{self._hostname}"
        heading = Heading(
            f"Mailstead <mailer-daemon@{domain}>", [str(to)], f"Your mailbox {address}", now, f"<{message_id}>"
        )
        text = (
            f"{address} at {self._hostname} is yours to use. To choose its password, open this link, which is good "
            f"once, until {now + life:%Y-%m-%d %H:%M} UTC:\n\n"
            f"{self._url}/log-in/{token}\n\n"
            f"Then set up your mail program with the address and that password; the server is {self._hostname}.\n\n"
            "If you do not know what this is about, there is nothing to do.\n"
        )
        octets = b"Auto-Submitted: auto-generated\r\n" + composed(heading, text)
        item = NewItem(
            queue_id=message_id.partition("@")[0],
            kind=ItemKind.NOTICE,
            mail_from=None,
            recipients=(await self._routes.to_address(Recipient(to, frozenset({"NEVER"})), domain),),
            octets=await self._sealing.sign(octets, domain),
            accepted_at=now,
            expires_at=now + EXPIRES,
            domain=domain,
            message_id=message_id,
            smtputf8=not to.is_ascii,
        )
        await self._storage.queue.put([item])
