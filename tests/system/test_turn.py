"""Calls: Debian's coturn takes the credentials that we tell clients, and no others. It has the same secret in its settings."""

import re
import socket
import subprocess
import time

import pytest

from system.relays import Relay
from system.server import free_ports

pytestmark = pytest.mark.full

SECRET = "a shared secret of the house"
LIMIT_S = 20


@pytest.fixture
def turn(need, tmp_path):
    [port] = free_ports(1)
    command = [
        need("turnserver"), "-n", "--log-file", "stdout", "--no-tls", "--no-dtls", "--no-cli", "--use-auth-secret",
        f"--static-auth-secret={SECRET}", "--realm=_turn.test", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1",
        f"--listening-port={port}", "--allow-loopback-peers", "--min-port=49400", "--max-port=49500",
        f"--userdb={tmp_path / 'turn.db'}", f"--pidfile={tmp_path / 'turn.pid'}",
    ]  # fmt: skip
    with (tmp_path / "turn.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    end = time.monotonic() + LIMIT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert time.monotonic() < end, (tmp_path / "turn.log").read_text()[-2000:]
            assert process.poll() is None, (tmp_path / "turn.log").read_text()[-2000:]
            time.sleep(0.05)  # the server says nowhere else that it is ready
    yield port
    process.terminate()
    process.wait(LIMIT_S)


def allocates(client, port, name, password):
    """Whether coturn's own client gets a relay with these credentials, and a packet through it."""
    command = [client, "-u", name, "-w", password, "-p", str(port), "-y", "-n", "1", "-c", "127.0.0.1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    received = re.findall(
        r"tot_recv_msgs=(\d+)", done.stdout
    )  # told each second, so one cannot say which counts are told
    return done.returncode == 0 and "401" not in done.stdout and bool(received) and int(received[-1]) > 0


def test_coturn_takes_what_clients_are_told(turn, need, tmp_path):
    relay = Relay(tmp_path / "relay", "_turn.test", turn_server=f"127.0.0.1:{turn}")
    relay.settings["MAILSTEAD_CHATMAIL_TURN_SECRET"] = SECRET
    with relay:
        client = relay.imap(relay.new_person())
        client.send(b'x GETMETADATA "" /shared/vendor/deltachat/turn\r\n')
        told = re.search(rb'turn "127\.0\.0\.1:(\d+):(\d+):([^"]+)"', client.readline())
        assert int(told[1]) == turn
        name, password = told[2].decode(), told[3].decode()
    assert allocates(need("turnutils_uclient"), turn, name, password)
    assert not allocates(need("turnutils_uclient"), turn, name, "x" + password[1:])
    assert not allocates(need("turnutils_uclient"), turn, str(int(time.time()) - 60), password)
