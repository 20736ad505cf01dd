"""The queue service: it relays, keeps house and sends reports."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial

from mailstead.mailauth.mta_sts import MtaSts
from mailstead.mailauth.tlsrpt import TlsOutcomes
from mailstead.net.outbound.relay import SmtpRelay
from mailstead.policy.retry import RetryTerms
from mailstead.services.queue.service import QueueService
from mailstead.usecases.emails import Emails
from mailstead.usecases.homecoming import Homecoming
from mailstead.usecases.housekeeping import Housekeeping
from mailstead.usecases.relays import Relays, RelaysTerms
from mailstead.usecases.reporting import Counting, ReportSending
from mailstead.usecases.statistics import Statistics
from mailstead.usecases.webhooks import Webhooks
from mailstead.wiring.house import ADMINISTRATOR, House


def make_queue_service(house: House) -> QueueService:
    """Give the service that relays what waits."""
    settings, storage, clock = house.settings, house.storage, house.clock
    hostname, queue = settings.server.hostname, settings.queue
    outcomes = TlsOutcomes(storage.memory, clock)
    sts = MtaSts(house.resolver, house.web, storage.memory, clock)
    homecoming = Homecoming(
        house.addresses, house.dispatch, house.tracing, hostname=hostname, received_max=settings.smtp.received_max
    )
    relays = Relays(
        storage,
        house.bus,
        clock,
        SmtpRelay(house.resolver, sts, outcomes, hostname, settings.relay, clock, web=house.web),
        Webhooks(house.web, house.routes, clock, hostname=hostname),
        homecoming,
        house.routes,
        house.notices,
        house.bounces,
        house.tracing,
        RelaysTerms(
            queue.connections_max,
            queue.connections_per_destination_max,
            queue.messages_per_connection_max,
            queue.lease_s,
            queue.delay_told_s,
            RetryTerms(queue.first_retry_s, queue.retry_max_s),
            queue.future_release_max_s,
            settings.server.stop_limit_s,
        ),
    )
    housekeeping = Housekeeping(
        storage,
        clock,
        finished_kept=timedelta(seconds=queue.finished_kept_s),
        trace_kept=timedelta(days=settings.trace.kept_days),
        reports_kept=timedelta(days=settings.trace.reports_kept_days),
        audit_kept=timedelta(days=settings.audit.kept_days),
        further=make_chores(house, outcomes),
    )
    return QueueService(relays, housekeeping, Counting(outcomes), house.subscriptions, house.dav_push)


def make_chores(house: House, outcomes: TlsOutcomes) -> dict[str, Callable[[datetime], Awaitable[object]]]:
    """Give what comes round beside the removal of old things."""
    settings, dmarc_outcomes = house.settings, house.dmarc_outcomes
    sending = ReportSending(
        house.storage,
        house.clock,
        house.resolver,
        house.web,
        house.routes,
        house.sealing,
        house.reporting,
        hostname=settings.server.hostname,
    )
    chores: dict[str, Callable[[datetime], Awaitable[object]]] = {
        "expiry": house.expiry.daily,
        "emails": _emails(house).look_after,
        "idle accounts": partial(house.idle_accounts.daily, ADMINISTRATOR),
        "relay report": house.relay_reports.daily,
        "errands": lambda _: house.scheduling.sweep(),
        "scheduling messages": house.meetings.forget_messages,
        "public links": house.sharings.forget_old_links,
        "push registrations": house.dav_push.forget_old,
        "imports": house.remote_imports.forget_old,
        "sealed mail": lambda _: house.sealed_merging.tidy(),
        "statistics": Statistics(house.storage, house.clock).look_after,
    }
    if settings.relay.sends_tls_reports:
        chores["tls reports"] = lambda _: sending.send_tls(outcomes)
    if dmarc_outcomes is not None:
        chores["dmarc reports"] = lambda _: sending.send_dmarc(dmarc_outcomes)
    if settings.backup.target and settings.backup.is_daily:
        chores["backup"] = partial(_backup, house)
        chores["restore drill"] = partial(_drill, house)
    if settings.doctor.is_daily:
        chores["doctor"] = partial(_doctor, house)
    return chores


def _emails(house: House) -> Emails:
    return Emails(house.storage, house.submissions, recipients_max=house.settings.smtp.recipients_max)


async def _backup(house: House, now: datetime) -> None:
    from mailstead.config.load import file_of
    from mailstead.wiring.backup import daily_backup  # once a day is early enough

    await daily_backup(house, file_of(None, os.environ), now)


async def _drill(house: House, now: datetime) -> None:
    from mailstead.wiring.restore import monthly_drill

    await monthly_drill(house, now)


async def _doctor(house: House, now: datetime) -> object:
    from mailstead.wiring.doctor import make_daily_doctor  # once a day is early enough

    return await make_daily_doctor(house).go_round(ADMINISTRATOR, now)
