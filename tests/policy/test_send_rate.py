import pytest

from mailstead.policy import send_rate
from mailstead.policy.send_rate import SendRate


def test_a_burst_at_once_then_one_each_second():
    rate = SendRate()
    assert [rate.count("a", 60, 10, 5.0) for _ in range(10)] == [0.0] * 10
    assert rate.count("a", 60, 10, 5.0) == pytest.approx(1.0)
    assert rate.count("a", 60, 10, 5.9) == pytest.approx(0.1)
    assert rate.count("a", 60, 10, 6.0) == 0.0
    assert rate.count("a", 60, 10, 6.0) == pytest.approx(1.0)


def test_after_silence_the_whole_burst_is_there_again_and_no_more():
    rate = SendRate()
    for _ in range(10):
        rate.count("a", 60, 10, 0.0)
    assert [rate.count("a", 60, 10, 1000.0) for _ in range(11)] == [*[0.0] * 10, pytest.approx(1.0)]


def test_at_the_steady_rate_nobody_waits():
    rate = SendRate()
    assert {rate.count("a", 60, 1, float(second)) for second in range(100)} == {0.0}
    assert rate.count("a", 60, 1, 99.5) == pytest.approx(0.5)


def test_each_has_a_bucket_of_its_own():
    rate = SendRate()
    assert rate.count("a", 1, 0, 0.0) == 0.0
    assert rate.count("a", 1, 0, 0.0) == pytest.approx(60.0)
    assert rate.count("b", 1, 0, 0.0) == 0.0


def test_what_was_refused_does_not_count():
    rate = SendRate()
    rate.count("a", 60, 1, 0.0)
    for _ in range(100):
        rate.count("a", 60, 1, 0.5)
    assert rate.count("a", 60, 1, 1.0) == 0.0


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(send_rate, "KEYS_MAX", 2)
    rate = SendRate()
    for key in "abc":
        rate.count(key, 1, 1, 0.0)
    assert rate.count("a", 1, 1, 0.0) == 0.0
    assert rate.count("c", 1, 1, 0.0) > 0
