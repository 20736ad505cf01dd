"""Notices: what authors are told about the delivery of their messages, as items of the queue.

Spec: RFC 3461 §6 (notifications), RFC 3464 (their format), RFC 5321 §4.5.5 (null sender), RFC 3834 §2.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from mailstead.mime.dsn import Action, RecipientReport, StatusReport, compose
from mailstead.mime.header import header_end
from mailstead.model.address import Address
from mailstead.model.envelope import Envelope, Recipient
from mailstead.model.errors import BadAddress
from mailstead.model.queue import ItemKind, NewItem, QueueItem, RemoteReply
from mailstead.ports.clock import Clock
from mailstead.usecases.routes import Routes
from mailstead.usecases.sealing import Sealing
from mailstead.usecases.tracefields import original_to

EXPIRES: Final = timedelta(days=2)


class Told(NamedTuple):
    """What is told of one recipient."""

    recipient: Recipient
    action: Action
    reply: RemoteReply
    via: Address | None = None
    """The address that the author knows, if the message was sent on from there: the real one stays hidden."""


class Notices:
    """Composes notices and gives them as items for the queue."""

    def __init__(self, routes: Routes, sealing: Sealing, clock: Clock, *, hostname: str) -> None:
        self._routes = routes
        self._sealing = sealing
        self._clock = clock
        self._hostname = hostname

    async def about_reception(
        self, envelope: Envelope, octets: bytes | bytearray, queue_id: str, told: Sequence[Told]
    ) -> list[NewItem]:
        """Notices about a message that we have just taken."""
        if envelope.mail_from is None:
            return []
        now = self._clock.now()
        return await self._about(
            envelope.mail_from,
            octets,
            told,
            queue_id,
            now,
            None,
            _returned(envelope.ret, require_tls=envelope.require_tls),
            envelope.envid,
            envelope.smtputf8,
        )

    async def about_item(self, item: QueueItem, octets: bytes, told: Sequence[Told]) -> list[NewItem]:
        """Notices about an item of the queue; none if there is nobody to tell."""
        if item.notify_to is None:
            return []
        return await self._about(
            item.notify_to,
            octets,
            told,
            item.queue_id,
            item.accepted_at,
            item.expires_at,
            _returned(item.ret, require_tls=item.require_tls),
            item.envid,
            item.smtputf8,
        )

    async def _about(
        self,
        to: Address,
        octets: bytes | bytearray,
        told: Sequence[Told],
        queue_id: str,
        arrived_at: datetime,
        expires_at: datetime | None,
        ret: str | None,
        envid: str | None,
        smtputf8: bool,
    ) -> list[NewItem]:
        now = self._clock.now()
        domain = to.domain if await self._routes.is_ours(to.domain) else await self._speaker(told)
        report = StatusReport(
            reporting_mta=self._hostname,
            to=to,
            sender=Address("mailer-daemon", domain),
            message_id=f"{secrets.token_hex(12)}@{self._hostname}",
            boundary=f"=_{secrets.token_hex(16)}",
            at=now,
            arrived_at=arrived_at,
            envid=envid,
            recipients=tuple(self._about_recipient(each, expires_at) for each in told),
            original=_as_it_came(bytes(octets), told),
            returns_full=ret == "FULL",
            is_smtputf8=smtputf8,
        )
        composed = compose(report)
        # RFC 3461 §5.2.8: a notice never causes another.
        to_whom = await self._routes.to_address(Recipient(to, frozenset({"NEVER"})), domain)
        return [
            NewItem(
                queue_id=queue_id,
                kind=ItemKind.NOTICE,
                mail_from=None,
                recipients=(to_whom,),
                octets=await self._sealing.sign(composed, domain),
                accepted_at=now,
                expires_at=now + EXPIRES,
                domain=domain if domain != self._hostname or await self._speaks(domain) else "",
                body="7BIT" if composed.isascii() else "8BITMIME",
                smtputf8=smtputf8 and not to.is_ascii,
                priority=-1,
                message_id=report.message_id,
            )
        ]

    async def _speaker(self, told: Sequence[Told]) -> str:
        """Give the domain that tells a stranger: the host, or the recipient's if it wants signatures itself.

        A relay asks for a signature of the very domain in From, and the host has no keys.
        """
        domain = (told[0].via or told[0].recipient.address).domain
        return domain if await self._speaks(domain) else self._hostname

    async def _speaks(self, domain: str) -> bool:
        return (await self._routes.domain_terms(domain)).requires_aligned_dkim

    @staticmethod
    def _about_recipient(told: Told, expires_at: datetime | None) -> RecipientReport:
        reply = told.reply
        return RecipientReport(
            address=_known_address(told),
            action=told.action,
            status=_status(told),
            # A remote answer may name the hidden address; it is told only where there is none to hide.
            diagnostic=(reply.text if told.via is None else "") or "",
            code=reply.code,
            remote_mta=reply.host if told.via is None else "",
            orcpt=told.recipient.orcpt if told.via is None else None,
            retried_until=expires_at if told.action is Action.DELAYED else None,
        )


def _returned(ret: str | None, *, require_tls: bool) -> str | None:
    """A message that must travel under TLS comes back as headers only. Spec: RFC 8689 §5."""
    return "HDRS" if require_tls else ret


def _known_address(told: Told) -> Address:
    """Give the address that the author has written to: behind `via` there may be others, which stay hidden."""
    if told.via is None:
        return told.recipient.address
    try:
        return Address.parse((told.recipient.orcpt or "").partition(";")[2])
    except BadAddress:
        return told.via


def _as_it_came(octets: bytes, told: Sequence[Told]) -> bytes:
    """Give the message without what we have put in front when sending it on, which names addresses behind `via`."""
    header = octets[: header_end(octets)]
    for via in {each.via for each in told if each.via is not None}:
        before, found, _ = header.partition(original_to(via).encode())
        if found:
            return octets[len(before) + len(found) :]
    return octets


def _status(told: Told) -> str:
    """Give the enhanced status code of the class that the action asks for. Spec: RFC 3464 §2.3.4, RFC 3463 §3.1."""
    wanted = {Action.FAILED: "5", Action.DELAYED: "4"}.get(told.action, "2")
    enhanced = told.reply.enhanced
    if enhanced[:1] == wanted:
        return enhanced
    if enhanced:
        return wanted + enhanced[1:]
    return f"{wanted}.0.0"
