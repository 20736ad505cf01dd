"""The statistical junk filter: words, tokens, scores."""

import random

from hypothesis import given
from hypothesis import strategies as st

from mailstead.model.filtering import JunkCounts
from mailstead.policy import junk

KEY = b"k" * 32
GOOD = [
    "meeting",
    "tomorrow",
    "about",
    "the",
    "budget",
    "of",
    "our",
    "choir",
    "and",
    "the",
    "minutes",
    "of",
    "last",
    "week",
]
BAD = ["winner", "casino", "bonus", "click", "free", "pills", "replica", "watches", "urgent", "transfer", "million"]


def learned(count=20, seed=7):
    """Counts after so many good and junk messages of random words of each kind, with some of both."""
    chance = random.Random(seed)
    counts: dict[int, list[int]] = {}
    for is_junk, words in ((False, GOOD), (True, BAD)):
        for _ in range(count):
            text = " ".join([*chance.choices(words, k=8), *chance.choices(GOOD + BAD, k=1)])
            for word in junk.words_of("", f"x@{'bad' if is_junk else 'good'}.example", text):
                counts.setdefault(junk.token_of(word, KEY), [0, 0])[int(is_junk)] += 1
    return JunkCounts(count, count, {token: (good, bad) for token, (good, bad) in counts.items()})


def score_of(text, sender="new@elsewhere.example", known=None):
    tokens = {word: junk.token_of(word, KEY) for word in junk.words_of("", sender, text)}
    return junk.score(tokens, known or learned())


def test_good_and_junk_are_told_apart():
    assert score_of("the budget meeting is tomorrow, please read the minutes of our choir").probability < 0.1
    assert score_of("urgent winner, click for free casino bonus and replica watches").probability > 0.9


def test_unknown_words_say_nothing():
    assert score_of("lorem ipsum dolor sit amet").probability == 0.5


def test_too_little_learned_says_nothing():
    known = learned(junk.LEARNED_MIN - 1)
    assert score_of("casino", known=known) is None
    assert junk.score({}, JunkCounts(0, 0, {})) is None


def test_the_most_telling_words_come_first_and_are_named():
    found = score_of("casino bonus and the budget")
    assert {each.word for each in found.telling} >= {"casino", "bonus", "budget"}
    distances = [abs(each.probability - 0.5) for each in found.telling]
    assert distances == sorted(distances, reverse=True)
    casino = next(each for each in found.telling if each.word == "casino")
    assert casino.junk_count > casino.good_count


def test_words_tell_where_they_stood():
    words = junk.words_of("Casino", "a@shop.example", "see https://pay.evil.example/x and casino")
    assert "subject:casino" in words
    assert "casino" in words
    assert "from:shop.example" in words
    assert "link:evil.example" in words
    assert "link:pay.evil.example" in words


def test_a_flood_of_words_is_cut():
    text = " ".join(f"word{number}" for number in range(100_000))
    assert len(junk.words_of("", "", text)) <= junk.TOKENS_MAX


def test_attack_052_tokens_are_keyed():
    assert junk.token_of("casino", KEY) != junk.token_of("casino", b"other")
    assert -(2**63) <= junk.token_of("casino", KEY) < 2**63


@given(
    st.text(max_size=300),
    st.text(max_size=50),
    st.dictionaries(st.integers(0, 50), st.tuples(st.integers(0, 9), st.integers(0, 9))),
)
def test_any_text_and_any_counts_give_a_probability(text, subject, counts):
    words = junk.words_of(subject, "a@b.example", text)
    tokens = {word: number % 50 for number, word in enumerate(words)}
    found = junk.score(tokens, JunkCounts(9, 9, counts))
    assert found is not None
    assert 0.0 <= found.probability <= 1.0
