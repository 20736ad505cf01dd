"""What the pages of the server's upkeep need."""

from __future__ import annotations

from mailstead.services.web.site.care import Care
from mailstead.usecases.account_returns import AccountReturns
from mailstead.usecases.certificate_care import CertificateCare
from mailstead.usecases.domain_kinds import DomainKinds
from mailstead.usecases.house_jobs import HouseJobs
from mailstead.usecases.junk_training import JunkTraining
from mailstead.usecases.recent_log import RecentLog
from mailstead.wiring.certificates_held import HeldCertificates
from mailstead.wiring.doctor import make_dns_writer, make_doctor
from mailstead.wiring.house import House
from mailstead.wiring.installed import make_update_state
from mailstead.wiring.process_facts import log_terms
from mailstead.wiring.snapshot_place import Snapshots
from mailstead.wiring.update_wishes import make_update_wishes


def make_care(house: House) -> Care:
    """Give it."""
    jobs = HouseJobs(house.storage.memory, house.clock, house.audit)
    return Care(
        certificates=CertificateCare(HeldCertificates(house), jobs, house.clock),
        dns_writer=lambda: make_dns_writer(house),
        domain_kinds=DomainKinds(house.storage, house.domains),
        jobs=jobs,
        junk=JunkTraining(house.storage, house.accounts, house.junk_filter, house.audit),
        returns=AccountReturns(Snapshots(house), house.storage, house.accounts, jobs, house.clock),
        log=RecentLog(
            log_terms(house.settings), house.clock, house.audit, lambda actor: make_doctor(house).examine(actor)
        ),
        updates=make_update_state(house),
        update_wishes=make_update_wishes(house),
    )
