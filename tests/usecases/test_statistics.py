"""Figures over time: what the metrics count is added up, nothing is lost or counted twice, rows come without gaps."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from mailstead.config.settings import Authentication, Dns, Server, Settings, Store
from mailstead.model.address import Address
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import AuthenticationFailed, NotAllowed, StorageUnavailable
from mailstead.model.secret import Secret
from mailstead.model.statistics import Span
from mailstead.telemetry import metrics
from mailstead.usecases.statistics import KEPT, Statistics, StatisticsCounting, counted
from mailstead.wiring.house import ADMINISTRATOR, open_house
from usecases.flow import ANN, EVE, open_flow

PASSWORD = Secret("pw-never-in-a-log")
ALICE = Address("alice", "example.test")


class HandClock:
    """Stands still, so that no hour ends between writing and reading."""

    def __init__(self):
        self.present = datetime.now(UTC)

    def now(self):
        return self.present

    def monotonic_s(self):
        return self.present.timestamp()


class Counter:
    """A source that a test moves."""

    def __init__(self):
        self.values = {}

    def __call__(self):
        return dict(self.values)


@pytest.fixture
async def house(tmp_path):
    settings = Settings(
        server=Server(hostname="mx.example.test", data_dir=tmp_path / "data"),
        store=Store(master_key=Secret("42" * 32), disk_reserve_octets=0),
        authentication=Authentication(is_enabled=False),
        dns=Dns(servers=("127.0.0.1:9",), query_limit_s=0.2, message_limit_s=0.5),
    )
    async with open_house(settings, HandClock()) as house:
        await house.domains.add(ADMINISTRATOR, "example.test")
        await house.accounts.create(ADMINISTRATOR, ALICE, PASSWORD)
        yield house


async def now_and_day(house):
    statistics = Statistics(house.storage, house.clock)
    return [(await statistics.show(ADMINISTRATOR, span))[-1] for span in Span]


async def test_rows_come_without_gaps_and_the_present_one_is_the_last(house):
    statistics = Statistics(house.storage, house.clock)
    for span, length in ((Span.HOUR, timedelta(hours=1)), (Span.DAY, timedelta(days=1))):
        rows = await statistics.show(ADMINISTRATOR, span)
        assert len(rows) == KEPT[span]
        begins = [row.begins_at for row in rows]
        assert all(later - earlier == length for earlier, later in pairwise(begins))
        assert begins[-1] <= house.clock.now() < begins[-1] + length
        assert rows[0].mail_in == 0
        assert rows[0].queue_length is None


async def test_what_has_come_since_is_added_once(house):
    source = Counter()
    source.values = {"mail_in": 100}
    counting = StatisticsCounting(house.storage, house.clock, source)
    await counting.flush()
    source.values = {"mail_in": 103, "refused policy": 2, "refused unknown": 1}
    await counting.flush()
    await counting.flush()
    for row in await now_and_day(house):
        assert (row.mail_in, dict(row.refused), row.refused_count) == (3, {"unknown": 1, "policy": 2}, 3)
        assert list(row.refused) == ["unknown", "policy"]


async def test_processes_add_up(house):
    source, other = Counter(), Counter()
    both = [StatisticsCounting(house.storage, house.clock, each) for each in (source, other)]
    source.values, other.values = {"log_ins": 2}, {"log_ins": 5, "failed_log_ins": 1}
    await asyncio.gather(*(each.flush() for each in both))
    assert [(row.log_ins, row.failed_log_ins) for row in await now_and_day(house)] == [(7, 1), (7, 1)]


async def test_what_could_not_be_written_is_written_the_next_time(house, monkeypatch):
    source = Counter()
    counting = StatisticsCounting(house.storage, house.clock, source)
    source.values = {"mail_out": 4}

    async def fails(*_):
        raise StorageUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(type(house.storage.statistics), "record", fails)
        with pytest.raises(StorageUnavailable):
            await counting.flush()
    source.values = {"mail_out": 5}
    await counting.flush()
    assert [row.mail_out for row in await now_and_day(house)] == [5, 5]


async def test_the_last_figures_are_written_at_the_end(house):
    source, stop = Counter(), asyncio.Event()
    running = asyncio.ensure_future(StatisticsCounting(house.storage, house.clock, source).run(stop))
    await asyncio.sleep(0)  # one turn, in which the counting begins
    source.values = {"bounced": 1}
    stop.set()
    await asyncio.wait_for(running, 20)
    assert [row.bounced for row in await now_and_day(house)] == [1, 1]


async def test_a_store_that_is_away_ends_no_process(house, monkeypatch):
    source, stop = Counter(), asyncio.Event()

    async def fails(*_):
        raise StorageUnavailable

    monkeypatch.setattr(type(house.storage.statistics), "record", fails)
    running = asyncio.ensure_future(StatisticsCounting(house.storage, house.clock, source).run(stop))
    await asyncio.sleep(0)  # one turn, in which the counting begins
    source.values = {"bounced": 1}
    stop.set()
    await asyncio.wait_for(running, 20)


async def test_log_ins_and_failed_ones_are_counted_by_the_metrics(house):
    counting = StatisticsCounting(house.storage, house.clock)
    peer = Peer("192.0.2.7", 4711)
    await house.accounts.log_in(str(ALICE), PASSWORD, peer, "imap")
    with pytest.raises(AuthenticationFailed):
        await house.accounts.log_in(str(ALICE), Secret("pw-never-in-a-log other"), peer, "imap")
    await counting.flush()
    assert [(row.log_ins, row.failed_log_ins) for row in await now_and_day(house)] == [(1, 1), (1, 1)]


async def test_junk_is_counted_where_it_is_filed(tmp_path):
    zones = {"_dmarc.stranger.test": {"TXT": ["v=DMARC1; p=quarantine"]}}
    async with open_flow(tmp_path / "flow", zones=zones) as flow:
        before = counted().get("junk", 0)
        await flow.receive("bob", mail_from=ANN)
        assert counted().get("junk", 0) == before
        await flow.receive("bob", mail_from=EVE)
        assert counted()["junk"] == before + 1


def test_what_the_metrics_count_has_its_figure():
    before = counted()
    metrics.DELIVERED.labels("mx").inc(2)
    metrics.DELIVERED.labels("mxdeliv").inc()
    metrics.DELIVERED.labels("imap").inc(50)
    metrics.RELAYED.labels("delivered").inc(3)
    metrics.RELAYED.labels("failed").inc()
    metrics.RELAYED.labels("waiting").inc(70)
    metrics.JUNK.inc(4)
    metrics.refused("mx", "550", "NoSuchAddress")
    metrics.refused("mx", "450", "Greylisted")
    metrics.refused("submission", "535", "AuthenticationFailed")
    metrics.refused("imap", "NO", "none")
    after = counted()
    grown = {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}
    assert grown == {
        "mail_in": 3, "mail_out": 3, "bounced": 1, "junk": 4, "refused unknown": 1, "refused put off": 1
    }  # fmt: skip


async def test_only_who_administers_the_server_sees_figures(house):
    account = await house.storage.directory.credentials(ALICE)
    with pytest.raises(NotAllowed):
        await Statistics(house.storage, house.clock).show(Actor(account.account.account_id, ALICE), Span.HOUR)


async def test_queue_and_room_are_measured_and_old_rows_go(house):
    statistics, now = Statistics(house.storage, house.clock), house.clock.now()
    await statistics.look_after(now - timedelta(days=500))
    await statistics.look_after(now)
    hour, day = await now_and_day(house)
    assert hour.queue_length == day.queue_length == 0
    assert hour.storage_octets == day.storage_octets > 0
    rows = await house.storage.statistics.read(Span.DAY, now - timedelta(days=1000))
    assert list(rows) == [day.begins_at]


async def test_room_is_measured_once_an_hour(house, monkeypatch):
    statistics, asked = Statistics(house.storage, house.clock), []

    async def octets(_):
        asked.append(1)
        return 17

    monkeypatch.setattr(type(house.storage.statistics), "store_octets", octets)
    now = house.clock.now().replace(minute=1)
    for minutes in (0, 5, 10, 61):
        await statistics.look_after(now + timedelta(minutes=minutes))
    assert len(asked) == 2
