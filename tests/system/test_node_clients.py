"""npm's imapflow and nodemailer against a started server."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from system.server import DOMAIN, PASSWORD

pytestmark = pytest.mark.full

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".test-tools"


def test_nodemailer_sends_and_imapflow_reads(server, need):
    node = need("node")
    if not (TOOLS / "node_modules" / "imapflow").exists():
        pytest.skip("imapflow is not installed: run `make setup-tools`")
    who = f"node@{DOMAIN}"
    server.run("account", "add", who, "--password-stdin", stdin=PASSWORD + "\n")
    done = subprocess.run(
        [
            node,
            str(Path(__file__).with_name("node_clients.mjs")),
            str(server.port["submissions"]),
            str(server.port["imaps"]),
            who,
            PASSWORD,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "TEST_TOOLS": str(TOOLS)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["response"].startswith("250 2.0.0")
    assert result["subject"] == "by nodemailer ✓"
    assert result["children"] == 2
    assert result["attachment"] == 70000
    assert len(result["flagged"]) == 1
    assert result["moved"] == 1
    assert result["status"]["messages"] == 1
    assert ["Sent", "\\Sent"] in result["list"]
    assert result["emailId"]
    assert "CONDSTORE" in result["enabled"]
