"""Why is this here? A message of its owner, explained: how it came, to which address, what checks and rules said.

Codes and values, no sentences: pages say them in the language of the reader (`SENTENCES` has them in English). The
address is looked up as it is now, which may be another answer than at the time of the delivery; what the trace still
knows is of then. A trace is shown only where it tells of a delivery to the very account, and of an address nothing is
told that does not lead there: whoever keeps a message by IMAP can write any queue id and address into it (attack row
92).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from mailstead.mailauth.results import own_results
from mailstead.mime.address import addresses_of
from mailstead.mime.header import first_values, header_end, text_of
from mailstead.mime.list_fields import ListFields, list_fields
from mailstead.model.address import Address
from mailstead.model.directory import Account, Alias, AliasKind
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadAddress, MailsteadError
from mailstead.model.message import OctetRange
from mailstead.model.trace import TraceEvent, TraceQuery
from mailstead.policy.junk import Telling
from mailstead.policy.names import without_detail
from mailstead.ports.storage import Storage
from mailstead.usecases.addresses import Addresses
from mailstead.usecases.arrival_stamps import ArrivalStamp, arrival_stamp
from mailstead.usecases.junk import JunkFilter
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.message_views import MessageView
from mailstead.usecases.messages import Messages
from mailstead.usecases.owners import Owners

HEADER_OCTETS_MAX: Final = 256 * 1024
STEPS_MAX: Final = 200
METHODS: Final = ("spf", "dkim", "dmarc", "arc")

SENTENCES: Final[Mapping[str, str]] = {
    "not-received": "It did not come by mail: a program has put it here, or it was imported.",
    "sent-by-you": "You have sent it.",
    "from-here": "Somebody of this server has sent it.",
    "from-outside": "It came by mail from outside.",
    "to-account": "It was sent to your address {address}.",
    "to-detail": "It was sent to {address}, which is your address {of} with a word behind the plus sign.",
    "to-alias": "It was sent to {address}, an alias that leads to you.",
    "to-pattern": "It was sent to {address}, which fits the pattern {pattern} that leads to you.",
    "to-catch-all": "It was sent to {address}; the catch-all of {domain} leads to you.",
    "to-unknown": "It was sent to {address}, which does not lead to you any more.",
    "not-named": "None of your addresses stands in To or Cc: you got a blind copy, or it came by a list.",
    "list": "It came by the mailing list {name}.",
    "automatic": "A program has written it, not a person.",
    "authentication": "{method}: {result}. {detail}",
    "check": "{name}: {decision}. {reason}",
    "rule": "Your rules: {note}",
    "rule-error": "Your rules could not be followed: {note}",
    "filed": "It was filed into {mailbox}.",
    "junk-score": "Your junk filter takes it for junk with a probability of {percent} %.",
    "junk-not-learned": "Your junk filter has learned too little to judge.",
}
"""By code; the names in braces are `Reason.values`."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One sentence to be."""

    code: str
    """A key of `SENTENCES`."""
    values: Mapping[str, str] = field(default_factory=dict)
    """Strangers have chosen some: plain text, to be escaped like any other."""


@dataclass(frozen=True, slots=True)
class ExplainedMessage:
    """All that is known of why a message is where it is."""

    view: MessageView
    reasons: tuple[Reason, ...]
    """In the order in which it happened."""
    words: tuple[Telling, ...] = ()
    """Those that told the junk filter most, the most telling first."""
    list_fields: ListFields = ListFields()
    rcpt_to: Address | None = None
    """The address that was written to, where we know it."""


class MessageReasons:
    """Every verb begins with an actor, whose own account alone is reached (NotAllowed without one)."""

    def __init__(
        self,
        storage: Storage,
        addresses: Addresses,
        mailboxes: Mailboxes,
        messages: Messages,
        junk_filter: JunkFilter,
        *,
        hostname: str,
    ) -> None:
        self._directory = storage.directory
        self._trace = storage.trace
        self._addresses = addresses
        self._owners = Owners(storage.directory, None, None)
        self._mailboxes = mailboxes
        self._messages = messages
        self._junk_filter = junk_filter
        self._hostname = hostname

    async def explain(self, actor: Actor, object_id: str) -> ExplainedMessage:
        """Explain one message. Errors: NoSuchMessage."""
        view = await self._messages.show(actor, object_id)
        header = await self._header(actor, view)
        assert actor.account_id is not None  # asked when its store was given
        own = {each.key for each in await self._directory.addresses_of(actor.account_id)}
        stamp = arrival_stamp(header, self._hostname)
        told = list_fields(header)
        reasons = list(_arrival(header, stamp, own))
        if stamp is not None and not _is_own_author(header, own):
            if stamp.rcpt_to is not None:
                reasons.append(await self._address_reason(actor, stamp.rcpt_to))
            if not _named(header) & own:
                reasons.append(Reason("not-named"))
        if told.list_id:
            reasons.append(Reason("list", {"name": told.name or told.list_id, "id": told.list_id}))
        if told.is_automatic:
            reasons.append(Reason("automatic"))
        if stamp is not None:
            results = own_results(header, self._hostname)
            reasons += [
                Reason("authentication", {"method": method, "result": results[method][0], "detail": results[method][1]})
                for method in METHODS
                if method in results
            ]
            reasons += await self._trace_reasons(actor, stamp.queue_id)
        score = await self._junk_filter.explain(actor, view.mailbox.name, view.record.uid)
        if score is None:
            reasons.append(Reason("junk-not-learned"))
        else:
            reasons.append(Reason("junk-score", {"percent": f"{score.probability * 100:.0f}"}))
        rcpt_to = stamp.rcpt_to if stamp is not None else None
        return ExplainedMessage(view, tuple(reasons), score.telling if score is not None else (), told, rcpt_to)

    async def _header(self, actor: Actor, view: MessageView) -> bytes:
        stop = min(view.record.header_octets, HEADER_OCTETS_MAX)
        (octets,) = await self._mailboxes.of(actor).read_octets([OctetRange(view.record.blob_id, 0, stop)])
        return octets[: header_end(octets)]

    async def _address_reason(self, actor: Actor, address: Address) -> Reason:
        values = {"address": str(address)}
        try:
            leads_to = {each.account_id for each in (await self._addresses.resolve(address)).accounts}
            domain = await self._owners.domain_of(address.domain)
            if actor.account_id not in leads_to or domain is None:
                return Reason("to-unknown", values)
            owner = await self._owners.owner(address, domain)
        except MailsteadError:
            return Reason("to-unknown", values)
        if owner is None:  # by a rule in the DNS, or as postmaster
            return Reason("to-alias", values)
        if isinstance(owner.has, Account):
            if owner.has.account_id != actor.account_id:
                return Reason("to-alias", values)  # it leads on to us: an account that forwards
            plain = without_detail(address)
            if plain is not None and owner.has.address.key != address.key:
                return Reason("to-detail", values | {"of": str(owner.has.address)})
            return Reason("to-account", values)
        return _alias_reason(owner.has, values, domain.name)

    async def _trace_reasons(self, actor: Actor, queue_id: str) -> list[Reason]:
        steps = await self._trace.search(TraceQuery(queue_id=queue_id, limit=STEPS_MAX))
        key = actor.address.key if actor.address is not None else ""
        is_ours = any(step.step == "delivered" and _key(step.recipient) == key for step in steps)
        if not is_ours:
            return []
        found: list[Reason] = []
        for step in reversed(steps):
            if step.recipient and _key(step.recipient) != key:
                continue
            reason = _step_reason(step)
            if reason is not None and reason not in found:
                found.append(reason)
        return found


def _arrival(header: bytes, stamp: ArrivalStamp | None, own: set[str]) -> Iterator[Reason]:
    if _is_own_author(header, own) and (stamp is None or stamp.is_submission):
        yield Reason("sent-by-you")
    elif stamp is None:
        yield Reason("not-received")
    else:
        yield Reason("from-here" if stamp.is_submission else "from-outside")


def _alias_reason(alias: Alias, values: dict[str, str], domain: str) -> Reason:
    if alias.kind is AliasKind.PATTERN:
        return Reason("to-pattern", values | {"pattern": alias.address.local_part})
    if alias.kind is AliasKind.CATCH_ALL:
        return Reason("to-catch-all", values | {"domain": domain})
    return Reason("to-alias", values)


def _step_reason(step: TraceEvent) -> Reason | None:
    if step.step == "delivered":
        return Reason("filed", {"mailbox": step.reason.removeprefix("into ")})
    if step.step == "filter":
        return Reason("rule-error" if step.decision == "error" else "rule", {"note": step.reason})
    if step.step in METHODS or step.step in {"received", "queued", "attempt", "bounced", "iprev", "helo"}:
        return None  # told by the header, or of no matter here
    if step.decision in {"", "allow"} and not step.reason:
        return None
    return Reason("check", {"name": step.step, "decision": step.decision, "reason": step.reason})


def _is_own_author(header: bytes, own: set[str]) -> bool:
    return bool(_keys(first_values(header).get(b"from", b"")) & own)


def _named(header: bytes) -> set[str]:
    values = first_values(header)
    return _keys(values.get(b"to", b"")) | _keys(values.get(b"cc", b""))


def _keys(value: bytes) -> set[str]:
    """Give the addresses of a list, with and without their detail."""
    found: set[str] = set()
    for each in addresses_of(value):
        if each.domain is None:
            continue
        try:
            address = Address.parse(f"{text_of(each.local_part or b'')}@{text_of(each.domain)}")
        except BadAddress:
            continue
        plain = without_detail(address)
        found |= {address.key, plain.key if plain is not None else address.key}
    return found


def _key(text: str) -> str:
    try:
        return Address.parse(text).key
    except BadAddress:
        return ""
