"""The machine in a container behaves as a machine: services, a firewall that counts, Docker inside, reboot."""

import socket

import pytest

from containers import vps
from containers.engine import until

pytestmark = [pytest.mark.full, pytest.mark.timeout(1200)]


def answers(address, port):
    try:
        with socket.create_connection((address, port), 2):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("system", ["debian:12", "ubuntu:24.04"])
def test_services_firewall_docker_and_reboot(engine, system):
    if reason := vps.lacking(system):
        pytest.skip(reason)
    with vps.Vps.start(engine, system) as machine:
        ssh = "ssh.socket" if system == "ubuntu:24.04" else "ssh"
        assert machine.run(f"systemctl is-active {ssh} cron docker").split() == ["active"] * 3
        until(lambda: answers(machine.address, 22), 20, lambda: machine.run("ss -ltn"))
        machine.run("ufw deny 22/tcp && ufw --force enable")
        assert not answers(machine.address, 22)
        machine.run("ufw allow 22/tcp")
        assert answers(machine.address, 22)
        machine.run("echo kept >/etc/kept && touch /run/gone")
        machine.reboot()
        assert machine.run("cat /etc/kept; ls /run/gone", expect=None).startswith("kept\nls:")
        assert "Status: active" in machine.run("ufw status")
        until(lambda: machine.succeeds("docker info"), 30, lambda: machine.run("journalctl -u docker -n 50"))
