"""Properties of sharing and delegation.

Spec: caldav-sharing (Apple) §5.2; caldav-proxy (Apple) §5; draft-pot-webdav-resource-sharing §4.4; RFC 3744 §4.3, §4.4.
"""

from __future__ import annotations

from typing import Final

from mailstead.model.dav import Access, CollectionKind
from mailstead.model.errors import MailsteadError, NotAllowed
from mailstead.proto.dav import write
from mailstead.proto.dav.names import calendarserver, dav
from mailstead.proto.dav.xml import BadRequest, Element
from mailstead.services.dav.call import Call
from mailstead.services.dav.paths import Place, PlaceKind, principal
from mailstead.services.dav.properties.kinds import PlaceProperty, PropertyRefused, Subject
from mailstead.services.dav.sharing import address_of
from mailstead.usecases.collections import Opened

DELEGATES_MAX: Final = 100
PROXIES: Final = {"calendar-proxy-read": Access.READ, "calendar-proxy-write": Access.WRITE}
_WORDS: Final = {Access.READ: "read", Access.WRITE: "read-write"}


# shares


async def _modes(call: Call, subject: Subject) -> str | None:
    if not _is_shareable(call, subject):
        return None
    return write.element(calendarserver("allowed-sharing-modes"), write.element(calendarserver("can-be-shared")))


async def _invite(call: Call, subject: Subject) -> str | None:
    """Tell who has a share, as Apple's clients read it."""
    opened = subject.opened
    if opened is None or not (opened.share is not None or _is_shareable(call, subject)):
        return None
    pieces = []
    if opened.share is not None:
        pieces.append(
            write.element(
                calendarserver("organizer"),
                write.href(_principal(opened)) + write.text(calendarserver("common-name"), str(opened.owner.address)),
            )
        )
    for given in await call.house.sharings.given(call.actor, opened):
        address = str(given.sharee.address)
        word = calendarserver(_WORDS[given.share.access])
        state = calendarserver("invite-accepted" if given.share.is_accepted else "invite-noresponse")
        pieces.append(
            write.element(
                calendarserver("user"),
                write.href(f"mailto:{address}")
                + write.text(calendarserver("common-name"), address)
                + write.element(state)
                + write.element(calendarserver("access"), write.element(word)),
            )
        )
    return write.element(calendarserver("invite"), "".join(pieces))


async def _shared_url(_call: Call, subject: Subject) -> str | None:
    """Tell a sharee where the owner has the collection."""
    opened = subject.opened
    if opened is None or opened.share is None:
        return None
    there = Place(PlaceKind.COLLECTION, user=str(opened.owner.address), collection_kind=opened.collection.kind)
    return write.hrefs(
        calendarserver("shared-url"), [there.in_home(opened.collection.kind, opened.collection.name).path]
    )


async def _share_access(call: Call, subject: Subject) -> str | None:
    opened = subject.opened
    if opened is None or opened.collection.kind is CollectionKind.INBOX:
        return None
    if opened.share is not None:
        word = _WORDS[opened.access]
    elif _is_shareable(call, subject) and await call.house.sharings.is_shared(opened):
        word = "shared-owner"
    else:
        word = "not-shared"
    return write.element(dav("share-access"), write.element(dav(word)))


async def _sharees(call: Call, subject: Subject) -> str | None:
    """Tell who has a share, in the draft's words."""
    opened = subject.opened
    if opened is None or not _is_shareable(call, subject):
        return None
    pieces = []
    for given in await call.house.sharings.given(call.actor, opened):
        address = str(given.sharee.address)
        state = dav("invite-accepted" if given.share.is_accepted else "invite-noresponse")
        pieces.append(
            write.element(
                dav("sharee"),
                write.href(f"mailto:{address}")
                + write.element(dav("prop"), write.text(dav("displayname"), address))
                + write.element(state)
                + write.element(dav("share-access"), write.element(dav(_WORDS[given.share.access]))),
            )
        )
    return write.element(dav("invite"), "".join(pieces))


# delegates


async def _memberships(call: Call, subject: Subject) -> str | None:
    """Tell for whom the actor acts: the groups that the actor is in. Spec: RFC 3744 §4.4."""
    if not subject.is_principal:
        return None
    paths = [path for access in Access for path in await _acts_for(call, subject, access, is_group=True)]
    return write.hrefs(dav("group-membership"), paths)


async def _reads_for(call: Call, subject: Subject) -> str | None:
    if not subject.is_principal:
        return None
    return write.hrefs(calendarserver("calendar-proxy-read-for"), await _acts_for(call, subject, Access.READ))


async def _writes_for(call: Call, subject: Subject) -> str | None:
    if not subject.is_principal:
        return None
    return write.hrefs(calendarserver("calendar-proxy-write-for"), await _acts_for(call, subject, Access.WRITE))


async def _members(call: Call, subject: Subject) -> str | None:
    """Tell who acts for a principal. Spec: RFC 3744 §4.3; caldav-proxy §5.2."""
    if subject.place.kind is not PlaceKind.PROXY or subject.owner is None:
        return None
    wanted = PROXIES[subject.place.resource]
    try:
        found = await call.house.sharings.delegates(call.actor, subject.owner)
    except NotAllowed:
        return None
    return write.hrefs(
        dav("group-member-set"),
        [principal(str(account.address)).path for account, access in found if access is wanted],
    )


async def _set_members(call: Call, subject: Subject, element: Element | None) -> None:
    """Say who acts for a principal: those who are named, and nobody else in this way."""
    if subject.place.kind is not PlaceKind.PROXY or subject.owner is None:
        raise PropertyRefused(403, dav("cannot-modify-protected-property"))
    access, owner, sharings = PROXIES[subject.place.resource], subject.owner, call.house.sharings
    hrefs = [each.text for each in element.all(dav("href"))] if element is not None else []
    if len(hrefs) > DELEGATES_MAX:
        raise PropertyRefused(507)
    try:
        wanted = {address.key: address for href in hrefs if (address := address_of(call, href))}
        there = {
            account.address.key: account.address
            for account, known in await sharings.delegates(call.actor, owner)
            if known is access
        }
        for key in wanted.keys() - there.keys():
            await sharings.set_delegate(call.actor, owner, wanted[key], access)
        for key in there.keys() - wanted.keys():
            await sharings.set_delegate(call.actor, owner, there[key], None)
    except BadRequest:
        raise PropertyRefused(403) from None
    except MailsteadError as error:
        raise PropertyRefused(503 if error.is_temporary else 403) from None


async def _acts_for(call: Call, subject: Subject, access: Access, *, is_group: bool = False) -> list[str]:
    if subject.owner is None or subject.owner.account_id != call.actor.account_id:
        return []
    group = next(name for name, known in PROXIES.items() if known is access)
    paths = [
        principal(str(account.address)).path
        for account, known in await call.house.collections.delegators(call.actor)
        if known is access
    ]
    return [f"{path}{group}/" for path in paths] if is_group else paths


def _is_shareable(call: Call, subject: Subject) -> bool:
    opened = subject.opened
    return (
        opened is not None
        and opened.share is None
        and not opened.is_people
        and opened.owner.account_id == call.actor.account_id
        and opened.collection.kind is not CollectionKind.INBOX
    )


def _principal(opened: Opened) -> str:
    return principal(str(opened.owner.address)).path


PROPERTIES: Final[dict[str, PlaceProperty]] = {
    calendarserver("allowed-sharing-modes"): PlaceProperty(_modes),
    calendarserver("invite"): PlaceProperty(_invite),
    calendarserver("shared-url"): PlaceProperty(_shared_url),
    dav("share-access"): PlaceProperty(_share_access),
    dav("invite"): PlaceProperty(_sharees),
    dav("group-membership"): PlaceProperty(_memberships),
    dav("group-member-set"): PlaceProperty(_members, change_place=_set_members),
    calendarserver("calendar-proxy-read-for"): PlaceProperty(_reads_for),
    calendarserver("calendar-proxy-write-for"): PlaceProperty(_writes_for),
}
