from mailstead.model.address import Address
from mailstead.model.verdict import Decision
from mailstead.policy.names import is_postmaster, may_be_given, without_detail


def test_reserved():
    assert may_be_given(Address.parse("Mailer-Daemon@example.test")).decision is Decision.REFUSE
    assert may_be_given(Address.parse("+x@example.test")).decision is Decision.REFUSE
    assert may_be_given(Address.parse("postmaster@example.test")).decision is Decision.ALLOW


def test_detail():
    assert without_detail(Address.parse("a+b+c@example.test")) == Address.parse("a@example.test")
    assert without_detail(Address.parse("a@example.test")) is None
    assert without_detail(Address.parse("+b@example.test")) is None


def test_postmaster_in_any_case():
    assert is_postmaster(Address.parse("PostMaster@example.test"))
    assert not is_postmaster(Address.parse("postmaster2@example.test"))
