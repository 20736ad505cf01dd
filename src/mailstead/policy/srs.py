"""The Sender Rewriting Scheme: a sender of ours in the place of a stranger's, for mail that we send on.

SPF passes then for the domain that really sends, and bounces come to us, who find the sender in the address itself:

* ``SRS0=hash=days=host=local`` for a sender as it was;
* ``SRS1=hash=host==rest`` for one that ``host`` has rewritten already (``rest`` is its SRS0 without that word), so that
  the address does not grow with each hop;
* ``SRSH=hash=days=name`` for a sender that does not fit: a local part has at most 64 octets. `Srs.forward` says None
  then, and the caller keeps the sender under a name of its choice and uses `Srs.handle`.

The hash is the first 80 bits of an HMAC-SHA256 over all the rest, the domain of the address, and the day. Nobody else
can make such an address, and after some days it is worth nothing (attack row 14). That it takes the null sender only is
for the caller to see to. Letter case means nothing, as some servers change it.

Spec: RFC 5321 §4.5.3.1.1 (length of a local part). The scheme itself is no RFC.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from collections.abc import Sequence
from datetime import date
from enum import Enum
from typing import Final, NamedTuple

from mailstead.model.address import LOCAL_PART_OCTETS_MAX, Address
from mailstead.model.errors import NoSuchAddress

DAYS_MAX: Final = 10
"""How long an address is good: a message may wait five days for its next hop, and the bounce five for us."""

_HASH_OCTETS: Final = 10
_DIGITS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_CYCLE_DAYS: Final = len(_DIGITS) ** 2
"""Two digits count so far. The whole number of the day is in the hash, so an old address is not good again later."""
_EARLY_DAYS: Final = 1
"""Another of our servers may have tomorrow already."""

_SRS0: Final = re.compile(r"srs0[=+-]([a-z2-7]{16})=([a-z2-7]{2})=([^=]+)=(.+)", re.IGNORECASE | re.DOTALL)
_SRS1: Final = re.compile(r"srs1[=+-]([a-z2-7]{16})=([^=]+)=([=+-].+)", re.IGNORECASE | re.DOTALL)
_HANDLE: Final = re.compile(r"srsh=([a-z2-7]{16})=([a-z2-7]{2})=(.+)", re.IGNORECASE | re.DOTALL)
_FOREIGN_SRS1: Final = re.compile(r"srs1[=+-][^=]+=([^=]+)=([=+-].+)", re.IGNORECASE | re.DOTALL)
_FOREIGN_SRS0: Final = re.compile(r"srs0([=+-].+)", re.IGNORECASE | re.DOTALL)
_REWRITTEN: Final = re.compile(r"srs(?:[01][=+-]|h=)", re.IGNORECASE)


class Fault(Enum):
    """What is wrong with an address that is to be reversed."""

    NOT_SRS = "not srs"
    FORGED = "forged"
    EXPIRED = "expired"


class SrsRefused(NoSuchAddress):
    """An address is no rewritten one of ours, or was one too long ago."""

    default_text = "That return address was not made here"

    def __init__(self, fault: Fault, public_text: str | None = None) -> None:
        super().__init__(public_text, fault=fault.value)
        self.fault = fault


class _Stamped(NamedTuple):
    """A hash, the days that it counts, and what it covers besides."""

    hash: str
    days: str
    covered: tuple[str, ...]


def is_rewritten(address: Address) -> bool:
    """Whether an address looks like one of these, ours or another's."""
    return _REWRITTEN.match(address.local_part) is not None


def is_handle(address: Address) -> bool:
    """Whether an address looks like a handle."""
    return _HANDLE.fullmatch(address.local_part) is not None


class Srs:
    """Rewrites senders with the first key, and reads what any of the keys has rewritten."""

    def __init__(self, keys: Sequence[bytes], days_max: int = DAYS_MAX) -> None:
        if not keys or not all(keys):
            raise ValueError("SRS needs a key")
        self._keys = tuple(keys)
        self._days_max = days_max

    def forward(self, address: Address, domain: str, on: date) -> Address | None:
        """Give the address of `domain` that stands for a sender; None if it would be too long."""
        local_part = address.local_part
        again = _FOREIGN_SRS1.fullmatch(local_part)
        first = _FOREIGN_SRS0.fullmatch(local_part)
        if again or first:
            host, rest = again.groups() if again else (address.domain, first[1] if first else "")
            digest = self._hash(self._keys[0], on.toordinal(), domain, "1", host, rest)
            return _fitting(f"SRS1={digest}={host}={rest}", domain)
        digest = self._hash(self._keys[0], on.toordinal(), domain, "0", address.domain, local_part)
        return _fitting(f"SRS0={digest}={_days(on)}={address.domain}={local_part}", domain)

    def reverse(self, address: Address, on: date) -> Address:
        """Give the address for which a rewritten one stands: the sender, or (SRS1) what the first host made of it.

        Errors: SrsRefused. A handle is not for this, but for `handle_of`.
        """
        found = _SRS0.fullmatch(address.local_part)
        if found:
            digest, days, host, local_part = found.groups()
            self._check(_Stamped(digest, days, ("0", host, local_part)), address.domain, on)
            return Address(local_part, host.lower())
        found = _SRS1.fullmatch(address.local_part)
        if found:
            digest, host, rest = found.groups()
            self._check_any_day(digest, address.domain, on, ("1", host, rest))
            return Address(f"SRS0{rest}", host.lower())
        raise SrsRefused(Fault.NOT_SRS)

    def handle(self, name: str, domain: str, on: date) -> Address:
        """Give an address of `domain` that stands for what the caller keeps under `name`.

        Errors: ValueError, if the name has more than 39 octets.
        """
        digest = self._hash(self._keys[0], on.toordinal(), domain, "h", name)
        address = _fitting(f"SRSH={digest}={_days(on)}={name}", domain)
        if address is None:
            raise ValueError("the name of a handle is too long")
        return address

    def handle_of(self, address: Address, on: date) -> str:
        """Give the name (in lower case) that `handle` was given.

        Errors: SrsRefused.
        """
        found = _HANDLE.fullmatch(address.local_part)
        if not found:
            raise SrsRefused(Fault.NOT_SRS)
        digest, days, name = found.groups()
        self._check(_Stamped(digest, days, ("h", name)), address.domain, on)
        return name.lower()

    def _check(self, stamped: _Stamped, domain: str, on: date) -> None:
        age_days = (on.toordinal() - _ordinal(stamped.days)) % _CYCLE_DAYS
        if age_days >= _CYCLE_DAYS - _EARLY_DAYS:
            age_days -= _CYCLE_DAYS
        if not self._is_ours(stamped.hash, on.toordinal() - age_days, domain, stamped.covered):
            raise SrsRefused(Fault.FORGED)
        if age_days > self._days_max:
            raise SrsRefused(Fault.EXPIRED, "That return address has expired")

    def _check_any_day(self, digest: str, domain: str, on: date, covered: tuple[str, ...]) -> None:
        """Check a hash that covers a day which is not told, as SRS1 has no place for it."""
        newest = on.toordinal() + _EARLY_DAYS
        oldest = on.toordinal() - self._days_max
        if not any(self._is_ours(digest, day, domain, covered) for day in range(newest, oldest - 1, -1)):
            raise SrsRefused(Fault.FORGED, "That return address was not made here, or has expired")

    def _is_ours(self, digest: str, day: int, domain: str, covered: tuple[str, ...]) -> bool:
        return any(hmac.compare_digest(digest.upper(), self._hash(key, day, domain, *covered)) for key in self._keys)

    @staticmethod
    def _hash(key: bytes, day: int, domain: str, *covered: str) -> str:
        text = "\0".join((domain, str(day), *covered)).casefold()
        digest = hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256")
        return b32encode(digest[:_HASH_OCTETS]).decode()


def _fitting(local_part: str, domain: str) -> Address | None:
    address = Address(local_part, domain)
    written = str(address).removesuffix(f"@{domain}")
    return address if len(written.encode("utf-8", "surrogatepass")) <= LOCAL_PART_OCTETS_MAX else None


def _days(on: date) -> str:
    return _DIGITS[on.toordinal() % _CYCLE_DAYS // len(_DIGITS)] + _DIGITS[on.toordinal() % len(_DIGITS)]


def _ordinal(days: str) -> int:
    return _DIGITS.index(days[0].upper()) * len(_DIGITS) + _DIGITS.index(days[1].upper())
