"""Which local parts nobody may have, and how addresses with a detail are read.

The detail is meant as in RFC 5233 §1.

Spec: RFC 5321 §4.5.1 (postmaster).
"""

from __future__ import annotations

import unicodedata
from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import Alias, AliasKind
from mailstead.model.verdict import Decision, Verdict

DETAIL_SEPARATOR: Final = "+"
POSTMASTER: Final = "postmaster"

DMARC_REPORTS: Final = "dmarc-reports"
TLS_REPORTS: Final = "tls-reports"
REPORT_KINDS: Final = {DMARC_REPORTS: "dmarc", TLS_REPORTS: "tls"}
"""Local parts that every domain has by itself: what comes there is read by the house, shown by `mailstead reports`."""

RESERVED: Final = frozenset({"mailer-daemon", *REPORT_KINDS})
"""The house's own voice: notifications come from it, and answers to it must not loop. And its ear for reports."""

INVISIBLE: Final = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp", "Zs"})
"""General categories of Unicode that nobody sees; one who reads the address would write another one."""


def may_be_given(address: Address) -> Verdict:
    """Whether an account, or an alias that is no pattern, may get this address."""
    local_part = address.local_part
    if local_part.casefold() in RESERVED:
        return Verdict(Decision.REFUSE, (f"{local_part} is reserved for the server itself",))
    if local_part.startswith((DETAIL_SEPARATOR, "!")):
        return Verdict(Decision.REFUSE, (f"An address cannot begin with {local_part[0]}",))
    if any(unicodedata.category(character) in INVISIBLE for character in local_part.replace(" ", "")):
        return Verdict(Decision.REFUSE, ("An address cannot have characters that nobody sees",))
    if Alias(address, ()).kind is not AliasKind.EXACT:
        return Verdict(Decision.REFUSE, ("Only an alias can be a regular expression or the catch-all",))
    return Verdict(Decision.ALLOW)


def without_detail(address: Address) -> Address | None:
    """Give ``user@domain`` for ``user+detail@domain``; None where there is no detail."""
    user, separator, _ = address.local_part.partition(DETAIL_SEPARATOR)
    return Address(user, address.domain) if separator and user else None


def is_postmaster(address: Address) -> bool:
    """Whether it is an address that every domain must take mail for, in any case. Spec: RFC 5321 §4.5.1."""
    return address.local_part.casefold() == POSTMASTER


def report_kind(address: Address) -> str:
    """Give the kind of reports that come to an address (``dmarc``, ``tls``), or nothing."""
    return REPORT_KINDS.get(address.local_part.casefold(), "")
