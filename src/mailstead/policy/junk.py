"""The statistical junk filter: tokens of a message, what was learned of them, and how likely junk it is.

Robinson's and Fisher's method, as SpamBayes and Bogofilter have it: each token has a probability, drawn to neutral
where little is known; of the most telling ones two chi-square tests are made, one for junk and one for good, and the
score is where they meet. It is small, learns from one owner only, and can say which words it went by.

Tokens are kept as keyed hashes: the store of an account does not list words of its mail, and nobody can craft words
that collide (attack row 52). Pure.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from mailstead.model.filtering import JunkCounts

TOKENS_MAX: Final = 2000
"""Distinct tokens of one message that are looked at."""
TEXT_CHARACTERS_MAX: Final = 50_000
TELLING_MAX: Final = 150
"""How many of the most telling tokens decide. Spec: SpamBayes uses as many."""
STRENGTH: Final = 0.45
NEUTRAL: Final = 0.5
MINIMUM_DISTANCE: Final = 0.1
"""Tokens closer to neutral than this say nothing."""
LEARNED_MIN: Final = 5
"""Good and junk messages each that must be learned before the filter says anything."""

# Words of letters and digits of any script; money and shouting count as their own.
_WORD: Final = re.compile(r"[\w$€£'-]{3,40}")
_LINK: Final = re.compile(r"https?://([^\s/\"'<>?#:@]{3,100})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Telling:
    """One word that the score went by."""

    word: str
    probability: float
    """Of junk, given the word."""
    good_count: int
    junk_count: int


@dataclass(frozen=True, slots=True)
class JunkScore:
    """What the filter says of a message."""

    probability: float
    """0 is good, 1 is junk, 0.5 is unknown."""
    telling: tuple[Telling, ...] = ()
    """The most telling words first."""


def words_of(subject: str, sender: str, body: str, extra: Iterable[str] = ()) -> list[str]:
    """Give the distinct words that stand for a message, those that tell where they stood with their place before them.

    Shapes: `sender` is the address in From; `extra` are ready-made words such as ``spf:fail``. At most `TOKENS_MAX`.
    """
    words: dict[str, None] = dict.fromkeys(extra)
    _, _, domain = sender.rpartition("@")
    words |= dict.fromkeys((f"from:{sender.casefold()}", f"from:{domain.casefold()}"))
    words |= dict.fromkeys(f"subject:{word}" for word in _words(subject))
    body = body[:TEXT_CHARACTERS_MAX]
    for host in _LINK.findall(body):
        labels = host.casefold().strip(".").split(".")
        words |= dict.fromkeys(f"link:{'.'.join(labels[-count:])}" for count in range(2, min(len(labels), 4) + 1))
    for word in _words(body):
        if len(words) >= TOKENS_MAX:
            break
        words[word] = None
    return list(words)[:TOKENS_MAX]


def _words(text: str) -> Iterable[str]:
    return (word.casefold().strip("'-") for word in _WORD.findall(text))


def token_of(word: str, key: bytes) -> int:
    """Give the keyed 64-bit hash of a word, signed."""
    digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8, key=key[:64]).digest()
    return int.from_bytes(digest, "big", signed=True)


def score(tokens: Mapping[str, int], known: JunkCounts) -> JunkScore | None:
    """Score the words of a message (each with its token); None while too little is learned.

    Spec: G. Robinson, "A statistical approach to the spam problem" (2003).
    """
    if min(known.good_total, known.junk_total) < LEARNED_MIN:
        return None
    telling: list[Telling] = []
    for word, token in tokens.items():
        good, junk = known.counts.get(token, (0, 0))
        if not good + junk:
            continue
        probability = _probability(good, junk, known)
        if abs(probability - NEUTRAL) >= MINIMUM_DISTANCE:
            telling.append(Telling(word, probability, good, junk))
    telling.sort(key=lambda each: abs(each.probability - NEUTRAL), reverse=True)
    telling = telling[:TELLING_MAX]
    return JunkScore(_combined([each.probability for each in telling]), tuple(telling))


def _probability(good: int, junk: int, known: JunkCounts) -> float:
    """Give the probability of junk given a word, drawn towards neutral by its rarity."""
    good_rate = min(1.0, good / known.good_total)
    junk_rate = min(1.0, junk / known.junk_total)
    raw = junk_rate / (good_rate + junk_rate) if good_rate + junk_rate else NEUTRAL
    count = good + junk
    return (STRENGTH * NEUTRAL + count * raw) / (STRENGTH + count)


def _combined(probabilities: list[float]) -> float:
    if not probabilities:
        return NEUTRAL
    count = len(probabilities)
    junk = 1.0 - _chi_square(-2.0 * sum(math.log(1.0 - each) for each in probabilities), 2 * count)
    good = 1.0 - _chi_square(-2.0 * sum(math.log(each) for each in probabilities), 2 * count)
    return (junk - good + 1.0) / 2.0


def _chi_square(value: float, degrees: int) -> float:
    """Give the probability that a chi-square of an even number of degrees of freedom is at least `value`."""
    half = value / 2.0
    term = total = math.exp(-half)
    for number in range(1, degrees // 2):
        term *= half / number
        total += term
    return min(1.0, total)
