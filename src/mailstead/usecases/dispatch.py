"""What becomes of an accepted message: copies for mailboxes, items for the queue, all on stable storage or an error.

For each account its filters decide; what leaves the house (forwards, redirects, answers of filters, a submission's
foreign recipients) becomes items of the queue: forwards with a sender of ours (SRS), sealed (ARC), and with notices
only for a sender whom somebody vouches for (attack row 17).

Spec: RFC 5321 §3.9.2 (forwarding), §4.4 (trace fields); RFC 3461 §5.2 (notifications); RFC 5429 (reject).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final, NamedTuple

from mailstead.mime.dsn import Action
from mailstead.mime.header import first_values, header_end, unfolded
from mailstead.model.address import Address
from mailstead.model.authentication import Authentication, Result
from mailstead.model.directory import Account, WebhookTarget
from mailstead.model.envelope import Envelope, Recipient
from mailstead.model.errors import AccountLocked, MailsteadError, PolicyRefused
from mailstead.model.ids import AccountId
from mailstead.model.queue import ItemKind, NewItem, NewRecipient, RemoteReply
from mailstead.model.verdict import Decision, Judgement
from mailstead.policy import privacy
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.telemetry import log, metrics
from mailstead.usecases import tracefields
from mailstead.usecases.addresses import Forward
from mailstead.usecases.deliveries import Copy, Deliveries
from mailstead.usecases.filings import Filing
from mailstead.usecases.filters import Filed, Filters, Incoming
from mailstead.usecases.notices import Notices, Told
from mailstead.usecases.routes import Routes
from mailstead.usecases.sealed_arrivals import Way
from mailstead.usecases.sealing import Sealing
from mailstead.usecases.tracefields import Hop
from mailstead.usecases.tracing import MessageTrace

_log = log.get("dispatch")

_UNREAD_USES: Final = frozenset({"\\Junk", "\\Trash"})
_UNREAD_NAMES: Final = frozenset({"Junk", "Trash"})


class Target(NamedTuple):
    """An account that gets the message, and the recipient through which it does."""

    account: Account
    recipient: Recipient
    judgement: Judgement | None = None


class Leaving(NamedTuple):
    """A copy that leaves the house through an alias or account, and the recipient through which it does."""

    forward: Forward
    recipient: Recipient


@dataclass(frozen=True)
class Accepted:
    """A complete message that passed all checks, and all that is known of it."""

    queue_id: str
    hop: Hop
    envelope: Envelope
    octets: bytearray = field(repr=False)
    """With what we add for everybody: a submission's signature."""
    header: bytes = field(repr=False)
    trace: MessageTrace
    message_id: str = ""
    authentication: Authentication | None = None
    """None: a submission, or nothing was checked."""
    results: str = ""
    """Authentication-Results and Received-SPF, with CRLF."""
    results_text: str = ""
    """What ARC seals: the payload of Authentication-Results."""
    submitter: AccountId | None = None
    """Whose account submitted it; None: it came from others, or from a user without an account."""
    is_submission: bool = False
    domain: str = ""
    """Of ours, on whose behalf a submission goes."""
    fingerprint: bytes | None = None
    impersonated: frozenset[str] = frozenset()
    """Domains of ours to whose organization it pretends to belong: they do not send it on."""

    @cached_property
    def unchanging_octets(self) -> bytes:
        """One copy for all items of the queue: what is delivered into mailboxes may change `octets`."""
        return bytes(self.octets)

    @property
    def may_be_answered(self) -> bool:
        """Whether the envelope's sender is one that somebody vouches for: notices go only there (attack row 17)."""
        mail_from = self.envelope.mail_from
        if mail_from is None:
            return False
        if self.is_submission:
            return True
        found = self.authentication
        if found is None:
            return False
        if found.spf.result is Result.PASS and found.spf.scope == "mfrom" and not found.spf.is_from_all:
            return True
        return any(
            each.result is Result.PASS and f".{mail_from.domain}".endswith(f".{each.domain}")
            for each in found.dkim
            if "." in each.domain
        )


@dataclass(frozen=True, slots=True)
class DispatchTerms:
    """How long things wait."""

    hostname: str
    expires_s: float = 5 * 86400.0


class Dispatch:
    """Sends accepted messages on their ways."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        deliveries: Deliveries,
        filters: Filters,
        routes: Routes,
        sealing: Sealing,
        notices: Notices,
        terms: DispatchTerms,
        *,
        arrived: Callable[[Account, Accepted], Awaitable[None]] | None = None,
    ) -> None:
        """`arrived` is told of each mailbox in which a message is; it must not raise."""
        self._arrived = arrived
        self._directory = storage.directory
        self._sealed = storage.sealed
        self._clock = clock
        self._deliveries: Final = deliveries
        self._filters = filters
        self._routes = routes
        self._sealing = sealing
        self._notices = notices
        self._terms = terms

    async def dispatch(
        self,
        message: Accepted,
        targets: Sequence[Target],
        leaving: Sequence[Leaving] = (),
        direct: Sequence[Recipient] = (),
        failed: Sequence[Told] = (),
    ) -> None:
        """Deliver and queue; when this returns, all of it survives a power cut.

        `direct`: foreign recipients of a submission. `failed`: recipients that cannot be had, of whom the sender is to
        be told. Errors: PolicyRefused when every recipient's filter rejects; else
        as of `Deliveries.deliver`.
        """
        copies: list[Copy] = []
        items: list[NewItem] = []
        rejected: list[tuple[Target, str]] = []
        told: list[Told] = list(failed)
        all_filed: list[tuple[Target, Filed]] = []
        for target in targets:
            filed = await self._decide_unless_locked(message, target)
            if filed is None:
                copies.append(self._waiting_copy(message, target))
                if "SUCCESS" in target.recipient.notify:
                    told.append(Told(target.recipient, Action.DELIVERED, RemoteReply(250, "2.0.0", "Delivered")))
                continue
            all_filed.append((target, filed))
            items += await self._items_of_filter(message, target, filed)
            if filed.rejection is not None:
                rejected.append((target, filed.rejection))
                continue
            copies += self._copies(message, target, filed)
            if "SUCCESS" in target.recipient.notify:
                told.append(Told(target.recipient, Action.DELIVERED, RemoteReply(250, "2.0.0", "Delivered")))
        if rejected and len(rejected) == len(targets) and not leaving and not direct:
            await self._deliveries.deliver(message.octets, (), message.envelope.mail_from, items)
            raise PolicyRefused(rejected[0][1] or "The recipient does not want this message")
        for target, text in rejected:
            if target.recipient.notify and "FAILURE" not in target.recipient.notify:
                continue  # RFC 3461 §4.1: NEVER means never
            reply = RemoteReply(550, "5.7.1", text or "The recipient does not want this message", is_permanent=True)
            told.append(Told(target.recipient, Action.FAILED, reply))
        if leaving:
            items += await self._forward_items(message, leaving)
            told += [
                Told(each.recipient, Action.EXPANDED, RemoteReply(250, "2.0.0", "Sent on"))
                for each in leaving
                if "SUCCESS" in each.recipient.notify
            ]
        if direct:
            items.append(await self._direct_item(message, direct))
        if told and message.may_be_answered:
            items += await self._notices.about_reception(message.envelope, message.octets, message.queue_id, told)
        copies = await self._without_traces(message, copies, targets)
        await self._deliveries.deliver(
            message.octets, copies, message.envelope.mail_from, items, fingerprint=message.fingerprint
        )
        await self._after(message, all_filed)
        self._note(message, copies, items, targets)
        metrics.JUNK.inc(sum(_is_junk(target) for target in targets))

    async def decide_late(self, message: Accepted, target: Target) -> tuple[Filed, list[NewItem]]:
        """Ask the filters of an account that was locked when the message came, and give what they redirect.

        Nobody is answered any more, and nothing rejected. Errors: of the store.
        """
        filed = replace(await self._decide(message, target), replies=(), answered=())
        if filed.rejection is not None:
            filed = replace(filed, rejection=None, filings=filed.filings or (Filing(),))
        return filed, await self._items_of_filter(message, target, filed)

    async def after_late(self, message: Accepted, target: Target, filed: Filed) -> None:
        """Note what follows from filing it at last. Never fails."""
        await self._after(message, [(target, filed)])

    async def _after(self, message: Accepted, all_filed: Sequence[tuple[Target, Filed]]) -> None:
        """Note what follows from the delivery. The message is on stable storage: whatever fails now, it is accepted."""
        for target, filed in all_filed:
            account = target.account
            try:
                await self._filters.stored(account, filed)
            except MailsteadError as error:
                message.trace.note("filter", "error", error.public_text, recipient=account.address)
            except Exception as error:  # noqa: BLE001  # a bug must not make the sender send it again
                metrics.BUGS.labels("filters").inc()
                _log.exception("what a filter asked for was not noted", queue_id=message.queue_id, exc_info=error)
            if self._arrived is not None and filed.rejection is None and _is_for_reading(target, filed):
                await self._arrived(account, message)

    async def _decide_unless_locked(self, message: Accepted, target: Target) -> Filed | None:
        """Ask the filters; None: they are locked with the account's mail, and asked when it is opened."""
        account_id = target.account.account_id
        if (
            target.account.is_sealed
            and not self._sealed.is_open(account_id)
            and await self._sealed.wrappings(account_id)
        ):
            return None
        try:
            return await self._decide(message, target)
        except AccountLocked:  # just now
            return None

    def _waiting_copy(self, message: Accepted, target: Target) -> Copy:
        """Give the copy that is sealed, with all that filters will want to know."""
        (copy,) = self._copies(message, target, Filed())
        way = Way(
            queue_id=message.queue_id,
            hop=message.hop,
            envelope=replace(message.envelope, recipients=(target.recipient,)),
            message_id=message.message_id,
            results=message.results,
            results_text=message.results_text,
            authentication=message.authentication,
            judgement=target.judgement,
            is_submission=message.is_submission,
            domain=message.domain,
            impersonated=message.impersonated,
        )
        return replace(copy, way=way)

    async def _decide(self, message: Accepted, target: Target) -> Filed:
        filed = await self._filters.decide(
            Incoming(
                octets=message.octets,
                mail_from=message.envelope.mail_from,
                rcpt_to=target.recipient.address,
                account=target.account,
                queue_id=message.queue_id,
                peer=message.hop.peer,
                helo=message.hop.helo,
                authentication=message.authentication,
                judgement=target.judgement,
                is_submission=message.is_submission,
                is_impersonating=target.account.address.domain in message.impersonated,
            )
        )
        for note in filed.notes:
            message.trace.note("filter", "", note, recipient=target.account.address)
        for problem in filed.problems:
            message.trace.note("filter", "error", problem, recipient=target.account.address)
        return filed

    def _copies(self, message: Accepted, target: Target, filed: Filed) -> list[Copy]:
        address = target.account.address
        listed = tracefields.return_path(message.envelope.mail_from) + tracefields.delivered_to(address)
        received = tracefields.received(message.hop, message.queue_id, target.recipient.address, self._clock.now())
        further = (received + message.results).encode()
        return [
            Copy(
                target.account.account_id,
                listed.encode(),
                further,
                filing.mailbox,
                filing.flags,
                filing.creates,
                filing.special_use,
                filed.octets,
            )
            for filing in filed.filings
        ]

    async def _without_traces(self, message: Accepted, copies: list[Copy], targets: Sequence[Target]) -> list[Copy]:
        """Where a domain hides metadata, no signature and no trace of the way is stored with a message.

        Effects: changes the message in place if that is right for all copies, as most messages are for one.
        Spec: reference chatmail, section 7.4; attack row 104.
        """
        hiding = {
            account.account_id
            for account, _, _ in targets
            if (await self._routes.domain_terms(account.address.domain)).hides_metadata
        }
        if not hiding:
            return copies
        octets = message.octets
        end = header_end(octets)
        kept = privacy.stored(bytes(octets[:end]))
        if all(copy.account_id in hiding and copy.octets is None for copy in copies):
            octets[:end] = kept
            return [replace(copy, received=b"") for copy in copies]
        common = kept + octets[end:]

        def changed(copy: Copy) -> Copy:
            if copy.account_id not in hiding:
                return copy
            return replace(copy, received=b"", octets=common if copy.octets is None else _stored(copy.octets))

        return [changed(copy) for copy in copies]

    async def _expires_at(self, domain: str, begins_at: datetime) -> datetime:
        """When delivery on behalf of a domain is given up."""
        days = (await self._routes.domain_terms(domain)).queue_kept_days
        return begins_at + (timedelta(days=days) if days else timedelta(seconds=self._terms.expires_s))

    async def _items_of_filter(self, message: Accepted, target: Target, filed: Filed) -> list[NewItem]:
        """Redirects and answers that an account's filter asks for."""
        items: list[NewItem] = []
        account = target.account
        if filed.redirects:
            forwards = [
                Leaving(Forward(account.address, each.address, each.address), target.recipient)
                for each in filed.redirects
            ]
            items += await self._forward_items(message, forwards, account.account_id, filed.octets)
        for reply in filed.replies:
            items.append(await self._reply_item(message, account, reply.octets, reply.mail_from, reply.recipient))
        return items

    async def _reply_item(
        self, message: Accepted, account: Account, octets: bytes, mail_from: Address | None, recipient: Address
    ) -> NewItem:
        domain = account.address.domain
        signed = await self._sealing.sign(octets, domain)
        now = self._clock.now()
        # RFC 3834 §3.3, RFC 5230 §5: an answer that cannot be delivered is not answered again.
        to = Recipient(recipient, frozenset({"NEVER"}))
        return NewItem(
            queue_id=message.queue_id,
            kind=ItemKind.REPLY,
            mail_from=mail_from,
            recipients=(await self._routes.to_address(to, domain),),
            octets=signed,
            accepted_at=now,
            expires_at=await self._expires_at(domain, now),
            domain=domain,
            account_id=account.account_id,
            priority=-1,
        )

    async def _forward_items(
        self,
        message: Accepted,
        leaving: Sequence[Leaving],
        account_id: AccountId | None = None,
        octets: bytes | None = None,
    ) -> list[NewItem]:
        """One item for each alias or account through which copies leave, as its domain rewrites and seals.

        Webhooks have one of their own, with the sender as he is: the web has no SPF, and programs ask who it was.
        """
        octets = octets if octets is not None else message.unchanging_octets
        groups: dict[tuple[Address, bool], list[Leaving]] = {}
        for each in leaving:
            is_web = isinstance(each.forward.target, WebhookTarget)
            groups.setdefault((each.forward.via, is_web), []).append(each)
        items: list[NewItem] = []
        now = self._clock.now()
        for (via, is_web), group in groups.items():
            domain, mail_from = via.domain, message.envelope.mail_from
            if not is_web:
                mail_from = await self._sealing.rewritten(mail_from, domain, is_vouched_for=message.may_be_answered)
            recipients = [await self._leaving_recipient(each) for each in group]
            trace = tracefields.received(message.hop, message.queue_id, via, now) + message.results
            trace += tracefields.original_to(via)  # loops and bounces are known by it
            before = trace.encode()
            seal = await self._sealing.seal(
                before + octets,
                domain,
                message.results_text,
                message.authentication.arc if message.authentication else None,
            )
            items.append(
                NewItem(
                    queue_id=message.queue_id,
                    kind=ItemKind.FORWARD,
                    mail_from=mail_from,
                    recipients=tuple(recipients),
                    octets=octets,
                    before=seal + before,
                    accepted_at=now,
                    expires_at=await self._expires_at(domain, now),
                    domain=domain,
                    account_id=account_id,
                    notify_to=message.envelope.mail_from if message.may_be_answered else None,
                    body=message.envelope.body,
                    smtputf8=message.envelope.smtputf8,
                    ret=message.envelope.ret,
                    envid=message.envelope.envid,
                    require_tls=message.envelope.require_tls,
                    tls_optional=_is_tls_optional(message),
                    message_id=message.message_id,
                )
            )
        return items

    async def _leaving_recipient(self, each: Leaving) -> NewRecipient:
        # RFC 3461 §5.2.7.3 (c): an expansion is told by us (EXPANDED); what happens behind it is told on failure only,
        # and names the recipient as the sender knew it.
        orcpt = each.recipient.orcpt or f"rfc822;{each.recipient.address}"
        notify = each.recipient.notify - {"SUCCESS"} or frozenset({"FAILURE"} if each.recipient.notify else ())
        recipient = Recipient(each.forward.recipient, notify, orcpt)
        return await self._routes.to_target(each.forward.target, recipient, each.forward.via)

    async def _direct_item(self, message: Accepted, direct: Sequence[Recipient]) -> NewItem:
        """The item of a submission to others."""
        envelope, now = message.envelope, self._clock.now()
        not_before = envelope.hold_until
        if envelope.hold_for_s is not None:
            not_before = now + timedelta(seconds=envelope.hold_for_s)
        if not_before is not None and not_before < now:
            not_before = None  # that moment is over
        only = direct[0].address if len(direct) == 1 and len(envelope.recipients) <= 1 else None
        hides = (await self._routes.domain_terms(message.domain)).hides_metadata
        received = "" if hides else tracefields.received(message.hop, message.queue_id, only, now)
        return NewItem(
            queue_id=message.queue_id,
            kind=ItemKind.SUBMISSION,
            mail_from=envelope.mail_from,
            recipients=tuple([await self._routes.to_address(each, message.domain) for each in direct]),
            octets=message.unchanging_octets,
            before=received.encode(),
            # What the author puts off is not late: the time until it is told or given up begins with the release.
            accepted_at=not_before or now,
            expires_at=await self._expires_at(message.domain, not_before or now),
            domain=message.domain,
            account_id=message.submitter,
            notify_to=envelope.mail_from,
            body=envelope.body,
            smtputf8=envelope.smtputf8,
            ret=envelope.ret,
            envid=envelope.envid,
            require_tls=envelope.require_tls,
            tls_optional=_is_tls_optional(message),
            not_before=not_before,
            message_id=message.message_id,
        )

    @staticmethod
    def _note(message: Accepted, copies: Sequence[Copy], items: Sequence[NewItem], targets: Sequence[Target]) -> None:
        address_of = {target.account.account_id: target.account.address for target in targets}
        for copy in copies:
            message.trace.note("delivered", "delivered", f"into {copy.mailbox}", recipient=address_of[copy.account_id])
        for item in items:
            for recipient in item.recipients:
                shown = recipient.url or recipient.recipient.address
                via = f" through {recipient.via}" if recipient.via else ""
                message.trace.note("queued", "", f"{item.kind} to {shown}{via}", recipient=recipient.recipient.address)


def _is_junk(target: Target) -> bool:
    return target.judgement is not None and target.judgement.decision is Decision.QUARANTINE


def _is_for_reading(target: Target, filed: Filed) -> bool:
    """Whether a copy goes where its owner looks: neither into Junk nor, by a filter, into Trash."""
    if _is_junk(target):
        return False
    return any(each.special_use not in _UNREAD_USES and each.mailbox not in _UNREAD_NAMES for each in filed.filings)


def _stored(octets: bytes) -> bytes:
    end = header_end(octets)
    return privacy.stored(octets[:end]) + octets[end:]


def _is_tls_optional(message: Accepted) -> bool:
    """Whether the author asks to disregard TLS policies. Spec: RFC 8689 §5 (ignored beside REQUIRETLS)."""
    value = first_values(message.header).get(b"tls-required", b"")
    return not message.envelope.require_tls and unfolded(value).lower() == b"no"
