"""The last lines of the log: kept by the log as it is set up, bounded, and without what `Secret` hides."""

import logging

import structlog

from mailstead.model.secret import Secret
from mailstead.telemetry import last_lines, log


def said(event, **facts):
    last_lines.keep(None, "info", {"event": event, "level": "info", "room": "web", "timestamp": "T", **facts})
    return last_lines.last_lines()[-1]


def test_the_log_as_it_is_set_up_keeps_lines(capfd):
    before = structlog.get_config()
    try:
        log.configure("warning", "json")
        logger = structlog.get_logger(room="smtp")
        logger.info("is below the level")
        try:
            raise ValueError("why it failed")
        except ValueError as error:
            logger.error("it failed", queue_id="17", exc_info=error)
    finally:
        structlog.configure(**before)
    line = last_lines.last_lines()[-1]
    assert (line.level, line.room, line.event) == ("error", "smtp", "it failed")
    assert line.facts.startswith("queue_id=17 \nTraceback")
    assert line.facts.endswith("ValueError: why it failed")
    assert "it failed" in capfd.readouterr().err  # handed on
    assert logging.getLevelName("WARNING") == 30


def test_values_stand_on_one_line_and_secrets_hide_themselves():
    line = said("a password", why="two\nlines", secret=Secret("pw-never-in-a-log-lines"), count=2)
    assert line.facts == 'why="two\\nlines" secret=Secret(***) count=2'
    assert line.text == f"T info     web        a password {line.facts}"


def test_their_number_and_length_are_bounded():
    for number in range(last_lines.KEPT_MAX + 10):
        said(f"line {number}")
    lines = last_lines.last_lines()
    assert len(lines) == last_lines.KEPT_MAX
    assert lines[0].event == "line 10"
    long = said("x" * 10_000, fact="y" * 10_000)
    assert len(long.text) < 3 * last_lines.TEXT_CHARACTERS_MAX + 100
