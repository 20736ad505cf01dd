"""Properties of WebDAV-Push.

Spec: WebDAV-Push draft (bitfire), "Service detection", "Appendix A: Web Push Transport".
"""

from __future__ import annotations

from typing import Final

from mailstead.proto.dav import write
from mailstead.proto.dav.names import dav, push
from mailstead.services.dav.call import Call
from mailstead.services.dav.properties.kinds import PlaceProperty, Subject


async def _transports(call: Call, subject: Subject) -> str | None:
    if subject.opened is None:
        return None
    key = write.element(push("vapid-public-key"), call.house.dav_push.public_key, ' type="p256ecdsa"')
    return write.element(push("transports"), write.element(push("web-push"), key))


async def _topic(call: Call, subject: Subject) -> str | None:
    return write.text(push("topic"), call.house.dav_push.topic(subject.opened)) if subject.opened is not None else None


async def _triggers(_call: Call, subject: Subject) -> str | None:
    if subject.opened is None:
        return None
    content = write.element(push("content-update"), write.text(dav("depth"), "1"))
    return write.element(push("supported-triggers"), content)


PROPERTIES: Final[dict[str, PlaceProperty]] = {
    push("transports"): PlaceProperty(_transports),
    push("topic"): PlaceProperty(_topic),
    push("supported-triggers"): PlaceProperty(_triggers),
}
