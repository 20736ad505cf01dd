"""The doctor's daily round: only what differs, and only once two runs agree."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from mailstead.model.diagnosis import Diagnosis, Health
from mailstead.model.envelope import Actor
from mailstead.model.errors import NotAllowed
from mailstead.model.queue import LOCAL, QueueQuery
from mailstead.policy.srs import Srs
from mailstead.usecases.daily_doctor import DailyDoctor
from mailstead.usecases.routes import HouseRelayTerms, Routes
from mailstead.usecases.sealing import Sealing

OK, WARNING, ERROR, SKIPPED = Health.OK, Health.WARNING, Health.ERROR, Health.SKIPPED


class Doctor:
    """Finds what the test says."""

    def __init__(self):
        self.found = []
        self.run_count = 0

    async def examine(self, actor, domain=None, progress=None):
        self.run_count += 1
        return self.found


@pytest.fixture
async def rounds(storage, clock, admin, domains, keys):
    await keys.create(admin, "example.test")
    doctor = Doctor()
    sealing = Sealing(storage, keys, Srs((b"k" * 32,)), clock, authserv_id="mx.example.test")
    daily = DailyDoctor(storage, clock, doctor, Routes(storage, HouseRelayTerms()), sealing, hostname="mx.example.test")

    async def day(actor=admin, **statuses):
        doctor.found = [Diagnosis(name, status, f"{name} found", "x", "do it") for name, status in statuses.items()]
        differences = await daily.compare(actor, doctor.found)
        clock.passed_s += 86400
        return [(each.now.name, each.before, each.now.status) for each in differences]

    day.daily, day.doctor = daily, doctor
    return day


async def test_what_is_wrong_twice_is_told_once(rounds):
    assert await rounds(disk=ERROR, mx=OK) == []
    assert await rounds(disk=ERROR, mx=OK) == [("disk", OK, ERROR)]
    assert await rounds(disk=ERROR, mx=OK) == []
    assert await rounds(disk=OK, mx=OK) == []
    assert await rounds(disk=OK, mx=OK) == [("disk", ERROR, OK)]


async def test_what_comes_and_goes_is_not_told(rounds):
    for status in (OK, ERROR, OK, ERROR, OK, WARNING, ERROR, OK):
        assert await rounds(mx=status) == []


async def test_what_gets_worse_is_told(rounds):
    await rounds(disk=WARNING)
    assert await rounds(disk=WARNING) == [("disk", OK, WARNING)]
    await rounds(disk=ERROR)
    assert await rounds(disk=ERROR) == [("disk", WARNING, ERROR)]


async def test_what_is_not_looked_at_is_well(rounds):
    for _ in range(3):
        assert await rounds(relay=SKIPPED) == []


async def test_what_is_there_no_more_is_forgotten(rounds):
    await rounds(disk=OK, mx=ERROR)
    await rounds(disk=OK)
    assert await rounds(disk=OK, mx=ERROR) == []
    assert await rounds(disk=OK, mx=ERROR) == [("mx", OK, ERROR)]


async def test_it_is_told_in_the_log_and_by_signed_mail(rounds, storage):
    await rounds(disk=ERROR, mx=WARNING)
    with capture_logs() as logs:
        await rounds(disk=ERROR, mx=WARNING)
    assert [(each["log_level"], each["thing"], each["now"]) for each in logs] == [
        ("warning", "disk", "error"),
        ("warning", "mx", "warning"),
    ]
    [item] = await storage.queue.items(QueueQuery())
    [recipient] = item.recipients
    assert str(recipient.recipient.address) == "postmaster@example.test"
    assert recipient.destination == LOCAL
    assert item.mail_from is None
    octets = (await storage.queue.octets(item.item_id)).decode()
    assert octets.startswith("DKIM-Signature:")
    assert "Auto-Submitted: auto-generated" in octets
    assert "disk: was ok, is error" in octets
    assert "mx found" in octets


async def test_without_a_domain_it_is_told_in_the_log_only(rounds, storage, domains, admin, keys):
    for key in await keys.list(admin, "example.test"):
        await keys.retire(admin, "example.test", key.key.selector)
        await keys.remove(admin, "example.test", key.key.selector)
    await domains.remove(admin, "example.test")
    await rounds(disk=ERROR)
    assert len(await rounds(disk=ERROR)) == 1
    assert await storage.queue.items(QueueQuery()) == []


async def test_it_goes_round_once_a_day_and_lets_a_new_house_be_set_up(rounds, clock, admin):
    async def tick(hours):
        clock.passed_s += hours * 3600
        await rounds.daily.go_round(admin, clock.now())
        return rounds.doctor.run_count

    assert await tick(0) == 0
    assert await tick(0.1) == 1
    assert await tick(0.1) == 1
    assert await tick(23) == 1
    assert await tick(1) == 2


async def test_for_administrators_only(rounds):
    with pytest.raises(NotAllowed):
        await rounds(Actor(None, None), disk=OK)


async def test_what_was_seen_long_ago_is_forgotten(rounds, clock):
    await rounds(disk=ERROR)
    clock.passed_s += timedelta(days=31).total_seconds()
    assert await rounds(disk=ERROR) == []
