import pytest

from mailstead.model.address import Address
from mailstead.model.directory import Alias, HostTarget, WebhookTarget
from mailstead.policy.dns_rules import read_rules


def read(*records, targets_max=10):
    return read_rules("example.test", tuple(record.encode() for record in records), targets_max)


def address(text):
    name, _, domain = text.partition("@")
    return Address(name, domain or "example.test")


def exact(rules):
    return {alias.address.local_part: alias for alias in rules.exact.values()}


def test_names_catch_all_and_several_targets():
    rules = read(
        "v=spf1 -all",
        "forward-email=Info:a@x.test, sales:b@x.test,sales:https://h.test/p:1?q ,,",
        "forward-email=catch@x.test",
        "forward-email=sales:mail.x.test:2525,ip:192.0.2.1,fqdn:x.test",
    )
    assert exact(rules) == {
        "Info": Alias(address("Info"), (address("a@x.test"),)),
        "sales": Alias(
            address("sales"),
            (address("b@x.test"), WebhookTarget("https://h.test/p:1?q"), HostTarget("mail.x.test", 2525)),
        ),
        "ip": Alias(address("ip"), (HostTarget("192.0.2.1", 25),)),
        "fqdn": Alias(address("fqdn"), (address("*@x.test"),)),
    }
    assert rules.patterns == (Alias(address("*"), (address("catch@x.test"),)),)
    assert rules.problems == ()


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("a@x.test", address("a@x.test")),
        ("user@[192.0.2.1]", address("user@[192.0.2.1]")),
        ("x.test", address("*@x.test")),
        ("192.0.2.1", HostTarget("192.0.2.1")),
        ("2001:db8::1", HostTarget("2001:db8::1")),
        ("[2001:db8::1]:26", HostTarget("2001:db8::1", 26)),
        ("mail.x.test:26", HostTarget("mail.x.test", 26)),
        ("https://h.test:1/x", WebhookTarget("https://h.test:1/x")),
        ("*:a@x.test", address("a@x.test")),
    ],
)
def test_a_target_alone_is_the_catch_all(text, target):
    rules = read(f"forward-email={text}")
    assert (rules.exact, rules.patterns, rules.problems) == ({}, (Alias(address("*"), (target,)),), ())


def test_switched_off_names():
    rules = read(
        "forward-email=!a:x@x.test,!!b,!!!c:x@x.test,!d:x@x.test,d:y@x.test,e:x@x.test,!!e:y@x.test,!/^f/:x@x.test"
    )
    codes = {name: alias.disabled_code for name, alias in exact(rules).items() if not alias.is_enabled}
    assert codes == {"a": 250, "b": 421, "c": 550, "d": 250, "e": 421}
    assert [(alias.address.local_part, alias.is_enabled, alias.disabled_code) for alias in rules.patterns] == [
        ("/^f/", False, 250)
    ]
    assert rules.problems == ()


def test_regular_expressions_with_commas_colons_slashes_and_flags():
    rules = read(r"forward-email=/^a{1,3}:\/(.+)$/gi:$1@x.test,/^b/:b@x.test,all@x.test,/^b/:c@x.test")
    assert rules.patterns == (
        Alias(address(r"/^a{1,3}:\/(.+)$/"), (address("$1@x.test"),)),
        Alias(address("/^b/"), (address("b@x.test"), address("c@x.test"))),
        Alias(address("*"), (address("all@x.test"),)),
    )
    assert rules.problems == ()


def test_the_port_of_hosts_that_name_none():
    rules = read("forward-email=a:192.0.2.1,b:x.test,c:x.test:27,d:d@x.test", "forward-email-port=26")
    assert [alias.targets[0] for alias in rules.exact.values()] == [
        HostTarget("192.0.2.1", 26),
        HostTarget("x.test", 26),
        HostTarget("x.test", 27),
        address("d@x.test"),
    ]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ("forward-email=a:", "without a target"),
        ("forward-email=a:nobody", "is no target"),
        ("forward-email=nobody", "is no target"),
        (r"forward-email=/(a)\1/:a@x.test", "back references"),
        ("forward-email=/(a)/:$2@x.test", "1 groups"),
        ("forward-email=/a/q:x@x.test", "no flag"),
        ("forward-email=a b:x@x.test", "not allowed"),
        ("forward-email-port=0", "between 1 and 65535"),
        ("forward-email-port=99999999999", "between 1 and 65535"),
        ("forward-email=" + "0123456789abcdef" * 4, "not with a key of ours"),
        ("forward-email=" + "Zm9yd2FyZC1lbWFpbA" * 4 + "==", "not with a key of ours"),
        ("forward-email=" + ",".join(f"a:x{number}@x.test" for number in range(11)), "more than 10 targets"),
        ("forward-email=" + "a:b@x.test," * 3000, "more than 2000 mappings"),
        ("forward-email=" + "x" * 70_000, "more than 65536 characters"),
    ],
)
def test_what_cannot_be_read_is_told_and_the_rest_is_in_force(record, said):
    rules = read("forward-email=good:g@x.test", record)
    [problem] = rules.problems
    assert said in problem
    assert len(problem) < 300
    if "characters" not in said:
        assert rules.exact["good@example.test"].targets == (address("g@x.test"),)


def test_verification_is_exactly_one_record_with_the_value():
    one = "forward-email-site-verification=abc"
    assert read().unverified_because("") == ""
    assert read(one).unverified_because("abc") == ""
    assert "there is no TXT record" in read("forward-email=a:b@x.test").unverified_because("abc")
    assert "another value" in read(one).unverified_because("xyz")
    assert "exactly one" in read(one, "forward-email-site-verification=x").unverified_because("abc")
    assert "exactly one" in read(one, one + " ").unverified_because("abc")


@pytest.mark.parametrize("text", ["!" * 50_000, "/" * 50_000, "/a" * 25_000, "a:" * 25_000, "," * 50_000, " " * 50_000])
def test_hostile_records_are_read_quickly(text):
    read("forward-email=" + text)
