"""The ports of trace and reports: recording that never waits, searching by each condition, reports kept once."""

import asyncio
from datetime import timedelta

import pytest

from mailstead.model.errors import StorageFull
from mailstead.model.reports import Report, ReportQuery, ReportRow
from mailstead.model.trace import TraceEvent, TraceQuery
from mailstead.storage.embedded import trace as trace_module
from mailstead.telemetry import metrics

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def trace(storage):
    return storage.trace


@pytest.fixture
def reports(storage):
    return storage.reports


@pytest.fixture
def now(house):
    return house.clock.now


@pytest.fixture
def event(now):
    def make(number=0, **facts):
        whole = {
            "at": now() + number * MINUTE,
            "queue_id": f"q{number}",
            "direction": "in",
            "step": "received",
            "mail_from": "Alice@example.net",
            "recipient": "bob@example.test",
            "message_id": f"<{number}@example.net>",
        }
        return TraceEvent(**(whole | facts))

    return make


def dropped():
    return metrics.TRACE_DROPPED._value.get()


async def test_what_was_recorded_is_found_at_once_and_whole(trace, event):
    whole = event(
        decision="refuse",
        reason="said “no”",
        peer="192.0.2.1 mx.example.net",
        reply="550 5.7.1 no",
        domain="example.test",
    )
    trace.record(whole)
    assert await trace.search(TraceQuery()) == [whole]


@pytest.mark.parametrize("common_events", [1, 20_000])
async def test_steps_are_found_by_each_condition_newest_first(trace, event, now, monkeypatch, common_events):
    monkeypatch.setattr(trace_module, "COMMON_EVENTS", common_events)
    events = [
        event(1),
        event(2, mail_from="", recipient="BOB@Example.test"),
        event(3, mail_from="eve@sub.example.net", recipient="carol@example.test"),
        event(4, mail_from="<>", recipient="", message_id=""),
        event(5, queue_id="q1", recipient="bob@example.test.evil"),
    ]
    for each in events:
        trace.record(each)

    async def found(**query):
        return [events.index(each) + 1 for each in await trace.search(TraceQuery(**query))]

    assert await found() == [5, 4, 3, 2, 1]
    assert await found(address="bob@example.test") == [2, 1]
    assert await found(address="alice@EXAMPLE.net") == [5, 1]
    assert await found(address="@example.test") == [3, 2, 1]
    assert await found(address="@example.net") == [5, 1]
    assert await found(address="ob@example.test") == []
    assert await found(queue_id="q1") == [5, 1]
    assert await found(message_id="<3@example.net>") == [3]
    assert await found(message_id="3@example.net") == [3]
    assert await found(since=now() + 3 * MINUTE) == [5, 4, 3]
    assert await found(until=now() + 3 * MINUTE) == [2, 1]
    assert await found(since=now() + 2 * MINUTE, address="@example.test") == [3, 2]
    assert await found(queue_id="q1", address="bob@example.test") == [1]
    assert await found(limit=2) == [5, 4]


async def test_steps_of_one_moment_are_in_their_order(trace, event):
    steps = [event(step=f"step {number}") for number in range(5)]
    for step in steps:
        trace.record(step)
    assert await trace.search(TraceQuery()) == steps[::-1]


async def test_steps_reach_the_file_without_being_asked_for_and_other_processes_find_them(house, trace, event):
    other = (await house.open()).trace
    trace.record(event(1))
    other.record(event(2))
    async with asyncio.timeout(20):
        while len(found := await other.search(TraceQuery())) < 2:  # ours is written some tenths of a second later
            await asyncio.sleep(0.01)  # another process of the house tells nobody what it has written
    assert [each.queue_id for each in found] == ["q2", "q1"]


async def test_many_steps_are_written_in_few_commits(trace, event):
    before = metrics.COMMITS._value.get()
    for number in range(3000):
        trace.record(event(number % 60))
    assert len(await trace.search(TraceQuery(limit=5000))) == 3000
    assert metrics.COMMITS._value.get() - before < 8


async def test_what_waits_is_written_at_close(house, event):
    first = await house.open()
    first.trace.record(event())
    await house.close()
    assert len(await (await house.open()).trace.search(TraceQuery())) == 1


async def test_above_the_bound_the_oldest_are_dropped_and_counted(trace, event, monkeypatch):
    monkeypatch.setattr(trace_module, "WAITING_MAX", 10)
    before = dropped()
    for number in range(25):
        trace.record(event(number))
    assert dropped() - before == 15
    assert [each.queue_id for each in await trace.search(TraceQuery())] == [
        f"q{number}" for number in range(24, 14, -1)
    ]


async def test_a_full_disk_drops_steps_and_disturbs_nobody(house, event):
    trace = (await house.open(disk_reserve_octets=2**62)).trace
    before = dropped()
    trace.record(event())
    assert await trace.search(TraceQuery()) == []
    assert dropped() - before == 1


async def test_hostile_texts_are_cut_and_cleaned(trace, event):
    trace.record(event(reply="x" * 5000, reason="bad \udce9 octet", mail_from="a\udc80@example.net"))
    trace.record(event(reason="nul \0 and ' quote"))
    second, first = await trace.search(TraceQuery())
    assert len(first.reply) == trace_module.TEXT_CHARACTERS_MAX
    assert first.reason == "bad ? octet"
    assert second.reason == "nul \0 and ' quote"


async def test_old_steps_are_removed(trace, event, now, monkeypatch):
    monkeypatch.setattr(trace_module, "EVENTS_PER_UNIT", 2)
    for number in range(7):
        trace.record(event(number))
    await trace.flush()
    assert await trace.expire(now() + 5 * MINUTE) == 5
    assert [each.queue_id for each in await trace.search(TraceQuery())] == ["q6", "q5"]


async def test_searches_use_their_index(trace, event):
    """A search that reads the whole file would take minutes of a busy week."""
    plans = []
    for query in (
        TraceQuery(queue_id="q"),
        TraceQuery(message_id="m"),
        TraceQuery(address="a@example.test"),
        TraceQuery(address="@example.test"),
        TraceQuery(),
    ):
        sql, values = trace_module.statement(query)
        rows = await trace._file.read(
            lambda db, sql=sql, values=values: list(db.execute(f"EXPLAIN QUERY PLAN {sql}", values))
        )
        plans.append(" ".join(row[-1] for row in rows))
    sql, values = trace_module.statement(TraceQuery(address="@example.test"), is_common=True)
    rows = await trace._file.read(lambda db: list(db.execute(f"EXPLAIN QUERY PLAN {sql}", values)))
    assert "event_at" in rows[0][-1]
    for plan, index in zip(
        plans, ("event_queue_id", "event_message_id", "event_recipient", "event_sender", "event_at"), strict=True
    ):
        assert index in plan, plan


# reports


@pytest.fixture
def report(now):
    def make(number=0, **facts):
        whole = {
            "kind": "dmarc",
            "domain": "example.test",
            "reporter": "Receiver Inc.",
            "report_id": str(number),
            "begin": now() - 24 * HOUR,
            "end": now(),
            "received_at": now() + number * HOUR,
            "rows": (ReportRow(3, "192.0.2.1", "none", "spf=pass dkim=fail"), ReportRow(1, "2001:db8::1", "reject")),
        }
        return Report(**(whole | facts))

    return make


async def test_a_report_is_kept_once_and_comes_back_whole(house, reports, report):
    other = (await house.open()).reports
    answers = await asyncio.gather(*((reports, other)[number % 2].add(report()) for number in range(6)))
    assert sorted(answers) == [False] * 5 + [True]
    assert await reports.add(report(reporter="Another Inc.")) is True
    assert await reports.add(report(kind="tls")) is True
    assert list(await other.reports(ReportQuery(limit=1, kind="tls"))) == [report(kind="tls")]
    assert len(await other.reports(ReportQuery())) == 3


async def test_reports_are_found_newest_first(reports, report, now):
    made = [report(1), report(2, domain="other.test"), report(3, kind="tls"), report(4)]
    for each in made:
        await reports.add(each)

    async def found(**query):
        return [made.index(each) + 1 for each in await reports.reports(ReportQuery(**query))]

    assert await found() == [4, 3, 2, 1]
    assert await found(domain="example.test") == [4, 3, 1]
    assert await found(kind="dmarc", domain="example.test") == [4, 1]
    assert await found(since=now() + 3 * HOUR) == [4, 3]
    assert await found(limit=2) == [4, 3]


async def test_old_reports_are_removed(reports, report, now):
    for number in range(4):
        await reports.add(report(number))
    assert await reports.expire(now() + 2 * HOUR) == 2
    assert [each.report_id for each in await reports.reports(ReportQuery())] == ["3", "2"]


async def test_reports_are_refused_when_the_disk_is_full(house, report):
    with pytest.raises(StorageFull):
        await (await house.open(disk_reserve_octets=2**62)).reports.add(report())
