"""The openspf.org suite for RFC 7208, whole: all 203 cases, none skipped."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from mailauth.zones import UNAVAILABLE, Zones
from mailstead.mailauth import spf
from mailstead.model.address import Address
from mailstead.model.authentication import SpfResult

VECTORS = Path(__file__).parent / "vectors" / "rfc7208-tests.yml"
NOW = datetime(2026, 11, 27, tzinfo=UTC)


def octets(value):
    """Join the strings of a record; the file writes octets above 127 as the characters of that number."""
    return "".join(value if isinstance(value, list) else [value]).encode("latin-1")


def zones(zonedata):
    """Read the zones of a scenario.

    Records marked SPF are TXT ones, unless the name has some of its own (NONE: it has none); TIMEOUT makes everything
    not named before it unavailable.
    """
    names = {}
    for name, records in zonedata.items():
        entry = names.setdefault(name.lower(), {})
        spf_texts, is_timeout = [], False
        for record in records:
            if record == "TIMEOUT":
                is_timeout = True
                continue
            ((kind, value),) = record.items()
            if kind == "SPF":
                spf_texts.append(octets(value))
            elif kind == "TXT":
                entry.setdefault("TXT", []).extend([] if value == "NONE" else [octets(value)])
            elif kind == "CNAME":
                entry["CNAME"] = value
            elif kind == "MX":
                entry.setdefault("MX", []).append(tuple(value))
            else:
                entry.setdefault(kind, []).append(value)
        if "TXT" not in entry and spf_texts:
            entry["TXT"] = spf_texts
        if is_timeout:
            if not entry:
                names[name.lower()] = UNAVAILABLE
            elif not entry.get("TXT"):
                entry["TXT"] = UNAVAILABLE
    return names


def cases():
    for scenario in yaml.safe_load_all(VECTORS.read_text()):
        names = zones(scenario["zonedata"])
        for name, case in scenario["tests"].items():
            yield pytest.param(names, case, id=f"{scenario['description'].replace(' ', '-')}:{name}")


def sender(text):
    local_part, _, domain = text.rpartition("@")
    return Address(local_part, domain) if text else None


CASES = list(cases())


def test_the_suite_is_whole():
    assert len(CASES) == 203


@pytest.mark.parametrize(("names", "case"), CASES)
async def test_vector(names, case):
    found, _ = await spf.check(
        Zones(names),
        case["host"],
        str(case["helo"]),
        sender(case["mailfrom"]),
        receiver="receiver.example.org",
        now=NOW,
    )
    assert isinstance(found, SpfResult)
    expected = case["result"] if isinstance(case["result"], list) else [case["result"]]
    assert found.result in expected
    if "explanation" in case:
        default = f"{found.domain} does not let {case['host'].lower()} send its mail"
        assert found.explanation == (default if case["explanation"] == "DEFAULT" else case["explanation"])
