"""The REST API: on ports of its own, and beside the pages of the web service."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import ASGIApp

from mailstead.services.api.app import make_api_app
from mailstead.services.api.endpoints import Endpoint
from mailstead.services.api.house import ApiHouse, ApiTerms
from mailstead.usecases.call_limits import CallLimits
from mailstead.usecases.idempotency import Idempotency
from mailstead.wiring.house import House


def make_api_house(house: House, terms: ApiTerms | None = None) -> ApiHouse:
    """Give what the API needs."""
    return ApiHouse(
        clock=house.clock,
        terms=terms or ApiTerms(base_url=f"https://{house.settings.server.hostname}"),
        call_limits=CallLimits(house.storage, house.clock),
        idempotency=Idempotency(house.storage, house.clock),
        accounts=house.accounts,
        aliases=house.aliases,
        domains=house.domains,
        users=house.users,
    )


def make_app(
    house: House,
    others: ASGIApp | None = None,
    terms: ApiTerms | None = None,
    endpoints: Iterable[Endpoint] | None = None,
) -> ASGIApp:
    """Give the application; `terms` and `endpoints` are a test's own."""
    return make_api_app(make_api_house(house, terms), others, endpoints)
