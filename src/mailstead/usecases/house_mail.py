"""Mail that the house itself writes to somebody: composed, signed, queued; never answered, never bounced."""

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


class HouseMail:
    """Writes for the mail host `hostname`."""

    def __init__(self, storage: Storage, routes: Routes, sealing: Sealing, clock: Clock, *, hostname: str) -> None:
        self._storage = storage
        self._routes = routes
        self._sealing = sealing
        self._clock = clock
        self.hostname: Final = hostname

    async def send(self, domain: str, to: Address, subject: str, text: str) -> None:
        """Queue a mail in the name of a domain of ours. Errors: of the store.

        Spec: RFC 3834 §5 (Auto-Submitted); RFC 3461 §4.1 (NOTIFY=NEVER).
        """
        message_id = self.message_id()
        sender, now = f"Mailstead <mailer-daemon@{domain}>", self._clock.now()
        heading = Heading(sender, [str(to)], subject, now, f"<{message_id}>")
        await self.post(domain, to, message_id, b"Auto-Submitted: auto-generated\r\n" + composed(heading, text))

    def message_id(self) -> str:
        """Give a new Message-ID, without brackets."""
        return f"{secrets.token_hex(12)}@{self.hostname}"

    async def post(self, domain: str, to: Address, message_id: str, octets: bytes) -> None:
        """Sign and queue a mail that is composed already. Errors: of the store."""
        now = self._clock.now()
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
