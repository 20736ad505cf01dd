"""Which figure what was counted belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

GROUPS: Final[Mapping[str, frozenset[str]]] = {
    "unknown": frozenset({
        "NoSuchAddress", "NoSuchDomain", "NotOurDomain", "NoSuchAccount", "NoSuchAlias", "BadAddress", "address",
        "AddressDisabled", "AliasLoop",
    }),
    "policy": frozenset({
        "PolicyRefused", "EncryptionNeeded", "WrongAuthor", "SignatureNeeded", "NotAllowed", "SenderNotOwned",
        "TlsRequired", "TlsTooOld", "RequireTlsImpossible", "auth-required", "auth-in-clear", "clear-text",
    }),
    "put off": frozenset({"Greylisted", "Deferred", "TryAgainLater", "AddressPaused", "RecipientsDiffer"}),
    "limits": frozenset({
        "RateLimited", "TooManyConnections", "TooManyFailures", "OverQuota", "MessageTooLarge", "LimitReached",
        "too-many", "too-large", "endless", "recipients", "slow", "silent", "takes nothing",
    }),
    "message": frozenset({"BadMessage", "MailLoop", "nul"}),
    "server": frozenset({
        "StorageFull", "StorageUnavailable", "StoreDamaged", "DnsUnavailable", "AccountLocked", "BadSettings", "bug",
    }),
    "broken": frozenset(),
}  # fmt: skip
"""Groups of refusals, most telling first, by the reasons of `telemetry.metrics.REFUSALS`.

unknown: there is no such recipient; policy: a rule of ours; put off: the sender is to come again; limits: too much, too
large or too slow; message: the message itself is wrong; server: something is wrong here; broken: the sender does not
speak the protocol (whatever the table does not name).
"""

_BY_REASON: Final = {reason: group for group, reasons in GROUPS.items() for reason in reasons}
_OF_LOG_INS: Final = frozenset({
    "AuthenticationFailed", "FactorNeeded", "AppPasswordNeeded", "mechanism", "auth-cancelled", "sasl-syntax",
})  # fmt: skip
"""Log-ins that fail are a figure of their own."""
_LIMIT_CODES: Final = frozenset({"limit", "time", "closed"})
REFUSED: Final = "refused "
"""Before the group, in the name of a figure."""


def group_of(code: str, reason: str) -> str | None:
    """Give the group of a refusal of a service that takes mail; None: it is none of mail."""
    if reason in _OF_LOG_INS:
        return None
    return _BY_REASON.get(reason) or ("limits" if code in _LIMIT_CODES else "broken")
