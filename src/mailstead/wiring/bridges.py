"""The mx in a container whose clients all look like the machine's bridge: closed, and said so."""

from __future__ import annotations

import asyncio
from typing import Final

from mailstead.model.errors import MailsteadError
from mailstead.net.admission import Admission, ServiceAdmission, UnbridgedAdmission
from mailstead.net.bridges import bridge_gateways
from mailstead.telemetry import log
from mailstead.usecases.doctor import BRIDGED, BRIDGED_KEPT, BRIDGED_TOLD_EVERY
from mailstead.wiring.house import House

_log = log.get("wiring")

REFUSAL: Final = b"421 4.3.2 This server cannot see who is connecting, so it takes no mail from here\r\n"


def unbridged(house: House, admission: Admission | ServiceAdmission) -> Admission | ServiceAdmission:
    """Give an admission that turns away who comes from the gateway of our container, where there is one.

    One that `limits.proxy_from` names says by a header who really comes; and a setting may want it as it is.
    """
    if house.settings.limits.allows_bridged_clients:
        return admission
    gateways = frozenset(each for each in bridge_gateways() if not admission.is_proxy(each))
    return UnbridgedAdmission(admission, gateways, _Telling(house)) if gateways else admission


class _Telling:
    """Tells now and then, in the log and for the doctor, that somebody was turned away."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._told_s = float("-inf")
        self._work: asyncio.Task[None] | None = None

    def __call__(self, address: str) -> None:
        now_s = self._house.clock.monotonic_s()
        if now_s - self._told_s < BRIDGED_TOLD_EVERY.total_seconds():
            return
        self._told_s = now_s
        _log.error(
            "the mx turns away clients that look like the bridge of this container: limits and SPF would be blind. Use "
            "the network of the host, or a proxy that limits.proxy_from names; if it is wanted so, set "
            "limits.allows_bridged_clients",
            address=address,
        )
        self._work = asyncio.get_running_loop().create_task(self._keep(address))

    async def _keep(self, address: str) -> None:
        until = self._house.clock.now() + BRIDGED_KEPT
        try:
            await self._house.storage.memory.remember(BRIDGED, {address: b""}, until)
        except MailsteadError as error:
            _log.warning("the doctor will not know of it", cause=error.public_text)
