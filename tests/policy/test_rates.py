"""Sliding windows."""

from mailstead.policy import rates
from mailstead.policy.rates import Rates


def test_counts_within_the_window_and_forgets_behind_it():
    counted = Rates(100.0)
    assert [counted.count("a", 1000.0 + step) for step in range(3)] == [1, 2, 3]
    assert counted.count("b", 1003.0) == 1
    assert counted.count("a", 1000.0 + 250.0) == 1


def test_what_was_before_the_half_counts_in_part():
    counted = Rates(100.0)
    for _ in range(10):
        counted.count("a", 1050.0)
    assert counted.count("a", 1110.0) == 1 + 10 * 0.9
    assert counted.count("a", 1190.0) == 2 + 10 * 0.1


def test_the_number_of_keys_is_bounded(monkeypatch):
    monkeypatch.setattr(rates, "KEYS_MAX", 3)
    counted = Rates(100.0)
    for key in "abcd":
        counted.count(key, 0.0)
    assert counted.count("d", 1.0) == 2
    assert counted.count("a", 1.0) == 1
