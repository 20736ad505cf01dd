"""When a certificate is due."""

from datetime import UTC, datetime, timedelta

import pytest

from mailstead.net.acme.renewal import Held, back_off, covers, due_at, renew_at

START = datetime(2027, 1, 1, tzinfo=UTC)
NOW = START + timedelta(days=10)


def held(days=90, names=("mail.test",), **more):
    return Held(frozenset(names), START, START + timedelta(days=days), **{"is_self_signed": False, **more})


@pytest.mark.parametrize(("days", "first"), [(90, 60), (6, 4), (45, 30)])
def test_it_is_due_after_two_thirds_and_up_to_a_24th_more(days, first):
    end = START + timedelta(days=days)
    assert renew_at(START, end, 0.0) == START + timedelta(days=first)
    assert renew_at(START, end, 0.5) == START + timedelta(days=first + days / 48)
    assert renew_at(START, end, 0.999) < START + timedelta(days=first + days / 24)


def test_what_cannot_serve_is_due_at_once():
    for certificate in (None, held(is_self_signed=True), held(names=("other.test",))):
        assert due_at(certificate, ["mail.test"], NOW, 0.5) == NOW


def test_what_is_good_is_due_later_whatever_further_names_it_has():
    assert due_at(held(names=("mail.test", "old.test")), ["mail.test"], NOW, 0.0) == START + timedelta(days=60)


def test_a_wildcard_covers_one_label():
    assert covers(frozenset({"*.mail.test"}), ["a.mail.test", "*.mail.test"])
    assert not covers(frozenset({"*.mail.test"}), ["mail.test"])
    assert not covers(frozenset({"*.mail.test"}), ["a.b.mail.test"])
    assert not covers(frozenset({"a.mail.test"}), ["*.mail.test"])


def test_failures_are_spread_further_and_further():
    hours = [back_off(count) / timedelta(hours=1) for count in (0, 1, 2, 3, 4, 5, 6, 7, 1000)]
    assert hours == [1, 1, 2, 4, 8, 16, 24, 24, 24]
