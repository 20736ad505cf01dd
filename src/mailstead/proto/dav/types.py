"""Requests as they are understood. Names of properties are in Clark's notation.

Spec: RFC 4918 §14; RFC 4791 §9; RFC 6352 §10; RFC 6578 §6; RFC 3253 §3.8; RFC 3744 §9.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mailstead.pim.filters import AddressData, CalendarData, CardFilter, CompFilter, TimeRange
from mailstead.proto.dav.xml import Element


class Depth(Enum):
    """Spec: RFC 4918 §10.2."""

    ZERO = "0"
    ONE = "1"
    INFINITY = "infinity"


class PropFindKind(Enum):
    """Spec: RFC 4918 §9.1."""

    PROP = "prop"
    ALLPROP = "allprop"
    PROPNAME = "propname"


@dataclass(frozen=True, slots=True)
class PropFind:
    """Spec: RFC 4918 §14.20. Also what a report wants to know of each resource."""

    kind: PropFindKind
    props: tuple[str, ...] = ()
    """With ALLPROP: what is wanted besides (include)."""
    calendar_data: CalendarData | None = None
    address_data: AddressData | None = None


@dataclass(frozen=True, slots=True)
class PropertyChange:
    """Set a property, or (element None) remove it."""

    name: str
    element: Element | None
    language: str = ""
    """Of xml:lang, where an element around it says so."""


@dataclass(frozen=True, slots=True)
class PropertyUpdate:
    """Spec: RFC 4918 §14.19. In the order of the document."""

    changes: tuple[PropertyChange, ...]


@dataclass(frozen=True, slots=True)
class MakeCollection:
    """MKCOL with a body, or MKCALENDAR. Spec: RFC 5689 §5.1; RFC 4791 §9.2."""

    changes: tuple[PropertyChange, ...] = ()
    resource_types: frozenset[str] = frozenset()
    """Clark names; empty: not said."""


@dataclass(frozen=True, slots=True)
class CalendarQuery:
    """Spec: RFC 4791 §9.5."""

    wanted: PropFind
    filter: CompFilter
    timezone: str = ""
    timezone_id: str = ""
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class CalendarMultiget:
    """Spec: RFC 4791 §9.10."""

    wanted: PropFind
    hrefs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FreeBusyQuery:
    """Spec: RFC 4791 §9.11."""

    range: TimeRange


@dataclass(frozen=True, slots=True)
class AddressbookQuery:
    """Spec: RFC 6352 §10.3."""

    wanted: PropFind
    filter: CardFilter
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class AddressbookMultiget:
    """Spec: RFC 6352 §8.7."""

    wanted: PropFind
    hrefs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SyncCollection:
    """Spec: RFC 6578 §6.1."""

    token: str
    wanted: PropFind
    limit: int | None = None
    is_deep: bool = False


@dataclass(frozen=True, slots=True)
class Expansion:
    """A property whose hrefs are followed, and what is wanted there. Spec: RFC 3253 §3.8."""

    name: str
    inner: tuple[Expansion, ...] = ()


@dataclass(frozen=True, slots=True)
class ExpandProperty:
    """Spec: RFC 3253 §3.8."""

    properties: tuple[Expansion, ...]


@dataclass(frozen=True, slots=True)
class PrincipalMatch:
    """Spec: RFC 3744 §9.3."""

    wanted: PropFind
    is_self: bool
    property: str = ""


@dataclass(frozen=True, slots=True)
class PrincipalPropertySearch:
    """Spec: RFC 3744 §9.4."""

    wanted: PropFind
    searches: tuple[tuple[tuple[str, ...], str], ...]
    """Properties, and a text that must be in each of them."""
    is_any: bool = False
    is_everywhere: bool = False


@dataclass(frozen=True, slots=True)
class PrincipalSearchPropertySet:
    """Spec: RFC 3744 §9.5."""


@dataclass(frozen=True, slots=True)
class AclPrincipalPropSet:
    """Spec: RFC 3744 §9.2."""

    wanted: PropFind


Report = (
    CalendarQuery
    | CalendarMultiget
    | FreeBusyQuery
    | AddressbookQuery
    | AddressbookMultiget
    | SyncCollection
    | ExpandProperty
    | PrincipalMatch
    | PrincipalPropertySearch
    | PrincipalSearchPropertySet
    | AclPrincipalPropSet
)


@dataclass(frozen=True, slots=True)
class ShareChange:
    """Somebody may see a collection from now on, or no more. Spec: caldav-sharing (Apple) §5.3."""

    href: str
    """``mailto:`` address, or a principal's path."""
    access: str
    """``read``, ``read-write``, or empty: no more."""
    summary: str = ""
    common_name: str = ""


@dataclass(frozen=True, slots=True)
class ShareRequest:
    """Spec: caldav-sharing (Apple) §5.3; draft-pot-webdav-resource-sharing §4.3."""

    changes: tuple[ShareChange, ...]


@dataclass(frozen=True, slots=True)
class InviteReply:
    """A sharee's answer. Spec: caldav-sharing (Apple) §5.6."""

    host_url: str
    is_accepted: bool
    in_reply_to: str = ""
    summary: str = ""


@dataclass(frozen=True, slots=True)
class PushRegister:
    """Spec: WebDAV-Push draft, "Push subscription registration"."""

    push_url: str
    public_key: str
    """Of the client, P-256, base64url."""
    auth_secret: str
    """base64url."""
    watches_content: bool = True
    watches_properties: bool = False
    expires: str = ""
    """HTTP date; empty: not said."""
