"""Who may open an account by logging in.

Spec: reference chatmail, section 4.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import MIB, DomainTerms
from mailstead.model.secret import Secret
from mailstead.model.verdict import Decision, Verdict
from mailstead.policy.names import POSTMASTER, may_be_given

HELD_BACK: Final = frozenset(
    {POSTMASTER, "abuse", "admin", "administrator", "hostmaster", "noc", "root", "security", "support", "webmaster"}
)
"""Names that strangers take for the server's own. After RFC 2142."""

TEST_PREFIX: Final = "ci-"
"""Names of accounts that tests make, counted by themselves."""

_LOCAL_PART: Final = re.compile(r"[a-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class HouseFacts:
    """How the machine is just now; None: that cannot be read, and does not count."""

    is_closed: bool = False
    """The administrator has put the file that says so."""
    load: float | None = None
    """Average of the last minute."""
    memory_available_octets: int | None = None
    disk_free_octets: int | None = None


def may_open(terms: DomainTerms, address: Address, password: Secret) -> Verdict:
    """Whether name and password are such that an account may have them."""
    name, length = address.local_part, len(address.local_part)
    if not terms.username_length_min <= length <= terms.username_length_max:
        return _refused(f"A name here has {_range(terms.username_length_min, terms.username_length_max)} characters")
    if not _LOCAL_PART.fullmatch(name):
        return _refused("A name here has only the characters a-z 0-9 . _ -")
    if name in HELD_BACK:
        return _refused(f"{name} is reserved for who runs the server")
    named = may_be_given(address)
    if named.decision is not Decision.ALLOW:
        return named
    if len(password.reveal()) < terms.password_length_min:
        return _refused(f"A password here has at least {terms.password_length_min} characters")
    if terms.invite_tokens and not any(_begins_with(password, each) for each in terms.invite_tokens):
        return _refused("This server takes new accounts by invitation only")
    return Verdict(Decision.ALLOW)


def has_room(terms: DomainTerms, facts: HouseFacts) -> Verdict:
    """Whether the server takes new accounts just now; what is wrong first is told."""
    if not terms.opens_accounts or facts.is_closed:
        return _refused("This server takes no new accounts")
    if facts.load is not None and facts.load > terms.load_max:
        return _busy(f"load avg {facts.load:.2f} > {terms.load_max:g}")
    marks = (
        ("available memory", facts.memory_available_octets, terms.memory_available_octets_min),
        ("free disk", facts.disk_free_octets, terms.disk_free_octets_min),
    )
    for what, found, least in marks:
        if found is not None and found < least:
            return _busy(f"{what} {found // MIB} MB < {least // MIB} MB")
    return Verdict(Decision.ALLOW)


def _begins_with(password: Secret, token: str) -> bool:
    return compare_digest(password.reveal()[: len(token)].encode(), token.encode())


def _range(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"


def _refused(reason: str) -> Verdict:
    return Verdict(Decision.REFUSE, (reason,))


def _busy(reason: str) -> Verdict:
    return Verdict(Decision.DEFER, (reason,))
