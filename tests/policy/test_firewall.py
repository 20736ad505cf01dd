"""The lines that open a firewall."""

import subprocess

import pytest

from mailstead.policy import firewall


def test_ufw_opens_the_way_in_before_it_closes_anything():
    lines = firewall.lines("ufw", (25, 443), 2222)
    assert lines[0].startswith("ufw allow 2222/tcp")
    assert lines.index("ufw default deny incoming") > max(
        at for at, line in enumerate(lines) if "allow " in line and "/tcp" in line
    )
    assert lines[-1] == "ufw --force enable"
    opened = [line.split()[2] for line in lines if "/tcp" in line]
    assert opened == ["2222/tcp", "25/tcp", "443/tcp"]


def test_nftables_has_a_table_of_its_own_with_just_these_ports():
    text = "\n".join(firewall.lines("nftables", (443, 25), 22))
    assert "tcp dport { 22, 25, 443 } accept" in text
    assert "flush ruleset" not in text
    assert text.count("policy drop") == 1


@pytest.mark.parametrize("kind", firewall.KINDS)
def test_a_port_that_is_also_that_of_ssh_is_said_once(kind):
    text = "\n".join(firewall.lines(kind, (22, 25), 22))
    assert text.count("22/tcp") + text.count(" 22,") == 1


@pytest.mark.parametrize("kind", firewall.KINDS)
def test_a_shell_can_read_the_lines(kind):
    for line in firewall.lines(kind, (25,), 22):
        subprocess.run(["/bin/sh", "-nc", line], check=True)
