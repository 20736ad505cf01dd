"""Fields of requests that say under which conditions, how deep, and where to.

Spec: RFC 4918 §10; RFC 9110 §13.1; RFC 6638 §8; RFC 7240; RFC 8144; RFC 7809 §7.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from mailstead.model.dav import ALWAYS, Precondition
from mailstead.proto.dav.paths import segments
from mailstead.proto.dav.types import Depth
from mailstead.proto.dav.xml import BadRequest

IF_OCTETS_MAX: Final = 8 * 1024
"""Of an If field (attack row 82)."""
LISTS_MAX: Final = 50

_ETAG: Final = re.compile(r'\s*(W/)?"([^"\x00-\x20\x7f]*)"\s*(?:,|$)')
# If            = "If" ":" ( 1*No-tag-list | 1*Tagged-list )
# List          = "(" 1*Condition ")"
# Condition     = ["Not"] (State-token | "[" entity-tag "]")
_IF: Final = re.compile(
    r'\s*(?:(?P<open>\()|(?P<close>\))|(?P<not>not\b)|\[(?P<weak>W/)?"(?P<etag>[^"\]]*)"\]|<(?P<token>[^<>\s]+)>)',
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Prefer:
    """Spec: RFC 7240; RFC 8144."""

    is_minimal: bool = False
    is_representation: bool = False
    is_noroot: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of an If list: an etag, or a state token. Spec: RFC 4918 §10.4."""

    etag: str | None
    """None: it is about the token. A weak one keeps its ``W/`` and quotes, and so is none of ours."""
    token: str
    is_negated: bool


@dataclass(frozen=True, slots=True)
class IfList:
    """Conditions that hold together, for a resource. Spec: RFC 4918 §10.4."""

    resource: str
    """Path; empty: the one of the request."""
    conditions: tuple[Condition, ...]


def depth(value: str | None, default: Depth) -> Depth:
    """Spec: RFC 4918 §10.2. Errors: BadRequest."""
    if value is None:
        return default
    word, _, rest = value.lower().partition(",")
    try:
        if rest.strip() not in {"", "noroot"}:
            raise ValueError
        return Depth(word.strip())
    except ValueError:
        raise BadRequest("Depth is 0, 1 or infinity") from None


def destination(value: str | None, host: str) -> str:
    """Give the path of a Destination, still percent-encoded; it must be on the same host.

    Spec: RFC 4918 §10.3. Errors: BadRequest (502 for another server, attack row 82).
    """
    if not value:
        raise BadRequest("Destination is missing")
    try:
        parts = urlsplit(value.strip())
        port = ":443" if parts.scheme == "https" else ":80"
        named = parts.netloc.rpartition("@")[2].lower().removesuffix(port)
        is_elsewhere = bool(parts.netloc) and named != host.lower().removesuffix(port)
    except ValueError:
        raise BadRequest("Destination is no address") from None
    if parts.scheme not in {"", "http", "https"} or is_elsewhere:
        raise BadRequest("Destination is on another server", 502)
    if not parts.path.startswith("/"):
        raise BadRequest("Destination has no path")
    return parts.path


def overwrites(value: str | None) -> bool:
    """Spec: RFC 4918 §10.6. Errors: BadRequest."""
    if value is None or value.strip().upper() == "T":
        return True
    if value.strip().upper() == "F":
        return False
    raise BadRequest("Overwrite is T or F")


def precondition(headers: Mapping[str, str], path: str = "") -> Precondition:
    """Give what If-Match, If-None-Match, If-Schedule-Tag-Match and If ask of the resource of the request.

    Names of `headers` are in lower case. Weak etags match nothing that is to be changed.

    Spec: RFC 9110 §13.1.1, §13.1.2; RFC 6638 §8.3; RFC 4918 §10.4.
    Errors: BadRequest.
    """
    matches, none_matches = headers.get("if-match"), headers.get("if-none-match")
    schedule_tag = headers.get("if-schedule-tag-match")
    condition = headers.get("if")
    if matches is None and none_matches is None and schedule_tag is None and condition is None:
        return ALWAYS
    etags: frozenset[str] | None = None
    must_exist = False
    if matches is not None:
        must_exist = matches.strip() == "*"
        etags = None if must_exist else _etags(matches)
    must_be_absent = none_matches is not None and none_matches.strip() == "*"
    absent = _etags(none_matches) if none_matches is not None and not must_be_absent else frozenset()
    if condition is not None:
        wanted, denied = _if_etags(if_lists(condition), path)
        absent |= denied
        if wanted is not None:
            etags = wanted if etags is None else etags & wanted
    tag: str | None = None
    if schedule_tag is not None:
        tags = _etags(schedule_tag)
        if len(tags) != 1:
            raise BadRequest("If-Schedule-Tag-Match has one tag")
        (tag,) = tags
    return Precondition(etags, must_exist, must_be_absent, absent, tag)


def if_lists(value: str) -> tuple[IfList, ...]:
    """Read an If field. Spec: RFC 4918 §10.4. Errors: BadRequest."""
    if len(value) > IF_OCTETS_MAX:
        raise BadRequest("The If field is too long", 431)
    lists: list[IfList] = []
    conditions: list[Condition] = []
    resource, is_open, is_negated, position = "", False, False, 0
    while value[position:].strip():
        read = _IF.match(value, position)
        if read is None:
            raise BadRequest("The If field cannot be read")
        position = read.end()
        if read["open"] and not is_open:
            is_open, conditions, is_negated = True, [], False
        elif read["close"] and is_open and conditions:
            lists.append(IfList(resource, tuple(conditions)))
            is_open = False
        elif read["not"] and is_open and not is_negated:
            is_negated = True
        elif read["token"] is not None and not is_open:
            resource = _tagged(read["token"])
        elif is_open and (read["token"] is not None or read["etag"] is not None):
            etag = f'W/"{read["etag"]}"' if read["weak"] else read["etag"]
            conditions.append(Condition(etag, read["token"] or "", is_negated))
            is_negated = False
        else:
            raise BadRequest("The If field cannot be read")
        if len(lists) > LISTS_MAX:
            raise BadRequest("The If field has too many lists", 431)
    if is_open or not lists:
        raise BadRequest("The If field cannot be read")
    return tuple(lists)


def prefer(headers: Mapping[str, str]) -> Prefer:
    """Give the preferences; Brief says the same as ``return=minimal``. Spec: RFC 7240 §4.2; RFC 8144 §2."""
    # Parameters behind a preference, and spaces around "=", change nothing of ours.
    wished = headers.get("prefer", "").lower().split(",")
    words = {"".join(each.partition(";")[0].replace('"', "").split()) for each in wished}
    is_brief = headers.get("brief", "").strip().lower() == "t"
    return Prefer(
        is_brief or "return=minimal" in words,
        "return=representation" in words,
        "depth-noroot" in words or headers.get("depth", "").lower().rstrip().endswith("noroot"),
    )


def wants_zones(headers: Mapping[str, str]) -> bool | None:
    """Give whether VTIMEZONEs are wanted; None: not said. Spec: RFC 7809 §7.1."""
    return {"T": True, "F": False}.get(headers.get("caldav-timezones", "").strip().upper())


def media_type(value: str | None) -> tuple[str, str]:
    """Give type and subtype in lower case, and the charset; empty where not said. Spec: RFC 9110 §8.3."""
    if not value:
        return "", ""
    kind, _, parameters = value.partition(";")
    found = re.search(r'charset\s*=\s*"?([A-Za-z0-9_.:-]+)', parameters, re.IGNORECASE)
    return kind.strip().lower(), found[1].lower() if found is not None else ""


def _etags(value: str) -> frozenset[str]:
    """Give the strong etags of a list. Errors: BadRequest."""
    found, position = set(), 0
    while value[position:].strip():
        read = _ETAG.match(value, position)
        if read is None:
            raise BadRequest("That is no list of etags")
        if not read[1]:
            found.add(read[2])
        position = read.end()
    return frozenset(found)


def _tagged(address: str) -> str:
    try:
        return urlsplit(address).path
    except ValueError:
        raise BadRequest("The If field names what is no address") from None


def _is_same(resource: str, path: str) -> bool:
    """Whether two paths name the same, however it is encoded (``@`` and ``%40``)."""
    return segments(resource)[0] == segments(path)[0]


def _if_etags(lists: tuple[IfList, ...], path: str) -> tuple[frozenset[str] | None, frozenset[str]]:
    """Give the etags of which the resource must have one (None: not asked), and those that it must not have.

    One list must hold. No lock is ever given: a list that asks for one cannot hold, and "Not" of one always does.
    """
    asked = [each for each in lists if not each.resource or _is_same(each.resource, path)]
    if not asked:
        return None, frozenset()
    wanted: set[str] = set()
    denied: set[str] | None = None  # None: each list wants an etag
    for each in asked:
        if any(one.token and not one.is_negated for one in each.conditions):
            continue
        these = {one.etag for one in each.conditions if one.etag is not None and not one.is_negated}
        not_these = {one.etag for one in each.conditions if one.etag is not None and one.is_negated}
        if len(these) == 1:
            wanted |= these - not_these
        elif not these:
            denied = not_these if denied is None else denied & not_these
    if denied is None:
        return frozenset(wanted), frozenset()
    return None, frozenset(denied - wanted)
