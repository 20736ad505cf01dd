"""What the pages of the server's upkeep need. Made by `wiring.site_care`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mailstead.usecases.account_returns import AccountReturns
from mailstead.usecases.certificate_care import CertificateCare
from mailstead.usecases.dns_writing import DnsWriting
from mailstead.usecases.domain_kinds import DomainKinds
from mailstead.usecases.house_jobs import HouseJobs
from mailstead.usecases.junk_training import JunkTraining
from mailstead.usecases.recent_log import RecentLog
from mailstead.usecases.update_state import UpdateState
from mailstead.usecases.update_wishes import UpdateWishes


@dataclass(frozen=True, slots=True)
class Care:
    """Use cases by name."""

    certificates: CertificateCare
    dns_writer: Callable[[], DnsWriting | None]
    """None: nobody has set who publishes the zones. Errors: BadSettings."""
    domain_kinds: DomainKinds
    jobs: HouseJobs
    junk: JunkTraining
    log: RecentLog
    returns: AccountReturns
    updates: UpdateState
    update_wishes: UpdateWishes
