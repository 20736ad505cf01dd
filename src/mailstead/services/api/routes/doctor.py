"""Is all well, and if not, what to do. Command: ``mailstead doctor``."""

from __future__ import annotations

from functools import partial
from typing import Final

from mailstead.model.diagnosis import Diagnosis
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right, Shown


class DiagnosisShown(Shown):
    """One thing that was looked at."""

    name: str
    domain: str | None
    status: str
    """``ok``, ``warning``, ``error``, ``skipped``."""
    found: str
    expected: str
    advice: str


async def examine(call: Call) -> Answer:
    """Look at everything."""
    return Answer([_shown(each) for each in await call.house.administration.doctor().examine(call.actor)])


async def examine_domain(call: Call) -> Answer:
    """Look at the records of one domain."""
    entry = await call.house.administration.find_domain(call.actor, call.path["domain_id"])
    return Answer(
        [_shown(each) for each in await call.house.administration.doctor().records(call.actor, entry.domain.name)]
    )


def _shown(each: Diagnosis) -> DiagnosisShown:
    return DiagnosisShown(
        name=each.name,
        domain=each.domain or None,
        status=each.status.value,
        found=each.found,
        expected=each.expected,
        advice=each.advice,
    )


_ours: Final = partial(
    Endpoint,
    tag="doctor",
    auth=Auth.TOKEN,
    query=Model,
    shows=list[DiagnosisShown],
    is_ours=True,
    command="doctor",
)

ENDPOINTS: Final = (
    _ours(
        "GET",
        "/v1/doctor",
        "examine",
        "Look at machine, services, network and DNS; takes some seconds",
        right=Right.SERVER_ADMIN,
        handler=examine,
    ),
    _ours(
        "GET",
        "/v1/domains/{domain_id}/doctor",
        "examine-domain",
        "Look at the DNS records of a domain",
        right=Right.DOMAIN_ADMIN,
        handler=examine_domain,
    ),
)
