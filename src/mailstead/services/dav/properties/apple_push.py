"""Properties of Apple's push.

Spec: caldav-pubsubdiscovery (Apple) §3.
"""

from __future__ import annotations

from typing import Final

from mailstead.proto.dav import write
from mailstead.proto.dav.names import calendarserver
from mailstead.services.dav.call import Call
from mailstead.services.dav.paths import Place, PlaceKind
from mailstead.services.dav.properties.kinds import PlaceProperty, Subject
from mailstead.usecases.apple_push import REFRESH


async def _transports(call: Call, subject: Subject) -> str | None:
    """Of homes alone. Spec: §3.1."""
    devices = call.house.dav_push.apple
    topic = devices.topic(subject.place.collection_kind) if devices is not None and subject.is_home else ""
    if devices is None or not topic:
        return None
    url = call.house.base_url + Place(PlaceKind.APPLE_PUSH).path
    inner = (
        write.hrefs(calendarserver("subscription-url"), [url])
        + write.text(calendarserver("apsbundleid"), topic)
        + write.text(calendarserver("env"), "PRODUCTION" if devices.is_production else "SANDBOX")
        + write.text(calendarserver("refresh-interval"), str(int(REFRESH.total_seconds())))
    )
    transport = write.element(calendarserver("transport"), inner, ' type="APSD"')
    return write.element(calendarserver("push-transports"), transport)


async def _key(call: Call, subject: Subject) -> str | None:
    """Of homes and of what is in them. Spec: §3.2."""
    devices = call.house.dav_push.apple
    key = ""
    if devices is not None and subject.opened is not None:
        key = devices.key(subject.opened)
    elif devices is not None and subject.is_home and subject.owner is not None:
        kind = subject.place.collection_kind
        key = await devices.home_key(call.actor, subject.owner.account_id, kind)
    return write.text(calendarserver("pushkey"), key) if key else None


PROPERTIES: Final[dict[str, PlaceProperty]] = {
    calendarserver("push-transports"): PlaceProperty(_transports),
    calendarserver("pushkey"): PlaceProperty(_key),
}
