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
    if not _is_watched(subject):
        return None
    key = write.element(push("vapid-public-key"), call.house.dav_push.public_key, ' type="p256ecdsa"')
    return write.element(push("transports"), write.element(push("web-push"), key))


async def _topic(call: Call, subject: Subject) -> str | None:
    if subject.opened is None or not _is_watched(subject):
        return None
    return write.text(push("topic"), call.house.dav_push.topic(subject.opened))


async def _triggers(_call: Call, subject: Subject) -> str | None:
    if not _is_watched(subject):
        return None
    content = write.element(push("content-update"), write.text(dav("depth"), "1"))
    return write.element(push("supported-triggers"), content)


def _is_watched(subject: Subject) -> bool:
    """Whether changes are told: what follows from accounts has none of its own."""
    return subject.opened is not None and not subject.opened.is_people


PROPERTIES: Final[dict[str, PlaceProperty]] = {
    push("transports"): PlaceProperty(_transports),
    push("topic"): PlaceProperty(_topic),
    push("supported-triggers"): PlaceProperty(_triggers),
}
