"""Addresses in messages: which links may be followed, which images are remote, and links that name another host.

Spec: RFC 3986; URL Living Standard §4.4 (what browsers make of white space, control characters and backslashes).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple
from urllib.parse import urlsplit

ADDRESS_CHARACTERS_MAX: Final = 8000
LINK_TEXT_CHARACTERS_MAX: Final = 300

_REMOVED: Final = re.compile(r"[\t\n\r]")
_EDGES: Final = "".join(map(chr, range(33)))
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_WEB: Final = re.compile(r"(https?):[/\\]*([^/\\?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_ESCAPED: Final = re.compile(r"[\x00-\x20\x7f\"'<>\\^`{|}()]")
_HOST: Final = re.compile(
    r"(?:[\w-]{1,63}\.){0,20}[\w-]{1,63}\.?(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,60}\](?::[0-9]{1,5})?"
)
_NUMBER: Final = re.compile(r"tel:\+?[0-9();=.\-+*#A-Za-z%]{1,100}", re.IGNORECASE)
# A text that a reader takes for an address: a scheme, www., or a lone name with a path or a known end.
_NAMED: Final = re.compile(
    r"(?:https?:/{0,3}(?:[^\s/@]{1,100}@)?((?:[\w-]{1,63}\.){1,8}[\w-]{2,63})"
    r"|\b(www\.(?:[\w-]{1,63}\.){1,8}[\w-]{2,63})"
    r"|^\W{0,5}((?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24})(?=[/:?#]|\W{0,5}$))",
    re.IGNORECASE,
)


class MisleadingLink(NamedTuple):
    """A link whose text names another host than the one that it leads to, or hides where it leads to."""

    text: str
    host: str
    """Where it leads to."""


def cleaned(address: str) -> str:
    """Give an address without what browsers pass over. Spec: URL §4.4 (leading and trailing C0, tab and newline)."""
    return _REMOVED.sub("", address.strip(_EDGES)) if len(address) <= ADDRESS_CHARACTERS_MAX else ""


def scheme_of(address: str) -> str:
    """Give the scheme of a cleaned address in lower case; empty if it has none."""
    found = _SCHEME.match(address)
    return found[1].lower() if found else ""


def web_address(address: str) -> str:
    """Give an http or https address in one form that all programs read alike; empty for anything else.

    User names are taken out: ``https://known.example@other.example`` serves deceit only.
    """
    found = _WEB.fullmatch(cleaned(address))
    if found is None:
        return ""
    host = found[2].rpartition("@")[2].lower()
    if not _HOST.fullmatch(host):
        host = _percent_decoded_host(host)
        if not _HOST.fullmatch(host):
            return ""
    rest = _escaped(found[3].replace("\\", "/", 0 if "?" in found[3] else -1))
    if not rest.startswith("/"):
        rest = "/" + rest
    return f"{found[1].lower()}://{host}{rest}"


def link_target(address: str) -> str:
    """Give the address of a link that may be followed (http, https, mailto, tel), or an empty text."""
    address = cleaned(address)
    scheme = scheme_of(address)
    if scheme in {"http", "https"}:
        return web_address(address)
    if not scheme and address.startswith(("//", "\\\\", "/\\", "\\/")):
        return web_address("https:" + address)
    if scheme == "mailto":
        return "mailto:" + _escaped(address[7:])
    if scheme == "tel" and _NUMBER.fullmatch(address):
        return address.lower()
    return ""


def remote_address(address: str) -> str:
    """Give the address of what would be fetched over the web, or an empty text: for images."""
    address = cleaned(address)
    if not scheme_of(address) and address.startswith(("//", "\\\\", "/\\", "\\/")):
        address = "https:" + address
    return web_address(address)


def host_of(address: str) -> str:
    """Give the host of what `web_address` has given."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def misleading(text: str, address: str) -> MisleadingLink | None:
    """Tell when a link's text names a host, or a mail address, that it does not lead to.

    Shapes: `address` is from `link_target`. Subdomains of each other are one host. Text without a host says nothing.
    """
    text = " ".join(unicodedata.normalize("NFKC", text[:LINK_TEXT_CHARACTERS_MAX]).split())
    text = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    if address.startswith("mailto:"):
        return _misleading_mail(text, address)
    target = host_of(address)
    if not target or "@" in text.partition("//")[2].partition("/")[0]:
        # A user name in a text serves deceit only; without a scheme it is a mail address, which is looked at below.
        return MisleadingLink(text, target) if target else None
    if "@" in text and "//" not in text:
        return None
    for found in _NAMED.finditer(text):
        named = (found[1] or found[2] or found[3]).lower().rstrip(".")
        if not _are_one(named, target):
            return MisleadingLink(text, target)
    return None


def _misleading_mail(text: str, address: str) -> MisleadingLink | None:
    target = address[7:].partition("?")[0].lower()
    found = re.search(r"[\w.+-]{1,64}@((?:[\w-]{1,63}\.){1,8}[\w-]{2,63})", text)
    if found is None or not target or found[0].lower() == target.replace("%40", "@"):
        return None
    domain = target.replace("%40", "@").rpartition("@")[2]
    return None if _are_one(found[1].lower(), domain) else MisleadingLink(text, domain)


def _are_one(named: str, target: str) -> bool:
    named, target = _ascii(named.removeprefix("www.")), _ascii(target.removeprefix("www."))
    return named == target or target.endswith(f".{named}") or named.endswith(f".{target}")


def _ascii(host: str) -> str:
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return host.lower()


def _escaped(text: str) -> str:
    """Escape what has a meaning in HTML or CSS, or none in addresses. Spec: RFC 3986 §2.1."""
    return _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", text)


def _percent_decoded_host(host: str) -> str:
    return re.sub(r"%([2-7][0-9A-Fa-f])", lambda found: chr(int(found[1], 16)), host).lower()
