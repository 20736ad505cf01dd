"""Mail that goes out: sent now or at a date, looked up, cancelled. Spec: reference forwardemail 4.6, 4.10 (Email)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from mailstead.mime.header import raw_fields, text_of
from mailstead.model.emails import EmailOutcome
from mailstead.model.queue import RecipientState, RemoteReply
from mailstead.services.api.compositions import BODY_OCTETS_MAX, Composed, octets_of
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Listed, Model, Right, Shown
from mailstead.services.api.paging import listing_of
from mailstead.services.api.values import Moment
from mailstead.usecases.emails import DsnWishes, EmailView, OutgoingEmail

SORTS: Final = ("created_at", "updated_at", "date", "subject", "status")
SHOWN_OCTETS_MAX: Final = 16 * 1024 * 1024
REDACTED: Final = "The message is not kept after it was sent."


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _fitting(notify: list[str]) -> list[str]:
    if "never" in notify and len(notify) > 1:
        raise ValueError("never goes with nothing else")
    return notify


Notify = Annotated[
    list[Literal["never", "success", "failure", "delay"]],
    BeforeValidator(_listed, json_schema_input_type=str | list[str]),
    AfterValidator(_fitting),
]
_Word = Annotated[str, Field(pattern=r"^[!-~]{1,100}$")]


class DsnAsked(Model):
    """What the sender wants to be told. Spec: RFC 3461."""

    id: _Word | None = None
    returns: Annotated[Literal["headers", "full"] | None, Field(alias="return")] = None
    notify: Notify = Field(default_factory=list)
    recipient: Annotated[str, Field(pattern=r"^[ -~]{1,400}$")] | None = None


class EmailAsked(Composed):
    """A message to be sent. `date` more than a minute ahead: it waits until then."""

    model_config = ConfigDict(populate_by_name=True)

    dsn: DsnAsked | None = None
    require_tls: Annotated[bool, Field(alias="requireTLS")] = False


class EmailsAsked(Listed):
    """Which emails."""

    q: str = ""
    domain: str = ""
    """Name or id."""
    is_scheduled: bool | None = None
    sort: str = Field("", pattern=rf"^-?({'|'.join(SORTS)})?$")


class EnvelopeShown(Shown):
    """From whom to whom."""

    model_config = ConfigDict(populate_by_name=True)

    mail_from: Annotated[str, Field(serialization_alias="from")]
    to: list[str]


class EmailShown(Shown):
    """An email, and how its recipients stand."""

    model_config = ConfigDict(populate_by_name=True)

    id: str
    object: Literal["email"] = "email"
    alias: str | None
    domain: str | None
    user: str | None
    status: str
    is_locked: bool = False
    is_bounce: bool = False
    is_redacted: bool
    envelope: EnvelopeShown
    message_id: Annotated[str, Field(serialization_alias="messageId")]
    date: Moment
    subject: str
    accepted: list[str]
    hard_bounces: list[str]
    soft_bounces: list[str]
    deliveries: list[dict[str, Any]]
    require_tls: Annotated[bool, Field(serialization_alias="requireTLS")]
    dsn: dict[str, Any]
    rcpt_to: Annotated[list[str], Field(serialization_alias="rcptTo")]
    created_at: Moment
    updated_at: Moment
    link: str


class EmailWhole(EmailShown):
    """An email with what lists leave out."""

    message: str
    """As it goes out, while it waits; then a sentence in its place."""
    headers: dict[str, str | list[str]]
    rejected_errors: Annotated[list[dict[str, Any]], Field(serialization_alias="rejectedErrors")]


class Limit(Shown):
    """How many recipients the messages of this day (UTC) had, and how many they may have."""

    count: int
    limit: int
    """0: any number."""


async def list_emails(call: Call) -> Answer:
    """Give a page, newest first."""
    asked: EmailsAsked = call.query
    page = await call.house.emails.find(
        call.actor, listing_of(asked), domain=asked.domain, is_scheduled=asked.is_scheduled
    )
    return Answer([EmailShown(**_fields(view, call)) for view in page.items], page=page)


async def send_email(call: Call) -> Answer:
    """Take a message to be sent."""
    asked: EmailAsked = call.body
    author = call.actor.address if call.actor.user_id is None else None
    octets = await asyncio.to_thread(octets_of, asked, call.files, call.house.clock.now(), author)
    dsn = asked.dsn or DsnAsked()
    wishes = DsnWishes(dsn.id or "", dsn.returns or "", tuple(dsn.notify), dsn.recipient or "")
    outgoing = OutgoingEmail(octets, asked.require_tls, wishes)
    view = await call.house.emails.send(call.actor, call.peer, outgoing)
    return Answer(await _whole(view, call))


async def show_email(call: Call) -> Answer:
    """Give one, by id or Message-ID."""
    return Answer(await _whole(await call.house.emails.show(call.actor, call.path["email_id"]), call))


async def cancel_email(call: Call) -> Answer:
    """Take one back before it is sent."""
    view = await call.house.emails.cancel(call.actor, call.path["email_id"])
    return Answer(await _whole(view, call))


async def show_limit(call: Call) -> Answer:
    """Say how much was sent today."""
    count, limit = await call.house.emails.sent_today(call.actor)
    return Answer(Limit(count=count, limit=limit))


async def _whole(view: EmailView, call: Call) -> EmailWhole:
    octets = await call.house.emails.octets(view)
    is_shown = octets is not None and len(octets) <= SHOWN_OCTETS_MAX
    fields = _fields(view, call) | {"is_redacted": octets is None}
    return EmailWhole(
        **fields,
        message=octets.decode("utf-8", "replace") if octets is not None and is_shown else REDACTED,
        headers=_headers(view.email.header),
        rejected_errors=[_rejection(each, each.reply) for each in view.email.outcomes if _is_refused(each)],
    )


def _fields(view: EmailView, call: Call) -> dict[str, Any]:
    email = view.email
    notify = email.dsn.get("notify", "")
    return {
        "id": email.email_id,
        "alias": view.alias_id,
        "domain": view.domain_id,
        "user": view.user_id,
        "status": email.status.value,
        "is_redacted": email.is_settled,
        "envelope": EnvelopeShown(mail_from=email.mail_from, to=list(email.recipients)),
        "message_id": email.message_id,
        "date": email.sent_at,
        "subject": email.subject,
        "accepted": _those(email.outcomes, RecipientState.DELIVERED),
        "hard_bounces": _those(email.outcomes, RecipientState.FAILED),
        "soft_bounces": [
            each.recipient
            for each in email.outcomes
            if each.state in {RecipientState.WAITING, RecipientState.HELD} and each.attempt_count
        ],
        "deliveries": [_delivery(each) for each in email.outcomes if each.state is RecipientState.DELIVERED],
        "require_tls": email.require_tls,
        "dsn": {**email.dsn, **({"notify": notify.split(",")} if notify else {})},
        "rcpt_to": list(email.recipients),
        "created_at": email.created_at,
        "updated_at": email.updated_at,
        "link": f"{call.house.terms.base_url}/v1/emails/{email.email_id}",
    }


def _those(outcomes: Iterable[EmailOutcome], state: RecipientState) -> list[str]:
    return [each.recipient for each in outcomes if each.state is state]


def _is_refused(outcome: EmailOutcome) -> bool:
    """Whether the last that is known of a recipient is a no."""
    return outcome.state is RecipientState.FAILED or (
        outcome.state is not RecipientState.DELIVERED and outcome.reply is not None and not outcome.reply.is_positive
    )


def _delivery(outcome: EmailOutcome) -> dict[str, Any]:
    reply = outcome.reply or RemoteReply(250, "2.0.0", "Delivered here")
    return {
        "recipient": outcome.recipient,
        "date": outcome.at,
        "response": " ".join(filter(None, (str(reply.code or ""), reply.enhanced, reply.text))),
        "responseCode": reply.code,
        "mx": {"host": reply.host, "ip": reply.address},
        "tls": {"enabled": reply.security not in {"", "none"}},
    }


def _rejection(outcome: EmailOutcome, reply: RemoteReply | None) -> dict[str, Any]:
    found = _delivery(outcome) if reply is not None else {"recipient": outcome.recipient, "date": outcome.at}
    text = reply.text if reply is not None else ""
    return {
        **found,
        "message": text,
        "bounceInfo": {"action": "reject" if outcome.state is RecipientState.FAILED else "defer", "message": text},
        "target": outcome.recipient.rpartition("@")[2],
    }


def _headers(header: bytes) -> dict[str, str | list[str]]:
    """Give fields by name, those that are there several times as a list."""
    found: dict[str, str | list[str]] = {}
    for name, value in raw_fields(header):
        key, text = name.decode("ascii", "replace").strip(), text_of(value)
        before = found.get(key)
        if before is None:
            found[key] = text
        else:
            found[key] = [*before, text] if isinstance(before, list) else [before, text]
    return found


_endpoint: Final = partial(Endpoint, tag="emails", auth=Auth.BOTH, right=Right.CALLER)

ENDPOINTS: Final = (
    _endpoint(
        "GET",
        "/v1/emails",
        "list-emails",
        "Emails that were sent over the API, newest first",
        handler=list_emails,
        query=EmailsAsked,
        shows=list[EmailShown],
    ),
    _endpoint(
        "POST",
        "/v1/emails",
        "send-email",
        "Send an email, now or at its date",
        handler=send_email,
        body=EmailAsked,
        shows=EmailWhole,
        takes_files=True,
        body_octets_max=BODY_OCTETS_MAX,
    ),
    _endpoint(
        "GET",
        "/v1/emails/limit",
        "show-email-limit",
        "How much was sent today, and how much may be",
        handler=show_limit,
        shows=Limit,
    ),
    _endpoint(
        "GET",
        "/v1/emails/{email_id}",
        "show-email",
        "One email, by id or Message-ID",
        handler=show_email,
        shows=EmailWhole,
    ),
    _endpoint(
        "DELETE",
        "/v1/emails/{email_id}",
        "cancel-email",
        "Cancel an email that waits",
        handler=cancel_email,
        shows=EmailWhole,
    ),
)
