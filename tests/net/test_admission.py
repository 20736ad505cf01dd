"""Who may connect."""

import pytest

from mailstead.model.errors import BadSettings
from mailstead.net.admission import Admission, ServiceAdmission


def test_limit_in_all():
    admission = Admission(2, 10)
    assert admission.enter("192.0.2.1") is None
    assert admission.enter("192.0.2.2") is None
    assert admission.enter("192.0.2.3") == "too many connections"
    admission.leave("192.0.2.1")
    assert admission.enter("192.0.2.3") is None


@pytest.mark.parametrize(
    ("first", "same", "other"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ("192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.2"),
        ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"),
        ("fe80::1%eth0", "fe80::1%eth0", "2001:db8::"),
    ],
)
def test_attack_010_limit_by_address_and_64(first, same, other):
    admission = Admission(100, 1)
    assert admission.enter(first) is None
    assert admission.enter(same) == "too many from one address"
    assert admission.enter(other) is None
    admission.leave(first)
    assert admission.enter(same) is None
    assert admission.open_count == 2


def test_loopback_is_exempt_unless_told_otherwise():
    admission = Admission(100, 1)
    assert [admission.enter("127.0.0.1"), admission.enter("127.0.0.1"), admission.enter("::1")] == [None] * 3
    strict = Admission(100, 1, is_loopback_exempt=False)
    assert strict.enter("127.0.0.1") is None
    assert strict.enter("127.0.0.1") is not None


def test_attack_013_private_addresses_are_not_trusted_by_themselves():
    assert not Admission().is_proxy("10.0.0.1")
    assert not Admission().is_proxy("127.0.0.1")
    listed = Admission(proxy_from=["10.0.0.0/8", "2001:db8::7"])
    assert listed.is_proxy("10.1.2.3")
    assert listed.is_proxy("::ffff:10.1.2.3")
    assert listed.is_proxy("2001:db8::7")
    assert not listed.is_proxy("2001:db8::8")
    assert not listed.is_proxy("")


def test_bad_proxy_setting_is_explained():
    with pytest.raises(BadSettings, match=r"10\.0\.0\.0/8"):
        Admission(proxy_from=["the balancer"])


def test_no_trace_is_left_of_who_is_gone():
    admission = Admission(1000, 5)
    for number in range(200):
        admission.enter(f"192.0.2.{number}")
        admission.leave(f"192.0.2.{number}")
    assert admission.open_count == 0
    assert not admission._count_of


def test_a_service_has_its_own_bound_within_that_of_all():
    whole = Admission(3, 200)
    imap, submission = ServiceAdmission(whole, 2), ServiceAdmission(whole, 2)
    assert (imap.enter("192.0.2.1"), imap.enter("192.0.2.2"), submission.enter("192.0.2.3")) == (None, None, None)
    assert (imap.has_room, submission.has_room, whole.open_count) == (False, False, 3)
    assert imap.enter("192.0.2.4") == "too many connections of this service"
    assert submission.enter("192.0.2.4") == "too many connections"
    imap.leave("192.0.2.1")
    assert (imap.has_room, submission.has_room, submission.enter("192.0.2.4")) == (True, True, None)
