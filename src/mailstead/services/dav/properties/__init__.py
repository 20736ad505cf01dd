"""Live properties: how each is read, and how the writable ones change a collection.

Each module has what belongs to one RFC. A property of resources is reckoned without waiting, as there are thousands.
Start reading at `kinds`.
"""

from __future__ import annotations

from typing import Final

from mailstead.services.dav.properties import access, apple_push, caldav, carddav, push, scheduling, sharing, webdav
from mailstead.services.dav.properties.kinds import PlaceProperty, ResourceGetter

PLACE_PROPERTIES: Final[dict[str, PlaceProperty]] = {
    **webdav.PROPERTIES,
    **access.PROPERTIES,
    **caldav.PROPERTIES,
    **carddav.PROPERTIES,
    **scheduling.PROPERTIES,
    **sharing.PROPERTIES,
    **push.PROPERTIES,
    **apple_push.PROPERTIES,
}
"""Of collections, homes, principals."""

RESOURCE_PROPERTIES: Final[dict[str, ResourceGetter]] = {
    **webdav.RESOURCE_PROPERTIES,
    **access.RESOURCE_PROPERTIES,
    **scheduling.RESOURCE_PROPERTIES,
}

RESOURCE_ALLPROP: Final = webdav.ALLPROP
"""What allprop gives of a resource. Spec: RFC 4918 §14.2: the live properties of that RFC."""
