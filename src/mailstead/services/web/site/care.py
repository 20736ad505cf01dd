"""What the pages of the server's upkeep need. Made by `wiring.site_care`."""

from __future__ import annotations

from dataclasses import dataclass

from mailstead.usecases.account_returns import AccountReturns
from mailstead.usecases.certificate_care import CertificateCare
from mailstead.usecases.house_jobs import HouseJobs
from mailstead.usecases.junk_training import JunkTraining
from mailstead.usecases.recent_log import RecentLog
from mailstead.usecases.update_state import UpdateState


@dataclass(frozen=True, slots=True)
class Care:
    """Use cases by name."""

    certificates: CertificateCare
    jobs: HouseJobs
    junk: JunkTraining
    log: RecentLog
    returns: AccountReturns
    updates: UpdateState
