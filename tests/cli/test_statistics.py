"""`mailstead statistics`: charts for people, rows for machines."""

import json
from datetime import datetime, timedelta

import pytest
from typer.testing import CliRunner

from mailstead.cli.app import app
from mailstead.cli.statistics import bars
from mailstead.cli.terminal import Terminal
from mailstead.model.statistics import Amounts
from mailstead.usecases.statistics import Statistics


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("MAILSTEAD_SERVER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("MAILSTEAD_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*words, code=0):
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == code, (result.exit_code, result.output, result.exception)
        return json.loads(result.stdout) if "--json" in words else result.stdout

    call("init", "--domain", "example.test")
    return call


@pytest.fixture
def recorded(run):
    async def work(house):
        now = house.clock.now()
        record = house.storage.statistics.record
        await record(now - timedelta(days=70), Amounts(added={"mail_in": 100}))
        await record(now - timedelta(days=3), Amounts(added={"mail_in": 40, "refused policy": 2}))
        await record(now, Amounts(added={"mail_in": 2, "refused unknown": 3, "failed_log_ins": 1}))
        await Statistics(house.storage, house.clock).look_after(now)

    Terminal(None, False).run(work)
    return run


def line_of(text, title):
    [line] = [line for line in text.splitlines() if line.startswith(f"{title} ")]
    return line


def test_a_house_without_figures_shows_empty_charts(run):
    text = run("statistics")
    assert line_of(text, "mail in").endswith(" 0 in all")
    assert line_of(text, "queue").endswith("not measured")
    assert "Refused:" not in text
    assert "█" not in text


def test_hours_are_shown_unless_days_are_asked_for(recorded):
    text = recorded("statistics")
    for title, told in (("mail in", "  2 in all"), ("failed log-ins", "  1 in all")):
        assert line_of(text, title).endswith(told)
        assert line_of(text, title).removesuffix(told).rstrip().endswith("█")
    assert line_of(text, "queue").endswith("0 waiting")
    assert line_of(text, "storage").endswith("iB")
    assert text.splitlines()[-1] == "Refused: unknown 3"
    assert len(line_of(text, "mail in")) == 15 + 48 + len("  2 in all")


def test_days_are_taken_together_where_there_are_many(recorded):
    assert line_of(recorded("statistics", "--days", "7"), "mail in").endswith("  42 in all")
    text = recorded("statistics", "--days", "400")
    assert line_of(text, "mail in").endswith("  142 in all")
    assert line_of(text, "mail in").count("█") == 1
    assert len(line_of(text, "mail in")) == 15 + 58 + len("  142 in all")
    assert text.splitlines()[-1] == "Refused: unknown 3, policy 2"


def test_machines_get_rows(recorded):
    rows = recorded("statistics", "--days", "6", "--json")
    assert len(rows) == 6
    counted = [row for row in rows if row["mail_in"]]
    assert [row["mail_in"] for row in counted] == [40, 2]
    assert counted[-1]["refused"] == {"unknown": 3}
    assert counted[-1]["storage_octets"] > 0
    assert rows[0]["queue_length"] is None
    assert datetime.fromisoformat(rows[-1]["begins_at"]).tzinfo is not None
    assert len(recorded("statistics", "--json")) == 48


def test_bars_begin_at_nothing_and_show_the_least():
    assert bars([0, 1, 4, 8]) == " ▁▄█"
    assert bars([1, 1000]) == "▁█"
    assert bars([0, 0]) == "  "
    assert bars([]) == ""
