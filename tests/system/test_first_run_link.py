"""What `mailstead serve` prints while nobody administers the server."""

import os
import re
import signal
import subprocess

import pytest

from system.server import MAILSTEAD, free_ports

pytestmark = pytest.mark.full


def environment(folder, **more):
    named = {"SERVER_HOSTNAME": "mail.example.test", "SERVER_DATA_DIR": str(folder), **more}
    return os.environ | {f"MAILSTEAD_{name}": value for name, value in named.items()}


def printed(folder):
    """Start the server, let it be ready, end it; give what it has printed, its log, and its port."""
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [MAILSTEAD, "serve"],
        env=environment(folder, SERVER_SERVICES="web", WEB_LISTEN_TLS=f"127.0.0.1:{port}"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = ""
    for line in process.stderr:
        log += line
        if "ready" in line:
            break
    process.send_signal(signal.SIGTERM)
    out, more = process.communicate(timeout=30)
    assert process.returncode == 0, log + more
    return out, log + more, port


def test_the_link_is_printed_until_somebody_administers_the_server(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()  # as a container's volume is
    out, log, port = printed(folder)
    (token,) = re.findall(rf"^  https://mail\.example\.test:{port}/first-run/(\S{{40,}})$", out, re.MULTILINE)
    assert token not in log
    done = subprocess.run(
        [MAILSTEAD, "user", "add", "me@example.test", "--admin", "--password-stdin"],
        env=environment(folder),
        input="four words of mine\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert printed(folder)[0] == ""
