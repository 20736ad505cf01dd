"""What clients of chatmail domains are told of the server beyond what mail protocols know.

Spec: reference chatmail, sections 6.1 and 6.4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from mailstead.model.directory import DomainTerms
from mailstead.model.envelope import Actor
from mailstead.model.errors import MailsteadError
from mailstead.policy.turn import turn_announcement
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.telemetry import log

APP_VERSIONS_OCTETS_MAX: Final = 64 * 1024

_log = log.get("chatmail")


@dataclass(frozen=True, slots=True)
class Announced:
    """What the clients of one domain are told; empty: nothing."""

    admin: str
    """URI of whom to write to."""
    iroh_relay: str
    turn: str
    """``HOST:PORT:EXPIRY:PASSWORD``; a new one each time."""
    recipients_max: int
    """Of one message."""
    app_versions: str
    """One line of JSON."""


class Announcements:
    """Knows what to announce. The directory remembers its answers, so asking at each log-in costs little."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        *,
        recipients_max: int,
        turn_secret: Callable[[], bytes],
        ask_turn: Callable[[], Awaitable[str]] | None = None,
        app_versions_file: str = "",
        wakes_devices: bool = True,
    ) -> None:
        """`turn_secret` is called in a thread when first needed; `wakes_devices`: there is somebody to push to.

        `ask_turn`, if there is one, takes its place: it gives ``NAME:PASSWORD``, or raises TryAgainLater.
        """
        self._directory = storage.directory
        self._clock = clock
        self._recipients_max: Final = recipients_max
        self._make_turn_secret: Final = turn_secret
        self._turn_secret = b""
        self._ask_turn: Final = ask_turn
        self._app_versions_file: Final = app_versions_file
        self.wakes_devices: Final = wakes_devices

    async def serves_chatmail(self) -> bool:
        """Whether any domain is a relay: all that can be said before log-in. Errors: StorageUnavailable."""
        return any(domain.terms.is_chatmail for domain in await self._directory.domains())

    async def is_chatmail(self, actor: Actor) -> bool:
        """Whether the actor's own domain is a relay. Errors: StorageUnavailable."""
        return (await self._terms(actor)).is_chatmail

    async def announced(self, actor: Actor) -> Announced | None:
        """Give what the actor's client is told; None: its domain is no relay.

        Errors: StorageUnavailable.
        """
        terms = await self._terms(actor)
        if not terms.is_chatmail:
            return None
        return Announced(
            admin=f"mailto:{terms.privacy_mail}" if terms.privacy_mail else "",
            iroh_relay=terms.iroh_relay,
            turn=await self._turn(terms.turn_server),
            recipients_max=self._recipients_max,
            app_versions=await asyncio.to_thread(_app_versions, self._app_versions_file),
        )

    async def _terms(self, actor: Actor) -> DomainTerms:
        domain = await self._directory.domain(actor.address.domain) if actor.address else None
        return domain.terms if domain else DomainTerms()

    async def _turn(self, server: str) -> str:
        if not server:
            return ""
        try:
            if self._ask_turn is not None:
                return f"{server}:{await self._ask_turn()}"
            if not self._turn_secret:
                self._turn_secret = await asyncio.to_thread(self._make_turn_secret)
        except MailsteadError as error:
            _log.warning("the TURN server is not told", error=error.public_text)
            return ""
        return turn_announcement(server, self._turn_secret, self._clock.now())


def _app_versions(file: str) -> str:
    """Read the file anew, so that a new version is told without a restart; whatever is wrong with it, nothing is."""
    if not file:
        return ""
    try:
        with Path(file).open("rb") as opened:
            octets = opened.read(APP_VERSIONS_OCTETS_MAX + 1)
        if len(octets) > APP_VERSIONS_OCTETS_MAX:
            raise ValueError(f"it has more than {APP_VERSIONS_OCTETS_MAX} octets")
        return msgspec.json.encode(msgspec.json.decode(octets)).decode()
    except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
        _log.warning("versions of apps are not told", file=file, error=str(error))
        return ""
