"""The commands `queue`, `suppression` and `trace`, on a house with mail in its queue."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from mailstead.cli.app import app
from mailstead.config.settings import Store
from mailstead.model.address import Address
from mailstead.model.envelope import Recipient
from mailstead.model.queue import (
    Destination,
    DestinationKind,
    ItemKind,
    NewItem,
    NewRecipient,
    Outcome,
    RecipientState,
    RemoteReply,
)
from mailstead.model.trace import TraceEvent
from mailstead.ports.clock import SystemClock
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.storage import EmbeddedStorage

ALICE = Address("alice", "example.test")
LATER = RemoteReply(451, "4.7.1", "greylisted", "mx.one.test", "192.0.2.1", "mta-sts")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("MAILSTEAD_SERVER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("MAILSTEAD_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*words, code=0):
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == code, (result.exit_code, result.output, result.exception)
        return json.loads(result.stdout) if "--json" in words and code == 0 else result

    return call


@pytest.fixture
def within(tmp_path):
    """Do something with the store of the house, made at its first opening, then close it."""
    (tmp_path / "data").mkdir()

    def within(work):
        async def in_storage():
            storage = await EmbeddedStorage.open(Store(), tmp_path / "data", LocalBus(), SystemClock())
            try:
                return await work(storage)
            finally:
                await storage.close()

        return asyncio.run(in_storage())

    return within


@pytest.fixture
def filled(run, within):
    """One message to one.test that was tried once, one to two.test and a webhook that waits."""
    now = datetime.now(UTC)

    def item(queue_id, *recipients):
        octets = f"Subject: {queue_id}\r\n\r\n".encode()
        expires_at = now + timedelta(days=5)
        return NewItem(queue_id, ItemKind.SUBMISSION, ALICE, recipients, octets, now, expires_at, notify_to=ALICE)

    def to(domain):
        return NewRecipient(Recipient(Address("bob", domain)), Destination(DestinationKind.DOMAIN, domain))

    async def fill(storage):
        queue = storage.queue
        await queue.put([item("q1", to("one.test"))])
        (delivery,) = await queue.lease(now, now + timedelta(hours=1), 10, 10)
        (recipient,) = delivery.item.recipients
        next_at = now + timedelta(hours=1)
        await queue.settle(delivery, [Outcome(recipient.recipient_id, RecipientState.WAITING, LATER, next_at)])
        await queue.destination_failed(delivery.destination, next_at, LATER)
        hook = Destination(DestinationKind.WEBHOOK, "hook.test", 443)
        webhook = NewRecipient(Recipient(ALICE), hook, "https://hook.test/in", Address("team", "example.test"))
        await queue.put([item("q2", to("two.test"), webhook)])

    within(fill)
    return run


def test_the_queue_is_listed_in_plain_words_and_for_machines(filled):
    told = filled("queue", "list").stdout
    assert "bob@one.test" in told
    assert "mx.one.test: 451 4.7.1 greylisted" in told
    assert "https://hook.test/in" in told
    assert "3 waiting" in told
    listed = filled("queue", "list", "--json")
    assert [(item["queue_id"], len(item["recipients"])) for item in listed] == [("q1", 1), ("q2", 2)]
    assert [item["queue_id"] for item in filled("queue", "list", "--address", "@Two.test", "--json")] == ["q2"]
    assert [item["queue_id"] for item in filled("queue", "list", "--destination", "ONE.test", "--json")] == ["q1"]
    assert filled("queue", "list", "--state", "failed", "--json") == []
    assert "raise --limit" in filled("queue", "list", "--limit", "1").stdout


def test_one_message_is_shown_in_full(filled):
    told = filled("queue", "show", "q1").stdout
    assert "to bob@one.test: waiting, tried 1 times" in told
    assert "(mta-sts)" in told
    assert "by way of team@example.test" in filled("queue", "show", "q2").stdout
    assert filled("queue", "show", "q1", "--message").stdout_bytes == b"Subject: q1\r\n\r\n"
    (item,) = filled("queue", "show", "q1", "--json")
    assert item["recipients"][0]["attempt_count"] == 1


def test_destinations_are_shown_with_their_rest(filled):
    told = filled("queue", "destinations").stdout
    assert "hook.test:443" in told
    by_name = {each["name"]: each for each in filled("queue", "destinations", "--json")}
    assert by_name["one.test"]["failure_count"] == 1
    assert by_name["one.test"]["not_before"] is not None
    assert by_name["two.test"]["waiting_count"] == 1


def test_messages_are_held_released_retried_cancelled_and_forgotten(filled):
    assert filled("queue", "hold", "q1", "q2").stdout == "3 recipients are held\n"
    assert {item["recipients"][0]["state"] for item in filled("queue", "list", "--json")} == {"held"}
    assert filled("queue", "release", "--destination", "one.test", "--json") == {"recipients": 1}
    assert filled("queue", "retry", "--all").stdout == "1 recipient is due now\n"
    assert filled("queue", "destinations", "--json")[0]["not_before"] is None
    assert "--yes" in filled("queue", "cancel", "--all", code=2).stderr
    assert filled("queue", "cancel", "q1").stdout == "1 recipient is cancelled\n"
    assert filled("queue", "cancel", "--all", "--yes", "--json") == {"recipients": 2}
    assert len(filled("queue", "list", "--state", "cancelled", "--json")) == 2
    assert filled("queue", "forget", "--before", "1h", "--json") == {"forgotten": 0}
    assert filled("queue", "forget", "--json") == {"forgotten": 2}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("show", "nope"), 67, "queue list"),
        (("hold", "nope"), 67, "queue list"),
        (("hold",), 2, "--all"),
        (("hold", "q1", "--all"), 2, "--all"),
        (("list", "--state", "asleep"), 65, "cancelled"),
        (("list", "--address", "bob"), 65, "name@domain"),
        (("forget", "--before", "yesterday"), 65, "2030-12-31"),
    ],
)
def test_mistakes_with_the_queue(filled, words, code, said):
    assert said in filled("queue", *words, code=code).stderr
    assert json.loads(filled("queue", "--json", *words, code=code).stderr)["error"]


def test_suppressed_addresses(run, tmp_path):
    (tmp_path / "data").mkdir()
    assert run("suppression", "list").stdout == "(none)\n"
    run("suppression", "add", "Bob@example.net", "--reason", "550 gone")
    (one,) = run("suppression", "list", "--json")
    assert (one["address"], one["reason"]) == ("Bob@example.net", "550 gone")
    assert "550 gone" in run("suppression", "list").stdout
    run("suppression", "remove", "bob@example.net")
    assert "not suppressed" in run("suppression", "remove", "bob@example.net", code=67).stderr
    assert "name@domain" in run("suppression", "add", "bob", code=65).stderr


# trace


@pytest.fixture
def traced(run, within):
    now = datetime.now(UTC)

    async def fill(storage):
        def record(minutes_ago, queue_id, step, decision="", reason="", **facts):
            whole = {"mail_from": "eve@example.net", "recipient": "bob@example.test", "message_id": "<1@example.net>"}
            at = now - timedelta(minutes=minutes_ago)
            storage.trace.record(TraceEvent(at, queue_id, "in", step, decision, reason, **(whole | facts)))

        record(300, "q0", "received", recipient="old@example.test", message_id="")
        record(3, "q1", "received", reason="812 octets by ESMTPS", peer="192.0.2.1 mx.example.net")
        record(3, "q1", "spf", "softfail", "~all of example.net", recipient="")
        record(2, "q1", "delivered", "delivered", "into Junk")
        record(1, "q1", "attempt", "waiting", "to example.org", recipient="bob@example.org", reply="451 4.7.1 later")

    within(fill)
    return SimpleNamespace(run=run)


def test_a_message_is_traced_step_by_step(traced):
    told = traced.run("trace", "bob@example.test").stdout
    for words in (
        "q1  from eve@example.net to bob@example.test, bob@example.org",
        "Message-ID <1@example.net>",
        "peer 192.0.2.1 mx.example.net",
        "spf         softfail; ~all of example.net",
        "delivered; into Junk",
        "answer: 451 4.7.1 later",
    ):
        assert words in told
    assert "old@example.test" not in told


@pytest.mark.parametrize(
    ("words", "queue_ids"),
    [
        ((), ["q1", "q0"]),
        (("@example.test",), ["q1", "q0"]),
        (("EVE@example.net", "--limit", "1"), ["q1"]),
        (("--message-id", "1@example.net"), ["q1"]),
        (("--queue-id", "q0"), ["q0"]),
        (("--since", "2h"), ["q1"]),
        (("--until", "2h"), ["q0"]),
        (("nobody@example.test",), []),
    ],
)
def test_messages_are_traced_by_each_condition(traced, words, queue_ids):
    assert [message["queue_id"] for message in traced.run("trace", *words, "--json")] == queue_ids


def test_traces_for_machines_have_every_field(traced):
    (message,) = traced.run("trace", "--queue-id", "q1", "--json")
    assert [step["step"] for step in message["steps"]] == ["received", "spf", "delivered", "attempt"]
    assert message["steps"][3]["reply"] == "451 4.7.1 later"
    assert datetime.fromisoformat(message["steps"][0]["at"]).tzinfo is not None


def test_nothing_found_and_mistakes_are_said(traced):
    assert "trace.kept_days" in traced.run("trace", "nobody@example.test").stdout
    assert "name@domain" in traced.run("trace", "nobody", code=65).stderr
    assert "--since" in traced.run("trace", "--since", "soon", code=65).stderr
