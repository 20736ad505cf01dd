"""What the API needs to look after the server itself. Made by `wiring.api_administration`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mailstead.model.envelope import Actor
from mailstead.model.people import DomainEntry
from mailstead.usecases.audit import Audit
from mailstead.usecases.backup_jobs import BackupJobs
from mailstead.usecases.dns_writing import DnsWriting
from mailstead.usecases.dnsplan import DnsPlan
from mailstead.usecases.doctor import Doctor
from mailstead.usecases.keys import Keys
from mailstead.usecases.outgoing import Outgoing
from mailstead.usecases.overview import Overviews
from mailstead.usecases.reporting import Reporting
from mailstead.usecases.sender_lists import SenderLists
from mailstead.usecases.statistics import Statistics
from mailstead.usecases.traces import Traces


@dataclass(frozen=True, slots=True)
class Administration:
    """Use cases by name; those that are seldom asked for are made when they are."""

    audit: Audit
    backup_jobs: BackupJobs
    dns_plan: Callable[[], DnsPlan]
    dns_writer: Callable[[], DnsWriting | None]
    """None: no provider is set."""
    doctor: Callable[[], Doctor]
    find_domain: Callable[[Actor, str], Awaitable[DomainEntry]]
    """By name or id, if the actor has a part in it. Errors: NoSuchDomain."""
    keys: Keys
    outgoing: Outgoing
    overviews: Overviews
    reporting: Reporting
    sender_lists: SenderLists
    statistics: Statistics
    traces: Traces
    account_quota_octets: int | None = None
    """Of new accounts; None: no limit."""
