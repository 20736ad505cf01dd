"""Which local parts nobody may have, and how addresses with a detail are read.

The detail is meant as in RFC 5233 §1.

Spec: RFC 5321 §4.5.1 (postmaster).
"""

from __future__ import annotations

from typing import Final

from mailstead.model.address import Address
from mailstead.model.verdict import Decision, Verdict

DETAIL_SEPARATOR: Final = "+"
POSTMASTER: Final = "postmaster"

RESERVED: Final = frozenset({"mailer-daemon"})
"""The house's own voice: notifications come from it, and answers to it must not loop."""


def may_be_given(address: Address) -> Verdict:
    """Whether an account or alias may get this address."""
    if address.local_part.casefold() in RESERVED:
        return Verdict(Decision.REFUSE, (f"{address.local_part} is reserved for the server itself",))
    if address.local_part.startswith(DETAIL_SEPARATOR):
        return Verdict(Decision.REFUSE, (f"An address cannot begin with {DETAIL_SEPARATOR}",))
    return Verdict(Decision.ALLOW)


def without_detail(address: Address) -> Address | None:
    """Give ``user@domain`` for ``user+detail@domain``; None where there is no detail."""
    user, separator, _ = address.local_part.partition(DETAIL_SEPARATOR)
    return Address(user, address.domain) if separator and user else None


def is_postmaster(address: Address) -> bool:
    """Whether it is an address that every domain must take mail for, in any case. Spec: RFC 5321 §4.5.1."""
    return address.local_part.casefold() == POSTMASTER
