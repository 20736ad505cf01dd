"""DMARC policy records, and where to look for them.

What is wrong in a record is as if it were not there; only what makes it a DMARC record must be right.

Spec: RFC 9989 §4.7, §4.8, §4.10; RFC 7489 §6.3 for ``pct=``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

RECORD_OCTETS_MAX: Final = 8192
LABELS_MAX: Final = 8
"""So many questions lead up the tree. Spec: RFC 9989 §4.10."""

# RFC 9989 §4.8:
#   dmarc-record  = dmarc-version *(dmarc-sep dmarc-tag) [dmarc-sep] ; dmarc-sep = *WSP ";" *WSP
#   dmarc-version = "v" equals %s"DMARC1" ; equals = *WSP "=" *WSP
_VERSION: Final = re.compile(rb"[ \t]*[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_REQUESTS: Final = frozenset({"none", "quarantine", "reject"})
#   dmarc-uri = URI ; obs-dmarc-report-size = "!" 1*DIGIT [ "k" / "m" / "g" / "t" ]
_URI: Final = re.compile(r"[a-z][a-z0-9+.-]*:[^\s,!;]+(?:![0-9]+[kmgt]?)?", re.IGNORECASE)
_ONE_LEVEL_BELOW: Final = {"reject": "quarantine", "quarantine": "none", "none": "none"}


@dataclass(frozen=True, slots=True)
class Record:
    """What a domain asks for."""

    policy: str = ""
    """p=; empty if it is missing or wrong"""
    subdomain_policy: str = ""
    """sp=, else p="""
    nonexistent_policy: str = ""
    """np=, else sp=, else p="""
    is_dkim_strict: bool = False
    is_spf_strict: bool = False
    is_testing: bool = False
    psd: str = "u"
    aggregate_to: tuple[str, ...] = ()
    """rua= as written"""

    @property
    def applies(self) -> bool:
        """Whether the record makes DMARC apply. Spec: RFC 9989 §4.10.1."""
        return bool(self.policy or self.aggregate_to)

    def asked(self, policy: str) -> str:
        """Give what one of the policies means, testing considered. Spec: RFC 9989 §4.7 (t)."""
        return _ONE_LEVEL_BELOW[policy or "none"] if self.is_testing else policy or "none"


@lru_cache(maxsize=1024)
def parsed(octets: bytes) -> Record | None:
    """Read a TXT record; None if it is not one of DMARC.

    Spec: RFC 9989 §4.7, §4.8; §4.10.1 (what a wrong policy means). A record of RFC 7489 with pct=0 is in testing, which
    is what such a one meant; other percentages say nothing any more.
    """
    if len(octets) > RECORD_OCTETS_MAX or not _VERSION.match(octets):
        return None
    tags: dict[str, str] = {}
    for spec in octets.decode("ascii", "replace").split(";")[1:]:
        name, equals, value = spec.partition("=")
        if equals:
            tags.setdefault(name.strip().lower(), value.strip())
    uris = tuple(uri for each in tags.get("rua", "").split(",") if _URI.fullmatch(uri := each.strip()))
    requests = {name: tags[name].lower() for name in ("p", "sp", "np") if name in tags}
    if "p" not in requests or not _REQUESTS.issuperset(requests.values()):
        requests = {"p": "none"} if uris else {}
    policy = requests.get("p", "")
    subdomain_policy = requests.get("sp", policy)
    is_testing = tags["t"].lower() == "y" if "t" in tags else tags.get("pct") == "0"
    psd = tags.get("psd", "u").lower()
    return Record(
        policy,
        subdomain_policy,
        requests.get("np", subdomain_policy),
        tags.get("adkim", "r").lower() == "s",
        tags.get("aspf", "r").lower() == "s",
        is_testing,
        psd if psd in {"y", "n"} else "u",
        uris,
    )


def walk(domain: str) -> Iterator[str]:
    """Yield the names of the tree walk: the domain, then its parents, skipping some of very long names.

    Spec: RFC 9989 §4.10, steps 1 to 7.
    """
    yield domain
    labels = domain.split(".")
    for count in range(min(len(labels), LABELS_MAX) - 1, 0, -1):
        yield ".".join(labels[-count:])
