"""Reports of browsers about our pages: counted by known words, bounded, and nothing of them is kept."""

import json
import logging

import pytest
from starlette.requests import Request

from mailstead.services.web.site.complaints import (
    DIRECTIVES,
    OCTETS_MAX,
    PER_HOUSE_MAX,
    PER_NETWORK_MAX,
    WINDOW_S,
    Complaints,
    directive_of,
)
from mailstead.services.web.site.frame import CONTENT_SECURITY, REPORTS
from mailstead.telemetry import metrics


class Clock:
    """Stands until it is moved."""

    def __init__(self):
        self.at_s = 1_000_020.0

    def monotonic_s(self):
        return self.at_s


def report(directive="script-src-elem", **more):
    return json.dumps({"csp-report": {"effective-directive": directive, "blocked-uri": "inline", **more}}).encode()


async def sent(complaints, octets, address="192.0.2.1"):
    async def receive():
        return {"type": "http.request", "body": octets, "more_body": False}

    scope = {
        "type": "http",
        "method": "POST",
        "path": REPORTS,
        "headers": [],
        "client": (address, 1),
        "query_string": b"",
    }
    return (await complaints.take(Request(scope, receive))).status_code


def counted():
    (family,) = metrics.CSP_REPORTS.collect()
    return {each.labels["directive"]: each.value for each in family.samples if each.name.endswith("_total")}


async def test_a_report_is_counted_by_its_directive_and_its_content_is_nowhere(caplog):
    before = counted()
    with caplog.at_level(logging.DEBUG):
        status = await sent(
            Complaints(Clock()), report(sample="secret-of-a-page", **{"document-uri": "https://x/secret-of-a-page"})
        )
    assert status == 204
    assert counted().get("script-src", 0) == before.get("script-src", 0) + 1
    assert "secret-of-a-page" not in caplog.text + str([vars(each) for each in caplog.records])


async def test_attack_100_words_of_somebody_elses_are_no_labels():
    before = set(counted())
    for directive in ("</script>", "x" * 4000, "script-src\n", "evil-src", 7, ["a"]):
        assert await sent(Complaints(Clock()), report(directive)) == 204
    assert set(counted()) <= before | DIRECTIVES | {"other"}


def test_what_stands_in_a_report():
    assert directive_of(report("style-src-attr")) == "style-src"
    assert directive_of(report("base-uri")) == "base-uri"
    assert directive_of(b'{"csp-report": {"violated-directive": "img-src \'self\' data:"}}') == "img-src"
    for wrong in (b"", b"[]", b"{}", b"\xff", b'{"csp-report": 7}', b'{"csp-report": {}}', b"[" * 5000):
        assert directive_of(wrong) is None, wrong


async def test_what_is_no_report_or_too_large_is_refused_and_not_counted():
    before = counted()
    assert await sent(Complaints(Clock()), b"no report") == 400
    assert await sent(Complaints(Clock()), report(sample="x" * OCTETS_MAX)) == 413
    assert counted() == before


async def test_so_many_are_taken_in_a_minute_of_a_network_and_of_all():
    clock, before = Clock(), counted().get("script-src", 0)
    complaints = Complaints(clock)
    assert {await sent(complaints, report()) for _ in range(PER_NETWORK_MAX)} == {204}
    assert await sent(complaints, report()) == 429
    statuses = [await sent(complaints, report(), f"203.0.{each}.1") for each in range(1, PER_HOUSE_MAX + 1)]
    assert statuses == [204] * (PER_HOUSE_MAX - PER_NETWORK_MAX) + [429] * PER_NETWORK_MAX
    assert counted()["script-src"] == before + PER_HOUSE_MAX
    clock.at_s += 2 * WINDOW_S
    assert await sent(complaints, report()) == 204


def test_every_directive_of_our_policy_is_one_we_know():
    ours = {each.split()[0] for each in CONTENT_SECURITY.split(";")} - {"report-uri"}
    assert ours <= DIRECTIVES


@pytest.mark.parametrize("word", sorted(DIRECTIVES))
def test_a_known_word_stays_itself(word):
    assert directive_of(report(word)) == word
