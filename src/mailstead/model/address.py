"""Mail addresses as values.

Spec: RFC 5321 §2.3.11, §4.1.2; RFC 6531 §3.3 (internationalised); RFC 5321 §4.5.3.1 (lengths).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from mailstead.model.errors import BadAddress

LOCAL_PART_OCTETS_MAX: Final = 64
DOMAIN_OCTETS_MAX: Final = 255

# RFC 5321 §4.1.2, with RFC 6531 §3.3 adding UTF8-non-ascii to atext:
#   Dot-string = Atom *("." Atom)
_DOT_STRING: Final = re.compile(r"[^\s\x00-\x20\x7f()<>\[\]:;@\\,.\"]+(?:\.[^\s\x00-\x20\x7f()<>\[\]:;@\\,.\"]+)*")
#   QcontentSMTP = qtextSMTP / quoted-pairSMTP ; qtextSMTP = %d32-33 / %d35-91 / %d93-126
_QUOTED: Final = re.compile(r'"((?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*)"')
#   sub-domain = Let-dig [Ldh-str]; underscores appear in real names and harm nobody
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_ADDRESS_LITERAL: Final = re.compile(r"\[[0-9A-Za-z.:-]+\]")


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """A local part (unquoted, as given, NFC) and a domain (lower-case A-labels, or an address literal)."""

    local_part: str
    domain: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``local-part@domain`` as in an SMTP path, without brackets or source route.

        Errors: BadAddress, with a text that may be shown to anybody.
        """
        quoted = _QUOTED.match(text)
        if quoted:
            local_part, rest = re.sub(r"\\(.)", r"\1", quoted.group(1)), text[quoted.end() :]
        else:
            local_part, at, domain = text.rpartition("@")
            rest = at + domain
            if local_part and not _DOT_STRING.fullmatch(local_part):
                raise BadAddress("The part before the @ has characters that are not allowed")
        if not rest.startswith("@") or not local_part:
            raise BadAddress("An address is written name@domain")
        local_part = unicodedata.normalize("NFC", local_part)
        if len(local_part.encode("utf-8", "surrogatepass")) > LOCAL_PART_OCTETS_MAX:
            raise BadAddress(f"The part before the @ is longer than {LOCAL_PART_OCTETS_MAX} octets")
        return cls(local_part, normal_domain(rest[1:]))

    @property
    def is_ascii(self) -> bool:
        """Whether the address can be used without SMTPUTF8."""
        return self.local_part.isascii() and self.domain.isascii()

    @property
    def key(self) -> str:
        """The form under which the directory finds it: local part case-folded, domain lower-case."""
        return f"{self.local_part.casefold()}@{self.domain}"

    def __str__(self) -> str:
        if _DOT_STRING.fullmatch(self.local_part):
            return f"{self.local_part}@{self.domain}"
        escaped = re.sub(r'(["\\])', r"\\\1", self.local_part)
        return f'"{escaped}"@{self.domain}'


def normal_domain(text: str) -> str:
    """Give a domain as lower-case A-labels (``Bücher.example`` → ``xn--bcher-kva.example``).

    Errors: BadAddress.
    """
    if _ADDRESS_LITERAL.fullmatch(text):
        return text.lower()
    name = unicodedata.normalize("NFC", text).lower()
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            raise BadAddress("The domain cannot be written in ASCII (IDNA)") from None
    if not name or len(name) > DOMAIN_OCTETS_MAX:
        raise BadAddress("The domain is empty or too long")
    if not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise BadAddress("The domain has characters that are not allowed, or an empty label")
    return name
