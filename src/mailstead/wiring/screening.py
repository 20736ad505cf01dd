"""Who judges what comes in: the check of senders, and the policy pipeline with its scanners."""

from __future__ import annotations

from mailstead.config.settings import Settings
from mailstead.mailauth.verify import SenderVerifier
from mailstead.ports.changebus import ChangeBus
from mailstead.ports.clock import Clock
from mailstead.ports.resolver import Resolver
from mailstead.ports.scanner import Scanner
from mailstead.ports.storage import Storage
from mailstead.usecases.junk import JunkFilter
from mailstead.usecases.screening import Screening, ScreeningTerms


def make_verifier(settings: Settings, resolver: Resolver, clock: Clock) -> SenderVerifier | None:
    """Give who authenticates senders; None where the setting says that nobody does."""
    if not settings.authentication.is_enabled:
        return None
    return SenderVerifier(
        resolver,
        clock,
        authserv_id=settings.server.hostname,
        trusted_sealers=settings.authentication.trusted_sealers,
        queries_max=settings.dns.queries_per_message_max,
        limit_s=settings.dns.message_limit_s,
    )


def make_screening(
    settings: Settings, storage: Storage, bus: ChangeBus, clock: Clock, resolver: Resolver, junk_filter: JunkFilter
) -> Screening:
    """Give the policy pipeline with the scanners that are set. Errors: BadSettings."""
    policy, scanners = settings.policy, list[Scanner]()
    if settings.rspamd.url:
        from mailstead.net.rspamd import Rspamd

        scanners.append(Rspamd(settings.rspamd))
    if settings.clamav.address:
        from mailstead.net.clamd import Clamd

        scanners.append(Clamd(settings.clamav))
    terms = ScreeningTerms(
        junk_score=policy.junk_score,
        refuse_score=policy.refuse_score,
        allowlist=policy.allowlist,
        denylist=policy.denylist,
        dns_blocklists=policy.dns_blocklists,
        dns_allowlists=policy.dns_allowlists,
        greylists=policy.greylists,
        greylist_delay_s=policy.greylist_delay_s,
        refused_extensions=policy.refused_extensions,
        messages_per_sender_hour_max=policy.messages_per_sender_hour_max,
        messages_per_recipient_hour_max=policy.messages_per_recipient_hour_max,
        refuses_by_policy=settings.authentication.refuses_by_policy,
        refuses_hard_fail=settings.authentication.refuses_hard_fail,
    )
    return Screening(storage, bus, clock, resolver, junk_filter if policy.learns_junk else None, scanners, terms)
