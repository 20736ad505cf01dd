"""The mail with which somebody is invited to look after a domain: composed, signed, queued."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Final

from mailstead.mime.compose import Heading, composed
from mailstead.model.address import Address
from mailstead.model.envelope import Actor, Recipient
from mailstead.model.people import Group, Invite
from mailstead.model.queue import ItemKind, NewItem
from mailstead.model.secret import Secret
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases.routes import Routes
from mailstead.usecases.sealing import Sealing

EXPIRES: Final = timedelta(days=2)

_PARTS: Final = {
    Group.ADMIN: "to look after the domain, as one of its administrators",
    Group.USER: "to have addresses of your own in the domain",
}


class MemberMail:
    """Sends invitations. `url` (without slash at the end) is where our pages are; empty: no mail is sent."""

    def __init__(
        self, storage: Storage, routes: Routes, sealing: Sealing, clock: Clock, *, hostname: str, url: str = ""
    ) -> None:
        self._storage = storage
        self._routes = routes
        self._sealing = sealing
        self._clock = clock
        self._hostname = hostname
        self._url = url

    def link(self, token: Secret) -> str:
        """Give the address at which an invitation is taken; empty where there are no pages."""
        return f"{self._url}/invitation/{token.reveal()}" if self._url else ""

    async def send(self, invite: Invite, to: Address, token: Secret, actor: Actor) -> bool:
        """Queue the mail; whether there was a way. Its words are ours alone: it is no way to write to strangers.

        Errors: of the store.
        """
        if not self._url:
            return False
        domain, now = invite.domain, self._clock.now()
        message_id = f"{secrets.token_hex(12)}@{self._hostname}"
        inviter = actor.address if actor.user_id is not None else None
        heading = Heading(
            f"Mailstead <mailer-daemon@{domain}>", [str(to)], f"Invitation to {domain}", now, f"<{message_id}>"
        )
        text = (
            f"{inviter or 'The administrator'} invites you {_PARTS[invite.group]} {domain} at {self._hostname}.\n\n"
            f"To accept, open this link, which is good until {invite.expires_at:%Y-%m-%d %H:%M} UTC:\n\n"
            f"{self.link(token)}\n\n"
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
        return True
