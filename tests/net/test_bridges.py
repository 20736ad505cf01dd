"""The gateway of a container's network, and what becomes of clients that come from it."""

import pytest

from mailstead.net.admission import BRIDGED, Admission, ServiceAdmission, UnbridgedAdmission
from mailstead.net.bridges import bridge_gateways

IPV4 = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth1\t00000000\t0102000A\t0003\t0\t0\t100\t00000000\t0\t0\t0
"""
NONE = "0" * 32
IPV6 = f"""\
fd000000000000000000000000000000 40 {NONE} 00 {NONE} 00000100 00000001 00000000 00000001     eth0
{NONE} 00 {NONE} 00 fd000000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
{NONE} 00 {NONE} 00 {NONE} ffffffff 00000001 00000000 00200200       lo
"""


@pytest.fixture
def machine(tmp_path):
    """Give the folders that stand for /proc and /sys; devices are made by number, the other end's number, and kind."""

    def make(ipv6=IPV6, **devices):
        (tmp_path / "proc/net").mkdir(parents=True)
        (tmp_path / "proc/net/route").write_text(IPV4)
        if ipv6:
            (tmp_path / "proc/net/ipv6_route").write_text(ipv6)
        for name, (number, other, kind) in devices.items():
            folder = tmp_path / "sys/class/net" / name
            folder.mkdir(parents=True)
            (folder / "ifindex").write_text(f"{number}\n")
            (folder / "iflink").write_text(f"{other}\n")
            (folder / "uevent").write_text(f"{kind}INTERFACE={name}\nIFINDEX={number}\n")
        return tmp_path / "proc", tmp_path / "sys"

    return make


def test_a_container_s_gateways_are_those_behind_one_end_of_a_pair(machine):
    assert bridge_gateways(*machine(eth0=(12, 13, ""))) == {"172.17.0.1", "fd00::1"}


def test_without_ipv6_there_is_no_table(machine):
    assert bridge_gateways(*machine(ipv6="", eth0=(12, 13, ""))) == {"172.17.0.1"}


@pytest.mark.parametrize(
    "device",
    [(2, 2, ""), (5, 2, "DEVTYPE=vlan\n"), (5, 2, "DEVTYPE=macvlan\n"), (7, 7, "DEVTYPE=bridge\n")],
    ids=["card", "vlan", "macvlan", "bridge"],
)
def test_a_router_in_the_network_of_the_machine_is_none(machine, device):
    assert bridge_gateways(*machine(eth0=device, eth1=(3, 3, ""))) == frozenset()


def test_where_nothing_can_be_read_there_is_none(tmp_path):
    assert bridge_gateways(tmp_path, tmp_path) == frozenset()


@pytest.mark.parametrize("address", ["172.17.0.1", "::ffff:172.17.0.1", "fd00::1"])
def test_attack_013_who_looks_like_our_own_bridge_is_turned_away(address):
    told = []
    whole = Admission(10, 1)
    mx = UnbridgedAdmission(whole, ["172.17.0.1", "fd00::1"], told.append)
    assert mx.enter(address) == BRIDGED
    assert told == [address]
    assert whole.open_count == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "172.17.0.2", "192.168.1.7", "8.8.8.8", "fd00::2"])
def test_attack_013_health_checks_neighbours_and_strangers_with_their_own_address_are_let_in(address):
    mx = UnbridgedAdmission(ServiceAdmission(Admission(10, 1), 1), ["172.17.0.1", "fd00::1"], pytest.fail)
    assert mx.enter(address) is None
    assert mx.enter("172.17.0.3") == "too many connections of this service"  # limits go on counting
    mx.leave(address)
    assert mx.enter("172.17.0.3") is None
