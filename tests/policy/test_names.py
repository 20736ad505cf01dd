from mailstead.model.address import Address
from mailstead.model.verdict import Decision
from mailstead.policy.names import is_postmaster, may_be_given, without_detail


def test_reserved():
    assert may_be_given(Address.parse("Mailer-Daemon@example.test")).decision is Decision.REFUSE
    assert may_be_given(Address.parse("+x@example.test")).decision is Decision.REFUSE
    for name in ("!x", "a\u200bb", "a\u00a0b", "a\x00", "*", "/^x/"):
        assert may_be_given(Address(name, "example.test")).decision is Decision.REFUSE, name
    for name in ("postmaster", "a!b", "a b", "/x", "bücher"):
        assert may_be_given(Address(name, "example.test")).decision is Decision.ALLOW, name


def test_detail():
    assert without_detail(Address.parse("a+b+c@example.test")) == Address.parse("a@example.test")
    assert without_detail(Address.parse("a@example.test")) is None
    assert without_detail(Address.parse("+b@example.test")) is None


def test_postmaster_in_any_case():
    assert is_postmaster(Address.parse("PostMaster@example.test"))
    assert not is_postmaster(Address.parse("postmaster2@example.test"))
