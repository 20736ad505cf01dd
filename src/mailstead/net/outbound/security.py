"""What TLS towards one mail exchanger must be: DANE ahead of MTA-STS ahead of whatever can be had.

Theory of operation. A `Protection` lists the manners in which we are willing to talk to a host, the best first. On each
of its addresses they are tried in turn, as long as it is TLS that fails. Clear text is possible only where the list
ends with it; so a policy that must hold is simply a list without it.

Spec: RFC 7672 §2.1, §2.2 (DANE); RFC 8461 §2, §4, §5 (MTA-STS, behind DANE); RFC 8689 §4.2.1, §5; RFC 8460 §4.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from mailstead.mailauth import dane
from mailstead.mailauth.dane import DaneRecords
from mailstead.mailauth.mta_sts import Mode, Policy
from mailstead.model.errors import DnsUnavailable
from mailstead.model.queue import RemoteReply
from mailstead.net.outbound.routes import is_address
from mailstead.net.tls import TlsFailed
from mailstead.ports.relay import RelayTerms, Smarthost
from mailstead.ports.resolver import Resolver

REQUIRETLS_TEXT: Final = "The message requires TLS, and no server of the destination offers that (REQUIRETLS)"


class Manner(Enum):
    """How a conversation is protected."""

    DANE = "dane"
    """TLS with a certificate that a TLSA record names."""
    VERIFIED = "verified"
    """TLS with a certificate of a believed authority, in the name of the host."""
    ENCRYPTED = "encrypted"
    """TLS with any certificate."""
    CLEAR = "none"


@dataclass(frozen=True, slots=True)
class Protection:
    """What one host needs."""

    manners: tuple[Manner, ...]
    policy_type: str = "no-policy-found"
    """Spec: RFC 8460 §4.2 (policy-type)."""
    policy_lines: tuple[str, ...] = ()
    records: DaneRecords | None = None
    requires_tls: bool = False
    """The host must offer REQUIRETLS. Spec: RFC 8689 §4.2.1."""
    is_tls_implicit: bool = False
    """TLS from the first octet. Spec: RFC 8314 §3.3."""

    def word(self, manner: Manner) -> str:
        """Name what was reached, for `RemoteReply.security`."""
        return "mta-sts" if manner is Manner.VERIFIED and self.policy_type == "sts" else manner.value


class HostRefused(Exception):
    """A host, or one of its addresses, cannot be used for this destination."""

    def __init__(self, reply: RemoteReply, *, is_unreached: bool = False) -> None:
        self.reply = reply
        self.is_unreached = is_unreached
        """There was no connection at all."""
        super().__init__(str(reply))


class TlsRefused(HostRefused):
    """It is its TLS that is not good enough."""

    def __init__(self, reply: RemoteReply, result_type: str) -> None:
        self.result_type = result_type
        """Spec: RFC 8460 §4.3."""
        self.sending_address = ""
        """The address that we connected from, if we did."""
        super().__init__(reply)


OPPORTUNISTIC: Final = (Manner.ENCRYPTED, Manner.CLEAR)
CLEAR_DOMAINS: Final = frozenset({"nauta.cu"})
"""Who there cannot be reached otherwise; what they get is end-to-end encrypted anyway."""


async def protection_of_host(
    host: str,
    port: int,
    resolver: Resolver,
    terms: RelayTerms,
    *,
    next_hop: str,
    is_authentic: bool,
    policy: Policy | None,
) -> Protection:
    """Decide for one host of a destination.

    Spec: RFC 7672 §2.2; RFC 8461 §2 (DANE must not be weakened by MTA-STS), §5; RFC 8689 §5 (``TLS-Required: No``).
    Errors: TlsRefused: the host must not be used now.
    """
    if terms.tls_optional and not terms.require_tls and not terms.requires_verified_tls:
        return Protection(OPPORTUNISTIC)
    try:
        records = None
        if not is_address(host):
            records = await dane.records_for(resolver, host, port, is_mx_authentic=is_authentic, next_hop=next_hop)
    except DnsUnavailable as error:
        reply = RemoteReply(0, "4.7.5", f"TLSA of {host}: {error.public_text}", host)
        raise TlsRefused(reply, "dnssec-invalid") from None
    if records is not None:
        # RFC 7672 §2.2: records that none of us understands still promise TLS, only nobody can be verified by them.
        # Who must be verified is verified as if there were none.
        manner = Manner.DANE if records.is_usable else Manner.ENCRYPTED
        lines = _tlsa_lines(host, port, records)
        if manner is Manner.DANE or not (terms.require_tls or terms.requires_verified_tls):
            return Protection((manner,), "tlsa", lines, records, requires_tls=terms.require_tls)
    if terms.requires_verified_tls and not terms.require_tls:
        return Protection(_strict_manners(next_hop))
    is_allowed = policy is not None and policy.allows(host)
    if policy is not None and policy.mode is Mode.ENFORCE and not is_allowed:
        reply = RemoteReply(0, "4.7.5", f"{host} is not named in the MTA-STS policy of {next_hop}", host)
        raise TlsRefused(reply, "validation-failure")
    if terms.require_tls:
        # RFC 8689 §4.2.1: a verified certificate says little where an attacker could have chosen its name.
        if not (is_authentic or is_allowed):
            reply = RemoteReply(
                550, "5.7.30", f"{REQUIRETLS_TEXT}: nothing vouches for {host}", host, is_permanent=True
            )
            raise TlsRefused(reply, "validation-failure")
        if policy is not None and is_allowed:
            return Protection((Manner.VERIFIED,), "sts", policy.lines, requires_tls=True)
        return Protection((Manner.VERIFIED,), requires_tls=True)
    if policy is None or policy.mode is Mode.NONE:
        return Protection(OPPORTUNISTIC)
    if policy.mode is Mode.TESTING:
        return Protection((Manner.VERIFIED, *OPPORTUNISTIC), "sts", policy.lines)
    return Protection((Manner.VERIFIED,), "sts", policy.lines)


def has_no_certificate(domain: str) -> bool:
    """Whether nobody gives certificates for such a name: private ones, and IP addresses.

    Spec: reference chatmail, sections 9.5 and 9.6.
    """
    return domain.startswith(("_", "["))


def _strict_manners(domain: str) -> tuple[Manner, ...]:
    """Spec: reference chatmail, section 5.8."""
    if domain in CLEAR_DOMAINS:
        return OPPORTUNISTIC
    return (Manner.ENCRYPTED,) if has_no_certificate(domain) else (Manner.VERIFIED,)


def protection_of_smarthost(smarthost: Smarthost, terms: RelayTerms) -> Protection:
    """Decide for the relay that a domain has chosen; its name is ours to trust."""
    if smarthost.security == "none" and not terms.require_tls:
        return Protection((Manner.CLEAR,))
    is_implicit = smarthost.security == "tls"
    return Protection((Manner.VERIFIED,), requires_tls=terms.require_tls, is_tls_implicit=is_implicit)


# X509_V_ERR_… of OpenSSL
_EXPIRED: Final = frozenset({10})
_OTHER_NAME: Final = frozenset({62, 64})


def result_type_of(failure: TlsFailed) -> str:
    """Give the word of TLS-RPT for a handshake that failed. Spec: RFC 8460 §4.3.1."""
    if not failure.verify_code:
        return "validation-failure"
    if failure.verify_code in _EXPIRED:
        return "certificate-expired"
    return "certificate-host-mismatch" if failure.verify_code in _OTHER_NAME else "certificate-not-trusted"


def _tlsa_lines(host: str, port: int, records: DaneRecords) -> tuple[str, ...]:
    return tuple(
        f"_{port}._tcp.{host}. IN TLSA {record.usage} {record.selector} {record.matching_type} {record.data.hex()}"
        for record in records.records
    )
