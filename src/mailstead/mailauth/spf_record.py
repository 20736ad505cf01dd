"""The grammar of an SPF record: mechanisms in their order, then redirect and exp.

Spec: RFC 7208 §4.6.1, §5, §6, §12.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from mailstead.mailauth.spf_macro import BadRecord, MacroString, domain_spec, macro_string
from mailstead.model.authentication import Result

RECORD_OCTETS_MAX: Final = 8192
"""Those that make sense have some hundreds (RFC 7208 §3.4)."""
_OPEN_ADDRESSES: Final = {4: 1 << 26, 6: 1 << 112}
"""A record that passes more than four /8 of IPv4, or a /16 of IPv6, passes everybody (attack row 33)."""

_QUALIFIERS: Final = {"+": Result.PASS, "-": Result.FAIL, "~": Result.SOFTFAIL, "?": Result.NEUTRAL}
# RFC 7208 §4.6.1:
#   directive = [ qualifier ] mechanism ; qualifier = "+" / "-" / "?" / "~"
#   modifier  = redirect / explanation / unknown-modifier
#   unknown-modifier = name "=" macro-string ; name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )
_MODIFIER: Final = re.compile(r"([a-z][a-z0-9._-]*)=(.*)", re.IGNORECASE | re.DOTALL)
_DIRECTIVE: Final = re.compile(
    r"([-+~?]?)(all|include|a|mx|ptr|ip4|ip6|exists)((?:[:/].*)?)", re.IGNORECASE | re.DOTALL
)
# RFC 7208 §5.3, §5.6:
#   dual-cidr-length = [ ip4-cidr-length ] [ "/" ip6-cidr-length ]
#   ip4-cidr-length = "/" ("0" / %x31-39 0*1DIGIT) ; ip6-cidr-length = "/" ("0" / %x31-39 0*2DIGIT)
_DUAL_CIDR: Final = re.compile(r"(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?\Z")
_IP4: Final = re.compile(r":([0-9.]+)(?:/(0|[1-9][0-9]?))?")
_IP6: Final = re.compile(r":([0-9a-f:.]+)(?:/(0|[1-9][0-9]{0,2}))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One directive."""

    qualifier: Result
    name: str
    text: str
    """As written."""
    target: MacroString | None = None
    network: IPv4Network | IPv6Network | None = None
    """Of ip4 and ip6."""
    prefix4: int = 32
    prefix6: int = 128
    """Of a and mx."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record without syntax errors."""

    mechanisms: tuple[Mechanism, ...] = ()
    redirect: MacroString | None = None
    exp: MacroString | None = None
    is_open: bool = False
    """Its ip4 and ip6 let nearly everybody pass."""


def is_record(text: bytes) -> bool:
    """Whether a TXT record is one of SPF. Spec: RFC 7208 §4.5."""
    return text[:6].lower() == b"v=spf1" and text[6:7] in {b"", b" "}


@lru_cache(maxsize=1024)
def parsed(octets: bytes) -> Record:
    """Read a record of which `is_record` is true.

    Errors: BadRecord, for any syntax error anywhere.
    Spec: RFC 7208 §4.6, §3.1 (ASCII only).
    """
    if len(octets) > RECORD_OCTETS_MAX:
        raise BadRecord("the record is too long")
    try:
        text = octets.decode("ascii")
    except UnicodeDecodeError:
        raise BadRecord("the record is not ASCII") from None
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, MacroString] = {}
    for term in text.split(" ")[1:]:
        modifier = _MODIFIER.fullmatch(term)
        if modifier is None:
            if term:
                mechanisms.append(_mechanism(term))
            continue
        name, value = modifier[1].lower(), modifier[2]
        if name not in {"redirect", "exp"}:
            macro_string(value)  # unknown ones are ignored, but must be well formed
        elif name in modifiers:
            raise BadRecord(f"{name}= stands twice")
        else:
            modifiers[name] = domain_spec(value)
    return Record(tuple(mechanisms), modifiers.get("redirect"), modifiers.get("exp"), _is_open(mechanisms))


def _mechanism(term: str) -> Mechanism:
    found = _DIRECTIVE.fullmatch(term)
    if found is None:
        raise BadRecord(f"{term[:80]!r} is no mechanism")
    qualifier, name, rest = _QUALIFIERS[found[1] or "+"], found[2].lower(), found[3]
    match name:
        case "all":
            if rest:
                raise BadRecord(f"{term[:80]!r}: all takes nothing")
            return Mechanism(qualifier, name, term)
        case "ip4" | "ip6":
            return Mechanism(qualifier, name, term, network=_network(term, name, rest))
        case "a" | "mx":
            cidr = _DUAL_CIDR.search(rest)
            assert cidr is not None  # it may be empty
            prefix4, prefix6 = int(cidr[1] or 32), int(cidr[2] or 128)
            if prefix4 > 32 or prefix6 > 128:
                raise BadRecord(f"{term[:80]!r} has a prefix that is too long")
            return Mechanism(
                qualifier, name, term, _target(term, rest[: cidr.start()]), prefix4=prefix4, prefix6=prefix6
            )
        case _:
            target = _target(term, rest)
            if target is None and name != "ptr":
                raise BadRecord(f"{term[:80]!r} needs a domain")
            return Mechanism(qualifier, name, term, target)


def _target(term: str, rest: str) -> MacroString | None:
    if not rest:
        return None
    if not rest.startswith(":"):
        raise BadRecord(f"{term[:80]!r} has a prefix that is not allowed")
    return domain_spec(rest[1:])


def _network(term: str, name: str, rest: str) -> IPv4Network | IPv6Network:
    found = (_IP4 if name == "ip4" else _IP6).fullmatch(rest)
    try:
        if found is not None:
            network = ip_network(f"{found[1]}/{found[2] or (32 if name == 'ip4' else 128)}", strict=False)
            if network.version == (4 if name == "ip4" else 6):
                return network
    except ValueError:
        pass
    raise BadRecord(f"{term[:80]!r} is no network")


def _is_open(mechanisms: list[Mechanism]) -> bool:
    count = {4: 0, 6: 0}
    for mechanism in mechanisms:
        if mechanism.network is not None and mechanism.qualifier is Result.PASS:
            count[mechanism.network.version] += mechanism.network.num_addresses
    return any(count[version] > limit for version, limit in _OPEN_ADDRESSES.items())
