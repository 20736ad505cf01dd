"""The mail with which somebody is invited to look after a domain: composed, signed, queued."""

from __future__ import annotations

from typing import Final

from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.people import Group, Invite
from mailstead.model.secret import Secret
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases.house_mail import HouseMail
from mailstead.usecases.routes import Routes
from mailstead.usecases.sealing import Sealing

_PARTS: Final = {
    Group.ADMIN: "to look after the domain, as one of its administrators",
    Group.USER: "to have addresses of your own in the domain",
}


class MemberMail:
    """Sends invitations. `url` (without slash at the end) is where our pages are; empty: no mail is sent."""

    def __init__(
        self, storage: Storage, routes: Routes, sealing: Sealing, clock: Clock, *, hostname: str, url: str = ""
    ) -> None:
        self._mail = HouseMail(storage, routes, sealing, clock, hostname=hostname)
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
        domain, hostname = invite.domain, self._mail.hostname
        inviter = actor.address if actor.user_id is not None else None
        text = (
            f"{inviter or 'The administrator'} invites you {_PARTS[invite.group]} {domain} at {hostname}.\n\n"
            f"To accept, open this link, which is good until {invite.expires_at:%Y-%m-%d %H:%M} UTC:\n\n"
            f"{self.link(token)}\n\n"
            "If you do not know what this is about, there is nothing to do.\n"
        )
        await self._mail.send(domain, to, f"Invitation to {domain}", text)
        return True
