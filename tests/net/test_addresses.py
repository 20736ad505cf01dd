"""Public and other addresses, in all their forms."""

import pytest

from mailstead.net.addresses import is_disguised, is_public

PUBLIC = """
8.8.8.8 1.1.1.1 192.0.1.1 172.32.0.1 100.128.0.1 2606:4700::1111 2a00:1450::1
::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1
"""

NOT_PUBLIC = """
0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 172.31.255.255
192.0.0.1 192.0.0.170 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255
240.0.0.1 255.255.255.255
:: ::1 ::127.0.0.1 ::ffff:10.0.0.1 ::ffff:127.0.0.1 ::ffff:a9fe:a9fe ::ffff:0:10.0.0.1 64:ff9b::a00:1 64:ff9b::7f00:1
64:ff9b:1::808:808 100::1 2001::1 2001:0:a00:1:0:0:f5ff:fffe 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 2002:a00:1::1
2002:7f00:1:: 2002:c0a8:1::1 3fff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 2606:4700::1%eth0 fec0::1
ff02::1 ff0e::1
mail.example 127.1 0177.0.0.1 2130706433 0x7f000001
"""


@pytest.mark.parametrize("address", PUBLIC.split())
def test_public(address):
    assert is_public(address)


@pytest.mark.parametrize("address", [*NOT_PUBLIC.split(), ""])
def test_attack_037_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "0177.0.0.1",
        "0",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "a.0x",
        "127.0.0.1.",
        "08.1.1.1",
    ],
)
def test_attack_037_addresses_in_disguise(host):
    assert is_disguised(host)


@pytest.mark.parametrize(
    "host", ["mail.example", "1.example", "0x7f.example", "example.c0m", "192.0.2.1", "::1", "x0", ""]
)
def test_names_and_plain_addresses_are_no_disguise(host):
    assert not is_disguised(host)
