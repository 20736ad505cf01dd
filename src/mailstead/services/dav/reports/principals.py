"""Reports about principals, and the one that follows hrefs.

Whoever searches finds nobody but oneself: who else has an account here is not told (attack row 84).

Spec: RFC 3744 §9; RFC 3253 §3.8.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from starlette.responses import Response

from mailstead.model.errors import MailsteadError
from mailstead.proto.dav import write
from mailstead.proto.dav.names import dav
from mailstead.proto.dav.types import (
    AclPrincipalPropSet,
    ExpandProperty,
    Expansion,
    PrincipalMatch,
    PrincipalPropertySearch,
    PrincipalSearchPropertySet,
    PropFind,
    PropFindKind,
)
from mailstead.proto.dav.xml import BadRequest, parse
from mailstead.services.dav.call import Call
from mailstead.services.dav.methods.propfind import place_response, place_values, subject_of
from mailstead.services.dav.paths import PlaceKind, place_of, principal
from mailstead.services.dav.reports.answers import multistatus

EXPANSIONS_MAX: Final = 200
SEARCHABLE: Final = (dav("displayname"),)


async def principal_match(call: Call, report: PrincipalMatch) -> Response:
    """Give the actor's own principal. Spec: RFC 3744 §9.3."""
    return await _of_oneself(call, report.wanted, matches=True)


async def principal_property_search(call: Call, report: PrincipalPropertySearch) -> Response:
    """Give the actor, if the texts are in what is searched. Spec: RFC 3744 §9.4."""
    own = await subject_of(call, principal(call.own_name))
    found = []
    for names, text in report.searches:
        values, _ = await place_values(call, own, PropFind(PropFindKind.PROP, names))
        found.append(len(values) == len(names) and all(text.casefold() in each.casefold() for each in values.values()))
    return await _of_oneself(call, report.wanted, matches=any(found) if report.is_any else all(found))


async def principal_search_property_set(_call: Call, _report: PrincipalSearchPropertySet) -> Response:
    """Tell what can be searched for. Spec: RFC 3744 §9.5."""
    inner = "".join(
        write.element(
            dav("principal-search-property"),
            write.element(dav("prop"), write.element(name)) + write.text(dav("description"), "Name", "en"),
        )
        for name in SEARCHABLE
    )
    return Response(write.document(dav("principal-search-property-set"), inner), media_type=write.CONTENT_TYPE)


async def acl_principal_prop_set(call: Call, report: AclPrincipalPropSet) -> Response:
    """Give the owner, who alone stands in the access list. Spec: RFC 3744 §9.2."""
    return await _of_oneself(call, report.wanted, matches=True)


async def expand_property(call: Call, report: ExpandProperty) -> Response:
    """Give properties with what their hrefs lead to in their place. Spec: RFC 3253 §3.8."""
    left = [EXPANSIONS_MAX]

    async def values_of(path: str, wanted: tuple[Expansion, ...]) -> str:
        left[0] -= 1
        place = place_of(path)
        if place is None or left[0] < 0 or place.kind is PlaceKind.RESOURCE:
            return write.bare_response(path, 404)
        try:
            subject = await subject_of(call, place)
        except MailsteadError:
            return write.bare_response(path, 404)
        values, missing = await place_values(
            call, subject, PropFind(PropFindKind.PROP, tuple(each.name for each in wanted))
        )
        for each in wanted:
            if each.inner and each.name in values:
                hrefs = _hrefs(values[each.name])
                inner = [await values_of(href, each.inner) for href in hrefs]
                values[each.name] = write.element(each.name, "".join(inner))
        return write.response(path, values, {404: missing})

    async def pieces() -> AsyncIterator[str]:
        yield await values_of(call.place.path, report.properties)
        yield write.end()

    return await multistatus(pieces())


async def _of_oneself(call: Call, wanted: PropFind, *, matches: bool) -> Response:
    async def pieces() -> AsyncIterator[str]:
        if matches:
            yield await place_response(call, await subject_of(call, principal(call.own_name)), wanted)
        yield write.end()

    return await multistatus(pieces())


def _hrefs(value: str) -> list[str]:
    """Give the hrefs in a property that we have written ourselves."""
    try:
        root = parse(write.document(dav("prop"), value).encode())
    except BadRequest:
        return []
    return [each.text for prop in root.children for each in prop.all(dav("href"))]


REPORTS: Final = {
    PrincipalMatch: principal_match,
    PrincipalPropertySearch: principal_property_search,
    PrincipalSearchPropertySet: principal_search_property_set,
    AclPrincipalPropSet: acl_principal_prop_set,
    ExpandProperty: expand_property,
}
