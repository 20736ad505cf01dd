"""What the pages of the server's upkeep need."""

from __future__ import annotations

from mailstead.services.web.site.care import Care
from mailstead.usecases.certificate_care import CertificateCare
from mailstead.usecases.house_jobs import HouseJobs
from mailstead.wiring.certificates_held import HeldCertificates
from mailstead.wiring.house import House


def make_care(house: House) -> Care:
    """Give it."""
    jobs = HouseJobs(house.storage.memory, house.clock, house.audit)
    return Care(certificates=CertificateCare(HeldCertificates(house), jobs, house.clock), jobs=jobs)
