import pytest

from mailstead.model.address import Address
from mailstead.model.directory import HostTarget, WebhookTarget
from mailstead.model.errors import BadTarget
from mailstead.policy.targets import distinct, read_target, read_targets


@pytest.mark.parametrize(
    ("text", "target"),
    [
        (" user@Example.NET ", Address("user", "example.net")),
        ("user@bücher.example", Address("user", "xn--bcher-kva.example")),
        ("user@[192.0.2.1]", Address("user", "[192.0.2.1]")),
        ("user@[IPv6:2001:db8::1]", Address("user", "[ipv6:2001:db8::1]")),
        ("user@localhost", Address("user", "localhost")),
        ("$1-x@example.net", Address("$1-x", "example.net")),
        ("example.net", Address("*", "example.net")),
        ("*@example.net", Address("*", "example.net")),
        ("Mail.Example.net:2525", HostTarget("mail.example.net", 2525)),
        ("localhost:25", HostTarget("localhost", 25)),
        ("192.0.2.1", HostTarget("192.0.2.1", 25)),
        ("192.0.2.1:26", HostTarget("192.0.2.1", 26)),
        ("2001:DB8::1", HostTarget("2001:db8::1", 25)),
        ("[2001:db8::1]", HostTarget("2001:db8::1", 25)),
        ("[2001:db8::1]:2525", HostTarget("2001:db8::1", 2525)),
        ("https://Hook.example/a?b=c", WebhookTarget("https://Hook.example/a?b=c")),
        ("http://[2001:db8::1]:8080/", WebhookTarget("http://[2001:db8::1]:8080/")),
    ],
)
def test_each_form_of_a_target(text, target):
    assert read_target(text) == target
    assert read_target(str(target)) == target


def test_a_port_for_hosts_that_name_none():
    assert read_target("192.0.2.1", port=26) == HostTarget("192.0.2.1", 26)
    assert read_target("example.net", port=26) == HostTarget("example.net", 26)
    assert read_target("example.net:27", port=26) == HostTarget("example.net", 27)
    assert read_target("user@example.net", port=26) == Address("user", "example.net")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("nobody", "is no target"),
        ("a b@example.net", "characters"),
        ("@example.net", "name@domain"),
        ("user@", "domain is empty"),
        ("user@[192.0.2]", "no IP address"),
        ("user@[nonsense]", "no IP address"),
        ("user@1.2.3.4", "neither an IP address"),
        ("999.0.2.1", "neither an IP address"),
        ("host.example:0", "between 1 and 65535"),
        ("host.example:65536", "between 1 and 65535"),
        ("host.example:x", "characters"),
        ("fe80::1%eth0", "characters"),
        ("bad_\\host.example", "characters"),
        ("ftp://hook.example/", "begins with https://"),
        ("https:///path", "begins with https://"),
        ("https://hook.example:99999/", "begins with https://"),
        ("https://user:secret@hook.example/", "no user name"),
        ("https://hook.example/#part", "no #fragment"),
        ("https://hook.example/a b", "%XX"),
        ("https://hook.example/\r\nX: y", "%XX"),
        ("https://hook.example/ü", "%XX"),
        ("https://hook.example/" + "x" * 2000, "at most 2000"),
        ("user@" + "x" * 300, "domain is empty or too long"),
    ],
)
def test_what_is_no_target_is_told_why(text, said):
    with pytest.raises(BadTarget, match=said) as refused:
        read_target(text)
    assert len(refused.value.public_text) < 250


def test_several_in_one_text_and_each_once():
    assert read_targets(' a@x.test  "b c"@x.test A@X.test\thttps://h.test/ ') == (
        Address("A", "x.test"),
        Address("b c", "x.test"),
        WebhookTarget("https://h.test/"),
    )
    assert read_targets("") == ()
    assert distinct([HostTarget("h", 1), HostTarget("h", 1), HostTarget("h", 2)]) == (
        HostTarget("h", 1),
        HostTarget("h", 2),
    )
