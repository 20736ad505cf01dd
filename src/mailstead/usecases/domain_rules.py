"""What domains with rules of their own ask of a message: that it is encrypted, that the author's domain has signed it.

Spec: reference chatmail, sections 5.4 and 7.5.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from mailstead.mailauth import dmarc_author
from mailstead.mailauth.verify import SenderVerifier
from mailstead.model.address import Address
from mailstead.model.authentication import (
    ArcResult,
    Authentication,
    DkimResult,
    DmarcResult,
    IprevResult,
    Result,
    SpfResult,
)
from mailstead.model.directory import Domain
from mailstead.model.envelope import Envelope
from mailstead.model.errors import BadMessage, DnsUnavailable, EncryptionNeeded, SignatureNeeded, WrongAuthor
from mailstead.model.message import Octets
from mailstead.policy import encryption
from mailstead.policy.encryption import Direction
from mailstead.telemetry import metrics
from mailstead.usecases.tracing import MessageTrace

INLINE_OCTETS_MAX: Final = 64 * 1024
"""Larger messages are looked through in a thread, as the house has other things to do."""


def author(header: bytes) -> Address:
    """Give whom From names. Errors: WrongAuthor, unless that can be read in one way only."""
    try:
        return dmarc_author.author(header)
    except BadMessage as error:
        raise WrongAuthor(f"Invalid FROM header: {error.public_text}") from None


async def judge_incoming(
    octets: Octets,
    header: bytes,
    envelope: Envelope,
    domains: Sequence[Domain],
    verifier: SenderVerifier | None,
    trace: MessageTrace,
) -> tuple[Envelope, Authentication | None]:
    """Judge mail from others; give the envelope as it goes on, and what shows where the message comes from, if asked.

    An envelope that names another sender than From loses it: forwarders write their own there, and no bounce is to go
    to somebody whom nobody has shown to have sent the message.

    `verifier`: None where the server's setting is that nobody authenticates senders.
    Errors: WrongAuthor, EncryptionNeeded, SignatureNeeded, DnsUnavailable.
    Spec: reference chatmail, section 5.4.
    """
    requires_encryption = any(domain.terms.requires_encryption for domain in domains)
    requires_signature = any(domain.terms.requires_aligned_dkim for domain in domains)
    if not (requires_encryption or requires_signature):
        return envelope, None
    from_whom = author(header)
    if envelope.mail_from is not None and envelope.mail_from.key != from_whom.key:
        envelope = replace(envelope, mail_from=None)
    if requires_encryption:
        await check_encryption(octets, Direction.INCOMING, envelope, domains, trace)
    if not requires_signature or verifier is None:
        return envelope, None
    return envelope, await check_signature(verifier, octets, from_whom, trace)


async def check_encryption(
    octets: Octets, direction: Direction, envelope: Envelope, domains: Iterable[Domain], trace: MessageTrace
) -> None:
    """Check that a message is encrypted, or one of the few that need not be.

    `domains`: for outgoing mail the author's one. Errors: EncryptionNeeded; WrongAuthor for outgoing mail whose From is
    not the envelope's sender. Which rule failed is in the trace and in the log, without what the message says.
    Spec: reference chatmail, section 5.
    """
    recipients = [each.address for each in envelope.recipients]
    senders = [each.casefold() for domain in domains for each in domain.terms.cleartext_senders]
    taking = {each.casefold() for domain in domains for each in domain.terms.cleartext_accounts}
    exempt = [each.casefold() for domain in domains for each in domain.terms.cleartext_recipients]

    def judge() -> encryption.Judged:
        return encryption.judge(
            octets,
            direction,
            envelope.mail_from,
            recipients,
            cleartext_senders=senders,
            cleartext_recipients=exempt,
            accepts_cleartext=lambda address: address.key in taking,
        )

    judged = judge() if len(octets) <= INLINE_OCTETS_MAX else await asyncio.to_thread(judge)
    trace.note("encryption", "" if judged.is_allowed else "refuse", f"{judged.kind} {judged.reason}".strip())
    _count(direction, judged)
    if judged.is_allowed:
        return
    error = WrongAuthor if judged.code == 500 else EncryptionNeeded
    raise error(judged.text, check="encryption", reason=judged.reason)


def _count(direction: Direction, judged: encryption.Judged) -> None:
    """Count under the relay's names."""
    way, is_encrypted = direction.value, judged.kind in {"encrypted", "securejoin"}
    metrics.count_as_relay(
        f"filtered_{way}_mail_count", f"{way}_{'encrypted' if is_encrypted else 'unencrypted'}_mail_count"
    )
    if judged.kind == "mailer-daemon":
        metrics.count_as_relay("incoming_mailer_daemon_mail_count")
    if not judged.is_allowed and judged.code != 500:
        metrics.count_as_relay("rejected_unencrypted_mail_count")


async def check_signature(
    verifier: SenderVerifier, octets: Octets, from_whom: Address, trace: MessageTrace
) -> Authentication:
    """Check that the very domain of the author has signed the message; no other check counts, nor is it made.

    An author at an IP address is believed, as nobody can sign for one.
    Errors: SignatureNeeded; DnsUnavailable if a key that could show it cannot be fetched now.
    Spec: reference chatmail, section 7.5; RFC 6376 §6.1.
    """
    if from_whom.domain.startswith("["):
        return _only((), "")
    found = await verifier.verify_signatures(octets)
    for each in found:
        trace.note("dkim", each.result, f"{each.domain} {each.selector} {each.reason}".strip())
    if not found:
        raise SignatureNeeded("No DKIM signature found", check="dkim")
    aligned = {each.result for each in found if each.domain == from_whom.domain}
    if Result.PASS in aligned:
        return _only(found, from_whom.domain)
    if Result.TEMPERROR in aligned:
        raise DnsUnavailable("The key of the DKIM signature cannot be fetched now; please try again later")
    raise SignatureNeeded("No valid DKIM signature found", check="dkim")


def _only(signatures: tuple[DkimResult, ...], signer: str) -> Authentication:
    """Give results of which only those of the signatures say something; `signer`: the author's domain, if it is one."""
    nothing = Result.NONE
    dmarc = DmarcResult(nothing, signer, is_dkim_aligned=bool(signer))
    return Authentication(SpfResult(nothing, ""), None, signatures, ArcResult(nothing), dmarc, IprevResult(nothing))
