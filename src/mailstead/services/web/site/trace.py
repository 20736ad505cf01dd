"""Where a message went: found by address, queue id or Message-ID, and told step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from mailstead.model.address import Address, normal_domain
from mailstead.model.errors import MailsteadError
from mailstead.model.trace import TraceEvent, TraceQuery
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _
from mailstead.usecases.traces import TracedMessage

MESSAGES_MAX: Final = 20
STEPS_READ_PER_MESSAGE: Final = 100
TEXT_CHARACTERS_MAX: Final = 1000

_STEPS: Final = {
    ("received", ""): _("It came in."),
    ("answered", "defer"): _("We asked the sender to come again later."),
    ("answered", "refuse"): _("We refused it."),
    ("delivered", "delivered"): _("It was put into the mailbox."),
    ("queued", ""): _("It was put into the queue to go out."),
    ("attempt", "delivered"): _("The other server has taken it."),
    ("attempt", "deferred"): _("It could not be handed over yet, and is tried again."),
    ("attempt", "failed"): _("It was given up, and the sender is told."),
    ("attempt", "cancelled"): _("It was cancelled, and never goes out."),
    ("bounce", "absorbed"): _("A notice of failure about mail of ours: it was read and kept for the owner."),
    ("report", "kept"): _("A report of another server: it was read and kept."),
    ("report", "absorbed"): _("It was written to an address for reports, and is none: nobody reads it."),
    ("encryption", ""): _("Its encryption is as the domain wants it."),
    ("encryption", "refuse"): _("It is not encrypted, as the domain wants it."),
    ("filter", ""): _("A filter of the owner said what to do."),
    ("filter", "error"): _("A filter of the owner has a fault: the message went on as if it was not there."),
    ("spf", "pass"): _("SPF: the sender's domain names this server as one of its own."),
    ("spf", "fail"): _("SPF: the sender's domain says that this server is none of its own."),
    ("spf", "softfail"): _("SPF: the sender's domain says that this server is probably none of its own."),
    ("dkim", "pass"): _("DKIM: the signature is good, so nobody has changed the message."),
    ("dkim", "fail"): _("DKIM: the signature does not fit the message."),
    ("dkim", "none"): _("DKIM: there is no signature."),
    ("dmarc", "pass"): _("DMARC: it does come from the domain that it names as its author's."),
    ("dmarc", "fail"): _("DMARC: nothing shows that it comes from the domain that it names as its author's."),
    ("dmarc", "none"): _("DMARC: the author's domain says nothing about forged mail."),
    ("arc", "pass"): _("ARC: who forwarded it vouches for what was found before."),
    ("iprev", "pass"): _("The name of the sending server is its own."),
    ("iprev", "fail"): _("The name of the sending server is not its own."),
}
_DECISIONS: Final = {
    "allow": _("A check let it pass."),
    "refuse": _("A check refused it."),
    "defer": _("A check asked the sender to come again later."),
    "junk": _("A check took it for junk."),
    "pass": _("A check went well."),
    "fail": _("A check did not go well."),
    "error": _("Something went wrong with it."),
}
_OTHERWISE: Final = _("A step was taken.")
_BAD: Final = frozenset({"fail", "refuse", "failed", "error", "cancelled", "permerror"})
_DOUBTFUL: Final = frozenset({"defer", "deferred", "junk", "softfail", "temperror"})
_PLAIN: Final = frozenset({"", "none", "neutral", "absorbed"})


@dataclass(frozen=True, slots=True)
class Told:
    """One step in plain words."""

    step: TraceEvent
    words: str
    """A sentence for the filter ``told``."""
    health: str
    """Class of the list's item: ok, warning, error, skipped."""


async def trace(visit: Visit) -> Response:
    """Find the latest messages that fit, and tell their ways."""
    text, error = visit.request.query_params.get("q", "").strip()[:TEXT_CHARACTERS_MAX], None
    found: list[TracedMessage] = []
    try:
        for query in _queries(text):
            found = await visit.house.traces.messages(visit.actor, query, MESSAGES_MAX)
            if found:
                break
    except MailsteadError as wrong:
        error = wrong
    return visit.show(
        "trace.html",
        200 if error is None else status_of(error),
        text=text,
        found=[(each, [_told(step) for step in each.steps]) for each in found],
        error=error,
    )


def _queries(text: str) -> list[TraceQuery]:
    """Give what a text may mean, the likeliest first. Errors: BadAddress."""
    limit = MESSAGES_MAX * STEPS_READ_PER_MESSAGE
    if not text:
        return [TraceQuery(limit=limit)]
    if text.startswith("@"):
        return [TraceQuery(address=f"@{normal_domain(text[1:])}", limit=limit)]
    if "@" not in text:
        return [TraceQuery(queue_id=text, limit=limit)]
    by_message_id = TraceQuery(message_id=text, limit=limit)
    if text.startswith("<"):
        return [by_message_id]
    try:
        return [TraceQuery(address=str(Address.parse(text)), limit=limit), by_message_id]
    except MailsteadError:
        return [by_message_id]


def _told(step: TraceEvent) -> Told:
    words = _STEPS.get((step.step, step.decision)) or _DECISIONS.get(step.decision) or _OTHERWISE
    if step.decision in _BAD:
        return Told(step, words, "error")
    if step.decision in _DOUBTFUL:
        return Told(step, words, "warning")
    is_done = step.decision not in _PLAIN or step.step in {"received", "queued"}
    return Told(step, words, "ok" if is_done else "skipped")


PAGES: Final = (Page("/admin/trace", trace, Who.DOMAIN_ADMIN),)
