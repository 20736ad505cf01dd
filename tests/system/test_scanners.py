"""Rspamd and ClamAV from Debian, with rules and signatures of the test's own."""

import os
import shutil
import signal
import subprocess
import time
import urllib.request

import pytest

from mailstead.config.settings import Clamav
from mailstead.config.settings import Rspamd as RspamdSettings
from mailstead.model.address import Address
from mailstead.model.envelope import Peer
from mailstead.model.verdict import Decision
from mailstead.net.clamd import Clamd
from mailstead.net.rspamd import Rspamd
from mailstead.ports.scanner import Scanned
from system.server import free_ports

pytestmark = pytest.mark.full

GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
MARKER = b"MAILSTEAD-TEST-VIRUS-MARKER"


def program(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed: run `make setup-tools` as root")
    return path


def started(command, log, answers, limit_s=60.0):
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
    end = time.monotonic() + limit_s
    while not answers():
        assert process.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < end, log.read_text()[-2000:]
        time.sleep(0.05)  # the daemons say nowhere that they answer
    return process


def stopped(process):
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def clamd(tmp_path_factory):
    path, folder = program("clamd"), tmp_path_factory.mktemp("clamav")
    (folder / "db").mkdir()
    (folder / "db" / "test.ndb").write_text(f"Mailstead.Test:0:*:{MARKER.hex()}\n")
    socket = folder / "clamd.socket"
    (folder / "clamd.conf").write_text(
        f"LocalSocket {socket}\nDatabaseDirectory {folder / 'db'}\nForeground yes\nStreamMaxLength 1M\nUser root\n"
    )
    process = started([path, "-c", str(folder / "clamd.conf")], folder / "log", socket.exists)
    yield str(socket)
    stopped(process)


@pytest.fixture(scope="module")
def rspamd(tmp_path_factory):
    path, folder = program("rspamd"), tmp_path_factory.mktemp("rspamd")
    (port,) = free_ports(1)
    (folder / "rspamd.conf").write_text(
        f"""
        options {{
            pidfile = "{folder}/pid"; filters = ""; cache_file = "{folder}/cache"; tempdir = "{folder}";
            hs_cache_dir = "{folder}"; gtube_patterns = "all";
            dns {{ nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; }}
        }}
        logging {{ type = "console"; level = "warning"; }}
        worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; task_timeout = 5s; }}
        actions {{ reject = 15; add_header = 6; greylist = 4; }}
        """
    )

    def answers():
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=1).status == 200
        except OSError:
            return False

    # -i: it may run as root, as test machines do
    process = started([path, "-c", str(folder / "rspamd.conf"), "-f", "-i"], folder / "log", answers)
    yield f"http://127.0.0.1:{port}"
    stopped(process)


def scanned(body):
    octets = (
        b"From: a@b.example\r\nTo: x@y.example\r\nSubject: hello\r\nMessage-ID: <1@b.example>\r\n\r\n" + body + b"\r\n"
    )
    to = (Address.parse("x@y.example"),)
    return Scanned("q1", Peer("192.0.2.1", 1), "helo.example", Address.parse("a@b.example"), to, octets)


async def test_clamav_finds_what_its_signatures_say(clamd):
    scanner = Clamd(Clamav(address=clamd, limit_s=20.0))
    assert (await scanner.scan(scanned(b"all is well"))).decision is Decision.ALLOW
    found = await scanner.scan(scanned(b"see " + MARKER))
    assert found.decision is Decision.REFUSE
    assert "Mailstead.Test" in found.reason


async def test_a_message_above_clamav_s_limit_is_said_not_to_be_scanned(clamd):
    check = await Clamd(Clamav(address=clamd, limit_s=20.0, octets_max=1_000_000)).scan(
        scanned(MARKER + b"x" * 3_000_000)
    )
    assert check.decision is Decision.ALLOW
    assert "larger than clamav.octets_max" in check.reason


async def test_attack_068_an_archive_bomb_ends_in_time_and_is_not_unpacked_by_us(clamd):
    """A gigabyte of zeros in a megabyte of gzip: the daemon's own limits decide, and we hold no more than we sent."""
    import base64
    import zlib

    packer = zlib.compressobj(9, wbits=31)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(512)) + packer.flush()
    body = b"Content-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(packed)
    check = await Clamd(Clamav(address=clamd, limit_s=60.0)).scan(scanned(body))
    assert check.decision in {Decision.ALLOW, Decision.REFUSE}
    assert check.reason != "did not answer"


async def test_rspamd_refuses_its_own_test_pattern(rspamd):
    scanner = Rspamd(RspamdSettings(url=rspamd, limit_s=20.0))
    assert (await scanner.scan(scanned(GTUBE))).decision is Decision.REFUSE
    assert (await scanner.scan(scanned(b"all is well"))).decision is Decision.ALLOW
