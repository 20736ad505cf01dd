"""A certificate ordered by hand: at once when it is due, else only for who is sure."""

from datetime import timedelta

import pytest

from mailstead.model.envelope import Actor
from mailstead.model.errors import NotAllowed, PolicyRefused, TryAgainLater
from mailstead.usecases.audit import Unnoted
from mailstead.usecases.certificate_care import CertificateCare, HeldCertificate, RenewedBy
from mailstead.usecases.house_jobs import HouseJobs


class Files:
    def __init__(self, clock):
        now = clock.now()
        self.by = RenewedBy.ACME
        self.due_at = now + timedelta(days=20)
        self.ends_at = now + timedelta(days=50, hours=1)
        self.failure = None
        self.order_count = 0
        self.look = lambda: None

    async def held(self):
        self.look()
        began_at = self.ends_at - timedelta(days=90)
        return [
            HeldCertificate(
                "certificate.pem",
                ("mail.example.test",),
                "Authority",
                is_self_signed=False,
                not_before=began_at,
                not_after=self.ends_at,
                renewed_by=self.by,
                due_at=self.due_at,
            )
        ]

    async def order(self):
        if self.failure:
            raise self.failure
        self.order_count += 1
        return {"names": ["mail.example.test"]}


@pytest.fixture
def files(clock):
    return Files(clock)


@pytest.fixture
async def jobs(storage, clock):
    jobs = HouseJobs(storage.memory, clock, Unnoted())
    yield jobs
    await jobs.close()


@pytest.fixture
def care(files, jobs, clock):
    return CertificateCare(files, jobs, clock)


async def test_days_are_counted_until_its_end_and_beyond(care, admin, clock):
    (held,) = await care.look(admin)
    assert held.days_left(clock.now()) == 50
    assert held.days_left(clock.now() + timedelta(days=51)) == -1


async def test_one_that_is_good_for_long_is_renewed_only_by_who_is_sure(care, admin, files, jobs):
    assert await care.renew(admin) is None
    assert files.order_count == 0
    await care.renew(admin, is_sure=True)
    await jobs.settle()
    assert files.order_count == 1
    assert (await care.last_renewal(admin)).error == ""


async def test_one_that_is_due_is_ordered_at_once_and_a_failure_is_told(care, admin, files, jobs, clock):
    files.due_at, files.failure = clock.now(), TryAgainLater("The authority cannot connect")
    await care.renew(admin)
    await jobs.settle()
    assert (await care.last_renewal(admin)).error == "The authority cannot connect"


async def test_one_that_is_due_at_once_is_due_however_quickly_somebody_asks(care, admin, files, jobs, clock):
    def look():
        clock.passed_s += 0.001
        files.due_at = clock.now()

    files.look = look
    assert await care.renew(admin) is not None
    await jobs.settle()
    assert files.order_count == 1


async def test_what_others_bring_is_not_ordered(care, admin, files):
    files.by = RenewedBy.FILE
    with pytest.raises(PolicyRefused):
        await care.renew(admin, is_sure=True)


async def test_attack_092_only_for_administrators_of_the_server(care):
    for verb in (care.look, care.renew, care.last_renewal):
        with pytest.raises(NotAllowed):
            await verb(Actor(None, None))
