"""Properties that tell who may do what. They are only told: who is let in is said by sharing and delegation.

Spec: RFC 3744 §5.3 to §5.8; RFC 4791 §6.1.1 (read-free-busy); RFC 6638 §6 (of inbox and outbox).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mailstead.model.dav import Access, CollectionKind, Resource
from mailstead.proto.dav import write
from mailstead.proto.dav.names import caldav, dav
from mailstead.services.dav.call import Call
from mailstead.services.dav.paths import Place, PlaceKind, principal
from mailstead.services.dav.properties.kinds import PlaceProperty, ResourceGetter, Subject
from mailstead.usecases.collections import Opened

_READ: Final = (dav("read"), dav("read-current-user-privilege-set"), caldav("read-free-busy"))
_WRITE: Final = (dav("write"), dav("write-properties"), dav("write-content"), dav("bind"), dav("unbind"))
_DELIVER: Final = (
    caldav("schedule-deliver"),
    caldav("schedule-deliver-invite"),
    caldav("schedule-deliver-reply"),
    caldav("schedule-query-freebusy"),
)
_SEND: Final = (
    caldav("schedule-send"),
    caldav("schedule-send-invite"),
    caldav("schedule-send-reply"),
    caldav("schedule-send-freebusy"),
)
_PROXIES: Final = (("calendar-proxy-read", Access.READ), ("calendar-proxy-write", Access.WRITE))
_WORDS: Final = {
    dav("all"): "Everything",
    dav("read"): "Read",
    dav("write"): "Change",
    dav("read-acl"): "See who may do what",
    caldav("schedule-deliver"): "Receive invitations",
    caldav("schedule-send"): "Send invitations",
}


def _element(name: str, privileges: Sequence[str]) -> str:
    return write.element(name, "".join(write.element(dav("privilege"), write.element(each)) for each in privileges))


_OF_OTHERS: Final = {
    access: _element(dav("current-user-privilege-set"), (*_READ, *more))
    for access, more in ((Access.READ, ()), (Access.WRITE, _WRITE))
}
_OWN: Final = _element(dav("current-user-privilege-set"), (dav("all"), *_READ, *_WRITE, dav("read-acl")))
_OWN_FROM_ELSEWHERE: Final = _element(
    dav("current-user-privilege-set"), (*_READ, dav("write-properties"), dav("read-acl"))
)
"""Of a subscription: what it is called is its owner's to say, not what is in it."""
_OWN_INBOX: Final = _element(dav("current-user-privilege-set"), (*_READ, dav("unbind"), dav("read-acl"), *_DELIVER))
_OWN_OUTBOX: Final = _element(dav("current-user-privilege-set"), (*_READ, dav("read-acl"), *_SEND))


def _of_collection(opened: Opened) -> str:
    if opened.collection.kind is CollectionKind.INBOX and opened.is_own:
        return _OWN_INBOX
    if opened.is_own:
        return _OWN_FROM_ELSEWHERE if opened.collection.source_url else _OWN
    return _OF_OTHERS[opened.access]


async def _privileges(call: Call, subject: Subject) -> str:
    """Spec: RFC 3744 §5.5."""
    if subject.opened is not None:
        return _of_collection(subject.opened)
    if not _is_own(call, subject):
        return _OF_OTHERS[Access.READ]
    return _OWN_OUTBOX if subject.place.kind is PlaceKind.OUTBOX else _OWN


def _resource_privileges(_call: Call, opened: Opened, _resource: Resource) -> str:
    return _of_collection(opened)


def _supported(name: str, within: Sequence[str] = ()) -> str:
    words = write.text(dav("description"), _WORDS.get(name, ""), "en") if name in _WORDS else ""
    told = write.element(dav("privilege"), write.element(name)) + words
    return write.element(dav("supported-privilege"), told + "".join(within))


def _set(*further: tuple[str, ...]) -> str:
    groups = [_READ, _WRITE, (dav("read-acl"),), *further]
    inner = [_supported(each[0], [_supported(name) for name in each[1:]]) for each in groups]
    return write.element(dav("supported-privilege-set"), _supported(dav("all"), inner))


_SETS: Final = {"": _set(), "inbox": _set(_DELIVER), "outbox": _set(_SEND)}


async def _supported_set(_call: Call, subject: Subject) -> str:
    """Spec: RFC 3744 §5.3."""
    if subject.place.kind is PlaceKind.OUTBOX:
        return _SETS["outbox"]
    opened = subject.opened
    return _SETS["inbox" if opened is not None and opened.collection.kind is CollectionKind.INBOX else ""]


def _resource_supported_set(_call: Call, _opened: Opened, _resource: Resource) -> str:
    return _SETS[""]


async def _acl(call: Call, subject: Subject) -> str | None:
    """Tell the owner who may do what: the owner, whom it is shared with, and who acts for the owner.

    Spec: RFC 3744 §5.5.
    """
    owner = subject.owner
    if owner is None or not _is_own(call, subject) or (subject.opened is not None and not subject.opened.is_own):
        return None
    entries = [_entry(principal(str(owner.address)).path, [dav("all")])]
    if subject.opened is not None and subject.opened.share is None:
        entries += [
            _entry(principal(str(each.sharee.address)).path, _granted(each.share.access))
            for each in await call.house.sharings.given(call.actor, subject.opened)
        ]
    if not (subject.is_book or subject.place.kind in {PlaceKind.BOOK_HOME, PlaceKind.OUTBOX}):
        accesses = {access for _, access in await call.house.sharings.delegates(call.actor, owner)}
        entries += [
            _entry(Place(PlaceKind.PROXY, user=str(owner.address), resource=name).path, _granted(access))
            for name, access in _PROXIES
            if access in accesses
        ]
    return write.element(dav("acl"), "".join(entries))


def _entry(path: str, privileges: Sequence[str]) -> str:
    return write.element(
        dav("ace"),
        write.element(dav("principal"), write.href(path))
        + _element(dav("grant"), privileges)
        + write.element(dav("protected")),
    )


def _granted(access: Access) -> list[str]:
    return [dav("read"), dav("write")] if access is Access.WRITE else [dav("read")]


async def _restrictions(_call: Call, _subject: Subject) -> str:
    """Spec: RFC 3744 §5.6."""
    return write.element(dav("acl-restrictions"), write.element(dav("grant-only")) + write.element(dav("no-invert")))


async def _inherited(_call: Call, _subject: Subject) -> str:
    return write.element(dav("inherited-acl-set"))


def _resource_inherited(call: Call, _opened: Opened, _resource: Resource) -> str:
    """An object is for whom its collection is. Spec: RFC 3744 §5.7."""
    return write.hrefs(dav("inherited-acl-set"), [call.collection_path])


async def _principal_collections(_call: Call, _subject: Subject) -> str:
    """Spec: RFC 3744 §5.8."""
    return write.hrefs(dav("principal-collection-set"), ["/principals/"])


def _is_own(call: Call, subject: Subject) -> bool:
    return subject.owner is not None and subject.owner.account_id == call.actor.account_id


PROPERTIES: Final[dict[str, PlaceProperty]] = {
    dav("current-user-privilege-set"): PlaceProperty(_privileges),
    dav("supported-privilege-set"): PlaceProperty(_supported_set),
    dav("acl"): PlaceProperty(_acl),
    dav("acl-restrictions"): PlaceProperty(_restrictions),
    dav("inherited-acl-set"): PlaceProperty(_inherited),
    dav("principal-collection-set"): PlaceProperty(_principal_collections),
}

RESOURCE_PROPERTIES: Final[dict[str, ResourceGetter]] = {
    dav("current-user-privilege-set"): _resource_privileges,
    dav("supported-privilege-set"): _resource_supported_set,
    dav("inherited-acl-set"): _resource_inherited,
}
