"""Readiness told to systemd's socket, by path and in the abstract name space; without one nothing happens."""

import os
import signal
import socket

import pytest

from mailstead.net.supervision import hang_up_means_reload, notify
from net.test_workers import finish, start


@pytest.mark.parametrize("is_abstract", [False, True])
def test_the_state_reaches_the_socket_that_the_environment_names(tmp_path, monkeypatch, is_abstract):
    name = f"mailstead-test-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}" if is_abstract else name)
        listening.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}" if is_abstract else name)
        assert notify("READY=1")
        assert listening.recv(100) == b"READY=1"


@pytest.mark.parametrize("where", [None, "", "relative", "/nobody/is/here"])
def test_without_a_supervisor_nobody_is_told_and_nothing_fails(monkeypatch, where):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if where is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", where)
    assert not notify("READY=1")


def test_a_terminal_that_closes_ends_the_server_and_a_supervisor_reloads_it(monkeypatch):
    with open("/dev/null") as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        assert hang_up_means_reload()
    leader, follower = os.openpty()
    with os.fdopen(leader, "rb"), os.fdopen(follower) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        assert not hang_up_means_reload()


def test_a_reload_goes_to_all_workers_and_none_ends():
    process = start(
        """
        def work(index):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP})
            os.write(1, f"ready {index}\\n".encode())
            caught = signal.sigwait({signal.SIGTERM, signal.SIGHUP})
            os.write(1, f"{caught.name} {index}\\n".encode())
            return until_term(index)

        sys.stdin = open("/dev/null")
        sys.exit(supervise(2, work))
        """
    )
    for _ in range(2):
        assert process.stdout.readline().startswith("ready")
    process.send_signal(signal.SIGHUP)
    lines = sorted(process.stdout.readline() for _ in range(4))
    assert [line.split()[:2] for line in lines] == [["SIGHUP", "0"], ["SIGHUP", "1"], ["ready", "0"], ["ready", "1"]]
    process.send_signal(signal.SIGTERM)
    assert finish(process)[:2] == (0, ["done 0", "done 1"])
