"""What waits to go out, why, and when it is tried next; and addresses that nothing is sent to."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from mailstead.model.address import Address, normal_domain
from mailstead.model.errors import MailsteadError, PolicyRefused
from mailstead.model.queue import QueuedRecipient, QueueItem, QueueItemId, QueueQuery, RecipientState
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _
from mailstead.usecases.outgoing import OPEN

PER_PAGE: Final = 50
DESTINATIONS_MAX: Final = 100
SUPPRESSIONS_MAX: Final = 500
STATES: Final = {
    "open": OPEN,
    "waiting": (RecipientState.WAITING,),
    "held": (RecipientState.HELD,),
    "delivered": (RecipientState.DELIVERED,),
    "failed": (RecipientState.FAILED,),
    "cancelled": (RecipientState.CANCELLED,),
}
TOUCHED: Final = {
    "retry": (RecipientState.WAITING,),
    "hold": (RecipientState.WAITING,),
    "release": (RecipientState.HELD,),
    "cancel": OPEN,
}
"""What each verb changes."""
NUMBER_DIGITS_MAX: Final = 18


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one recipient stands, in plain words."""

    queued: QueuedRecipient
    words: str
    """A sentence for the filter ``told``."""
    shows_next: bool
    """The next attempt is worth telling."""


async def queue(visit: Visit) -> Response:
    """List a part of what waits, or of what has ended, and the places it is for."""
    return await _list(visit)


async def item(visit: Visit) -> Response:
    """Show all about one message."""
    return await _item(visit)


async def change(visit: Visit) -> Response:
    """Do something about one message, all for a place, or all; what cannot be taken back is asked first."""
    fields = await visit.fields()
    verb, queue_id = fields.get("verb", ""), fields.get("queue_id", "")
    destination, is_all = fields.get("destination", "").strip(), fields.get("all") == "yes"
    outgoing = visit.house.outgoing
    verbs = {"retry": outgoing.retry, "hold": outgoing.hold, "release": outgoing.release, "cancel": outgoing.cancel}
    try:
        if verb not in verbs or bool(queue_id) + bool(destination) + is_all != 1:
            raise PolicyRefused(_("Say what is to be done, and with what"))
        queries = [_chosen(queue_id, destination)]
        if fields.get("sure") != "yes" and (verb == "cancel" or not queue_id):
            count = await outgoing.fitting(visit.actor, queries, TOUCHED[verb])
            return visit.show("queue_question.html", verb=verb, queue_id=queue_id, destination=destination, count=count)
        count = await verbs[verb](visit.actor, queries)
    except MailsteadError as error:
        return await _list(visit, error)
    if queue_id:
        return visit.go(f"/admin/queue/{quote(queue_id, safe='')}", told="changed")
    return visit.go("/admin/queue", changed=str(count))


def _chosen(queue_id: str, destination: str) -> QueueQuery:
    """Errors: BadAddress."""
    if queue_id:
        return QueueQuery(queue_id=queue_id)
    return QueueQuery(destination=_destination(destination), limit=sys.maxsize)


async def _list(visit: Visit, error: MailsteadError | None = None) -> Response:
    query, is_reading = visit.request.query_params, visit.request.method == "GET"
    state = query.get("state", "open")
    states = STATES.get(state, OPEN)
    address, destination = query.get("address", "").strip()[:320], query.get("destination", "").strip()[:320]
    after = _number(query.get("after", ""))
    items: list[QueueItem] = []
    try:
        wanted = QueueQuery(
            address=_address(address) if is_reading else "",
            destination=_destination(destination) if is_reading else "",
            after=QueueItemId(after),
            limit=PER_PAGE,
        )
        async for page in visit.house.outgoing.pages(visit.actor, wanted, states):
            items += page
    except MailsteadError as wrong:
        error = wrong
    is_admin = visit.actor.is_admin
    return visit.show(
        "queue.html",
        200 if error is None else status_of(error),
        found=[(each, [_standing(one) for one in each.recipients if one.state in states]) for each in items],
        next_after=items[-1].item_id if len(items) == PER_PAGE else None,
        counts={each.value: count for each, count in (await visit.house.outgoing.count(visit.actor)).items()}
        if is_admin
        else {},
        destinations=(await visit.house.outgoing.destinations(visit.actor))[:DESTINATIONS_MAX] if is_admin else [],
        states=list(STATES),
        state=state if state in STATES else "open",
        address=address,
        destination=destination,
        changed=_number(query["changed"]) if "changed" in query else None,
        now=visit.house.clock.now(),
        error=error,
    )


async def _item(visit: Visit, error: MailsteadError | None = None) -> Response:
    queue_id = visit.request.path_params["queue_id"]
    items = await visit.house.outgoing.show(visit.actor, queue_id)
    there = {one.state for each in items for one in each.recipients}
    return visit.show(
        "queue_item.html",
        200 if error is None else status_of(error),
        queue_id=queue_id,
        items=[(each, [_standing(one) for one in each.recipients]) for each in items],
        verbs=[verb for verb, states in TOUCHED.items() if there & set(states)],
        error=error,
    )


def _standing(queued: QueuedRecipient) -> Standing:
    reply = queued.last_reply
    match queued.state:
        case RecipientState.HELD:
            return Standing(queued, _("It is held, and goes out when you release it."), shows_next=False)
        case RecipientState.DELIVERED:
            return Standing(queued, _("The other server has taken it."), shows_next=False)
        case RecipientState.CANCELLED:
            return Standing(queued, _("It was cancelled, and never goes out."), shows_next=False)
        case RecipientState.FAILED:
            words = _("It was given up: the other side does not take it, or did not answer in all the time.")
            return Standing(queued, words, shows_next=False)
        case RecipientState.WAITING:
            pass
    if reply is None or not queued.attempt_count:
        return Standing(queued, _("It has not been tried yet."), shows_next=True)
    if reply.code == 0:
        return Standing(queued, _("The other server could not be reached."), shows_next=True)
    return Standing(queued, _("The other server asks to come again later."), shows_next=True)


# addresses that nothing is sent to


async def suppressions(visit: Visit) -> Response:
    """List them, newest first."""
    return await _suppressions(visit)


async def suppress(visit: Visit) -> Response:
    """Send nothing to an address any more."""
    fields = await visit.fields()
    text, reason = fields.get("address", "").strip(), fields.get("reason", "").strip()[:500]
    try:
        reason = reason or "suppressed by the administrator"
        await visit.house.outgoing.suppress(visit.actor, Address.parse(text), reason)
    except MailsteadError as error:
        return await _suppressions(visit, error, fields)
    return visit.go("/admin/suppressions", told="added")


async def unsuppress(visit: Visit) -> Response:
    """Send to an address again."""
    fields = await visit.fields()
    try:
        await visit.house.outgoing.unsuppress(visit.actor, Address.parse(fields.get("address", "")))
    except MailsteadError as error:
        return await _suppressions(visit, error)
    return visit.go("/admin/suppressions", told="removed")


async def _suppressions(
    visit: Visit, error: MailsteadError | None = None, fields: Mapping[str, str] | None = None
) -> Response:
    text = visit.request.query_params.get("q", "").strip().lower()[:320]
    found: Sequence[object] = [
        each for each in await visit.house.outgoing.suppressions(visit.actor) if text in str(each.address).lower()
    ]
    return visit.show(
        "suppressions.html",
        200 if error is None else status_of(error),
        found=found[:SUPPRESSIONS_MAX],
        count=len(found),
        text=text,
        fields=fields or {},
        error=error,
    )


def _address(text: str) -> str:
    """Errors: BadAddress."""
    if text.startswith("@"):
        return f"@{normal_domain(text[1:])}"
    if not text:
        return ""
    address = Address.parse(text)
    return f"{address.local_part}@{address.domain}"


def _destination(text: str) -> str:
    """Errors: BadAddress."""
    return normal_domain(text) if text and ":" not in text else text


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS_MAX else 0


PAGES: Final = (
    Page("/admin/queue", queue, Who.DOMAIN_ADMIN),
    Page("/admin/queue/change", change, Who.DOMAIN_ADMIN, ("POST",)),
    Page("/admin/queue/{queue_id}", item, Who.DOMAIN_ADMIN),
    Page("/admin/suppressions", suppressions, Who.SERVER_ADMIN),
    Page("/admin/suppressions", suppress, Who.SERVER_ADMIN, ("POST",)),
    Page("/admin/suppressions/remove", unsuppress, Who.SERVER_ADMIN, ("POST",)),
)
