"""What is known around the message: the server, junk and virus checks, what was seen before.

Spec: RFC 5183 (environment); RFC 5235 (spamtest, virustest); RFC 7352 (duplicate).
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from mailstead.sieve.actions import SeenKey
from mailstead.sieve.call import Call
from mailstead.sieve.forms import MATCH_TAGS, NEVER, Check, TagForm, Takes, TestForm
from mailstead.sieve.matching import matcher
from mailstead.sieve.run import Run
from mailstead.sieve.words import filled

SEEN_SECONDS: Final = 7 * 86400
SEEN_SECONDS_MAX: Final = 30 * 86400
SEEN_KEYS_MAX: Final = 16
"""Noted by one run."""


def _environment(call: Call) -> Check:
    """Spec: RFC 5183 §4: an unknown item never fits."""
    words = call.text(0)
    match = matcher(call, 1)

    def holds(run: Run) -> bool:
        value = run.facts.environment.get(filled(words, run).lower())
        return value is not None and match(run, [value])

    return holds


def _spamtest(call: Call) -> Check:
    """Spec: RFC 5235 §2.1, §2.2: 0 not tested, 1 to 10, or 0 to 100 with ``:percent``."""
    match = matcher(call, 0)
    is_percent = call.has("percent")
    is_count = call.has("count")

    def holds(run: Run) -> bool:
        percent = run.facts.spam_percent
        if percent is None:
            # With ":percent" 0 means clean, and ":count" tells that nothing was tested.
            return match(run, [] if is_count else ["0"])
        percent = min(max(percent, 0), 100)
        return match(run, [str(percent if is_percent else 1 + round(percent * 9 / 100))])

    return holds


def _virustest(call: Call) -> Check:
    """Spec: RFC 5235 §2.3."""
    match = matcher(call, 0)
    return lambda run: match(run, [str(min(max(run.facts.virus_level, 0), 5))])


def _duplicate(call: Call) -> Check:
    """Spec: RFC 7352 §3."""
    handle = call.text("handle") if call.has("handle") else ""
    header = call.text("header") if call.has("header") else "Message-ID"
    unique = call.text("uniqueid") if call.has("uniqueid") else None
    seconds = min(call.number("seconds"), SEEN_SECONDS_MAX) if call.has("seconds") else SEEN_SECONDS
    is_last = call.has("last")
    if not seconds:
        return NEVER

    def was_seen(run: Run) -> bool:
        if unique is not None:
            value = filled(unique, run)
        else:
            fields = run.message.named(filled(header, run))
            if not fields:
                return False
            value = fields[0].text
        # Where the value is from does not matter.
        text = f"{filled(handle, run)}\0{value}"
        run.budget.spend(1 + (len(text) >> 6))
        key = sha256(text.encode("utf-8", "replace")).hexdigest()[:32]
        is_known = key in run.facts.seen_keys
        if (not is_known or is_last) and (key in run.seen or len(run.seen) < SEEN_KEYS_MAX):
            run.seen[key] = SeenKey(key, seconds)
        return is_known

    return was_seen


TESTS: Final = (
    TestForm("environment", (Takes.TEXT, Takes.TEXTS), MATCH_TAGS, ("environment",), build=_environment),
    TestForm(
        "spamtest",
        (Takes.TEXT,),
        (*MATCH_TAGS, TagForm("percent", needs="spamtestplus")),
        ("spamtest",),
        build=_spamtest,
    ),
    TestForm("virustest", (Takes.TEXT,), MATCH_TAGS, ("virustest",), build=_virustest),
    TestForm(
        "duplicate",
        tags=(
            TagForm("handle", takes=Takes.TEXT),
            TagForm("header", "id", Takes.TEXT),
            TagForm("uniqueid", "id", Takes.TEXT),
            TagForm("seconds", takes=Takes.NUMBER),
            TagForm("last"),
        ),
        needs=("duplicate",),
        build=_duplicate,
    ),
)
EXTENSIONS: Final = ("environment", "spamtest", "spamtestplus", "virustest", "duplicate")
