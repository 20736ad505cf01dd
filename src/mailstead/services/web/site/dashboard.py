"""How the server is: a glance, and what the doctor says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup
from starlette.responses import Response

from mailstead.model.diagnosis import Health
from mailstead.model.statistics import Figures, Span
from mailstead.services.web.site import charts
from mailstead.services.web.site.mending import mending_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _

DAYS_SHOWN: Final = 60
_DRAWN: Final[dict[str, tuple[str, Callable[[Figures], int | None]]]] = {
    "mail_in": (_("Mail that came in"), lambda each: each.mail_in),
    "mail_out": (_("Mail that went out"), lambda each: each.mail_out),
    "refused": (_("Refused"), lambda each: each.refused_count),
    "junk": (_("Taken for junk"), lambda each: each.junk),
    "queue": (_("Waiting in the queue, at most"), lambda each: each.queue_length),
    "storage": (_("Stored"), lambda each: each.storage_octets),
}
_GAUGES: Final = frozenset({"queue", "storage"})
"""Measured at a moment; others are counts, which add up."""
_ORDER: Final = {Health.ERROR: 0, Health.WARNING: 1, Health.OK: 2, Health.SKIPPED: 3}


@dataclass(frozen=True, slots=True)
class Graph:
    """One figure over time."""

    name: str
    words: str
    """For the filter ``told``."""
    picture: Markup
    amount: int | None
    """The whole of a count; what was measured last. None: nothing is known."""


async def dashboard(visit: Visit) -> Response:
    """Show the glance; what the doctor says takes seconds, so it is asked for apart."""
    if not visit.actor.is_admin:
        return visit.show("dashboard.html", overview=None, domains=visit.actor.administered)
    span = Span.DAY if visit.request.query_params.get("span") == Span.DAY else Span.HOUR
    figures = (await visit.house.statistics.show(visit.actor, span))[-DAYS_SHOWN:]
    return visit.show(
        "dashboard.html",
        overview=await visit.house.overviews.show(visit.actor),
        domains=visit.actor.administered,
        span=span.value,
        graphs=[_graph(name, figures) for name in _DRAWN],
        figures=[(each.begins_at, [amount(each) for _words, amount in _DRAWN.values()]) for each in reversed(figures)],
    )


async def doctor(visit: Visit) -> Response:
    """Ask the doctor, worst first: about everything, or about the domain in the query."""
    domain = visit.request.query_params.get("domain") or None
    found = await visit.house.doctor().examine(visit.actor, domain)
    found.sort(key=lambda each: _ORDER[each.status])
    bad_count = sum(each.status in {Health.ERROR, Health.WARNING} for each in found)
    domains = [each.name for each in await visit.house.domains.list(visit.actor) if visit.actor.administers(each.name)]
    mends = {each.key: page for each in found if (page := mending_of(each, domains)) is not None}
    return visit.show("doctor.html", found=found, bad_count=bad_count, domain=domain, mends=mends)


def _graph(name: str, figures: list[Figures]) -> Graph:
    words, amount = _DRAWN[name]
    amounts = [amount(each) for each in figures]
    known = [each for each in amounts if each is not None]
    shown = None if not known else known[-1] if name in _GAUGES else sum(known)
    return Graph(name, words, charts.columns(amounts), shown)


PAGES: Final = (
    Page("/admin", dashboard, Who.DOMAIN_ADMIN),
    Page("/admin/doctor", doctor, Who.DOMAIN_ADMIN),
)
