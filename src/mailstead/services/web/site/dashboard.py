"""How the server is: a glance, and what the doctor says."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from mailstead.model.diagnosis import Health
from mailstead.services.web.site.pages import Page, Visit, Who

_ORDER: Final = {Health.ERROR: 0, Health.WARNING: 1, Health.OK: 2, Health.SKIPPED: 3}


async def dashboard(visit: Visit) -> Response:
    """Show the glance; what the doctor says takes seconds, so it is asked for apart."""
    overview = await visit.house.overviews.show(visit.actor) if visit.actor.is_admin else None
    return visit.show("dashboard.html", overview=overview, domains=visit.actor.administered)


async def doctor(visit: Visit) -> Response:
    """Ask the doctor, worst first: about everything, or about the domain in the query."""
    domain = visit.request.query_params.get("domain") or None
    found = await visit.house.doctor().examine(visit.actor, domain)
    found.sort(key=lambda each: _ORDER[each.status])
    bad_count = sum(each.status in {Health.ERROR, Health.WARNING} for each in found)
    return visit.show("doctor.html", found=found, bad_count=bad_count, domain=domain)


PAGES: Final = (
    Page("/admin", dashboard, Who.DOMAIN_ADMIN),
    Page("/admin/doctor", doctor, Who.DOMAIN_ADMIN),
)
