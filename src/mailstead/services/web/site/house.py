"""What the pages need of the house. Made by `wiring.site`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mailstead.usecases.doctor import Doctor
from mailstead.usecases.overview import Overviews
from mailstead.usecases.web_sessions import WebSessions


@dataclass(frozen=True, slots=True)
class SiteTerms:
    """What the settings say."""

    hostname: str
    """The pages answer under this name alone; under others they lead here."""
    base_url: str
    """``https://`` and the host, without slash at the end."""
    provider: str = ""
    """What the OpenID Connect provider is called; empty: there is none."""


@dataclass(frozen=True, slots=True)
class SiteHouse:
    """Use cases by name, as in `wiring.house.House`."""

    terms: SiteTerms
    doctor: Callable[[], Doctor]
    overviews: Overviews
    web_sessions: WebSessions
