"""The mx in a network name space of its own, as a container has it: one end of a pair, the machine at the other."""

import os
import secrets
import shutil
import socket
import subprocess
import time
from contextlib import suppress

import pytest

from system.server import MAILSTEAD, Server, free_ports

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(120),
    pytest.mark.skipif(os.geteuid() != 0, reason="network name spaces need root"),
    pytest.mark.skipif(not shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin"), reason="missing: ip (iproute2)"),
]

PROXY = shutil.which("docker-proxy", path="/usr/sbin:/usr/bin:/usr/libexec/docker")
LIMIT_S = 60


def ip(*words):
    environ = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    subprocess.run(["ip", *words], env=environ, check=True, capture_output=True, timeout=20)


class Container:
    """A name space with a server in it; the machine is its gateway."""

    def __init__(self, folder, net):
        self.name, self.gateway, self.address, self.stranger = (
            f"ms{secrets.token_hex(3)}",
            f"{net}.1",
            f"{net}.2",
            f"{net}.3",
        )
        self._server = Server(folder, {"MAILSTEAD_MX_LISTEN": ":2525", "MAILSTEAD_SERVER_SERVICES": "mx"})
        self._log = folder / "log"
        self._process = None
        ip("netns", "add", self.name)
        ip("link", "add", self.name, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        for at in (self.gateway, self.stranger):
            ip("address", "add", f"{at}/24", "dev", self.name)
        ip("link", "set", self.name, "up")
        ip("-n", self.name, "address", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip("-n", self.name, "link", "set", device, "up")
        ip("-n", self.name, "route", "add", "default", "via", self.gateway)

    def run(self, *words, **how):
        command = ["ip", "netns", "exec", self.name, *words]
        environ = {**self._server.environment, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=LIMIT_S, **how)

    def start(self, **settings):
        self._server.settings.update(settings)
        environ = {**self._server.environment, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, MAILSTEAD, "serve", "--init"], env=environ, stdout=log, stderr=log
            )
        end_s = time.monotonic() + LIMIT_S
        while self.run(MAILSTEAD, "health").returncode:  # from within, as a container's health check
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < end_s, self.log()

    def log(self):
        return self._log.read_text()

    def end(self):
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
        ip("netns", "delete", self.name)  # takes both ends of the pair along
        with suppress(subprocess.CalledProcessError):
            ip("link", "delete", self.name)


@pytest.fixture
def container(tmp_path):
    made = Container(tmp_path, f"10.213.{secrets.randbelow(250)}")
    yield made
    made.end()


def greeting(address, source=None, port=2525):
    with socket.create_connection((address, port), 20, source_address=(source, 0) if source else None) as client:
        return client.recv(200)


def test_attack_013_in_a_container_only_who_looks_like_the_gateway_is_turned_away(container):
    container.start()  # and is well, as its own health check says
    assert greeting(container.address, container.gateway).startswith(b"421 4.3.2 This server cannot see")
    assert greeting(container.address, container.stranger).startswith(b"220 ")
    assert f'"address": "{container.gateway}"' in container.log()
    told = container.run(MAILSTEAD, "--json", "doctor").stdout
    assert "limits.allows_bridged_clients" in told


def test_attack_013_a_setting_lets_the_gateway_in(container):
    container.start(MAILSTEAD_LIMITS_ALLOWS_BRIDGED_CLIENTS="true")
    assert greeting(container.address, container.gateway).startswith(b"220 ")


@pytest.mark.skipif(PROXY is None, reason="missing: docker-proxy; run `make setup-tools` as root")
def test_attack_013_strangers_over_ipv6_whom_docker_s_own_proxy_brings_are_turned_away(container):
    container.start()
    (port,) = free_ports(1)
    words = ["-proto", "tcp", "-host-ip", "::1", "-host-port", str(port)]
    words += ["-container-ip", container.address, "-container-port", "2525"]
    # It says on its fourth file that it listens, as the engine has it.
    ready, told = os.pipe()
    proxy = subprocess.Popen(
        ["bash", "-c", f'exec 3>&{told}; exec "$@"', "bash", PROXY, *words], pass_fds=(told,), stderr=subprocess.DEVNULL
    )
    os.close(told)
    try:
        assert os.read(ready, 100).startswith(b"0")
        assert greeting("::1", port=port).startswith(b"421 4.3.2 This server cannot see")
    finally:
        os.close(ready)
        proxy.terminate()
        proxy.wait(20)
