"""Items of the queue that end in mailboxes of ours: notices to our own people, answers and redirects between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mailstead.mime.header import header_end
from mailstead.model.envelope import Envelope, Peer, Recipient
from mailstead.model.errors import MailLoop, MailsteadError, NoSuchAddress
from mailstead.model.ids import AccountId
from mailstead.model.queue import ItemKind, QueueItem, RemoteReply
from mailstead.policy.encryption import Direction
from mailstead.telemetry import log, metrics
from mailstead.usecases import domain_rules, tracefields
from mailstead.usecases.addresses import Addresses
from mailstead.usecases.dispatch import Accepted, Dispatch, Leaving, Target
from mailstead.usecases.tracefields import Hop
from mailstead.usecases.tracing import Tracing

_HERE: Final = Peer("127.0.0.1", 0)

_UNJUDGED: Final = frozenset({ItemKind.FORWARD, ItemKind.REPLY})
"""What accounts of ours make of mail that came under the rules of another domain."""

_log = log.get("queue")


class Homecoming:
    """Delivers to addresses of ours as a reception would, without asking policy again.

    Only encryption is asked for where a domain requires it, as an account of another domain may redirect clear text.
    """

    def __init__(
        self, addresses: Addresses, dispatch: Dispatch, tracing: Tracing, *, hostname: str, received_max: int
    ) -> None:
        self._addresses = addresses
        self._dispatch = dispatch
        self._tracing = tracing
        self._hostname = hostname
        self._received_max = received_max

    async def deliver(self, item: QueueItem, octets: bytes) -> Sequence[RemoteReply]:
        """Deliver to each recipient; give what a server would have answered for each."""
        return [await self._reply_of(item, octets, each.recipient) for each in item.recipients]

    async def _reply_of(self, item: QueueItem, octets: bytes, recipient: Recipient) -> RemoteReply:
        """A bug with one recipient must not take the answers of the others with it, who would get the mail again."""
        try:
            return await self._deliver_to(item, octets, recipient)
        except Exception as error:  # noqa: BLE001  # counted and logged
            metrics.BUGS.labels("queue").inc()
            _log.exception("delivery to a mailbox failed", queue_id=item.queue_id, exc_info=error)
            return RemoteReply(451, "4.3.0", "Something went wrong here; it has been noted", self._hostname)

    async def _deliver_to(self, item: QueueItem, octets: bytes, recipient: Recipient) -> RemoteReply:
        header = octets[: header_end(octets)]
        try:
            resolution = await self._addresses.resolve(recipient.address)
            earlier = tracefields.read(header)
            if earlier.received_count > self._received_max:
                raise MailLoop(f"The message has more than {self._received_max} Received fields")
            targets: dict[AccountId, Target] = {
                account.account_id: Target(account, recipient)
                for account in resolution.accounts
                if account.address.key not in earlier.delivered_to
            }
            leaving = [
                Leaving(forward, recipient)
                for forward in resolution.forwards
                if forward.via.key not in earlier.original_to
            ]
            if not (targets or leaving):
                if resolution.is_silent:
                    return RemoteReply(250, "2.0.0", "Dropped, as the alias asks")
                raise MailLoop if resolution.accounts or resolution.forwards else NoSuchAddress
            envelope = Envelope(item.mail_from, (recipient,), item.body, item.smtputf8)
            trace = await self._tracing.of(item.queue_id, "in", item.mail_from, recipient.address.domain)
            rules = [domain for domain in resolution.domains if domain.terms.requires_encryption]
            if rules and item.kind in _UNJUDGED:
                await domain_rules.check_encryption(octets, Direction.INCOMING, envelope, rules, trace)
            accepted = Accepted(
                item.queue_id,
                Hop(_HERE, self._hostname, self._hostname, is_extended=True, is_authenticated=False, is_smtputf8=False),
                envelope,
                bytearray(octets),
                header,
                trace,
                message_id=earlier.message_id,
            )
            await self._dispatch.dispatch(accepted, tuple(targets.values()), leaving)
        except MailsteadError as error:
            code = 451 if error.is_temporary else 550
            enhanced = "4.3.0" if error.is_temporary else "5.2.0"
            return RemoteReply(code, enhanced, error.public_text, self._hostname, is_permanent=not error.is_temporary)
        return RemoteReply(250, "2.0.0", "Delivered", self._hostname)
