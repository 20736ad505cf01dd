"""Roundcube from Debian on a Dovecot, served by PHP's own server, in a folder of its own."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Final

from bench.peers import System, free_ports, wait_for_port

ROOT: Final = Path("/var/lib/roundcube/public_html")
SCHEMA: Final = Path("/usr/share/dbconfig-common/data/roundcube/install/sqlite3")
DEFAULTS: Final = ("defaults.inc.php", "mimetypes.php")


def is_there() -> bool:
    """Whether Debian's packages are installed."""
    return ROOT.exists() and SCHEMA.exists() and shutil.which("php") is not None


def start(folder: Path, dovecot: System) -> str:
    """Start it for the mailboxes of a Dovecot, which stops it with itself; give its address."""
    for name in ("config", "logs", "temp"):
        (folder / name).mkdir(parents=True)
    for name in DEFAULTS:
        shutil.copy(Path("/etc/roundcube", name), folder / "config" / name)
    with sqlite3.connect(folder / "roundcube.db") as db:
        db.executescript(SCHEMA.read_text())
    (folder / "config" / "config.inc.php").write_text(f"""<?php
$config = [
    'db_dsnw' => 'sqlite:///{folder}/roundcube.db?mode=0640',
    'imap_host' => '127.0.0.1:{dovecot.ports.imap}',
    'log_dir' => '{folder}/logs/',
    'temp_dir' => '{folder}/temp/',
    'des_key' => 'twenty-four-octets-long!',
    'plugins' => [],
    'skin' => 'elastic',
    'mail_pagesize' => 50,
    'enable_spellcheck' => false,
];
""")
    (port,) = free_ports(1)
    log = (folder / "php.log").open("wb")
    process = subprocess.Popen(
        ["php", "-d", "opcache.enable=1", "-d", "opcache.enable_cli=1", "-S", f"127.0.0.1:{port}", "-t", str(ROOT)],
        env={**os.environ, "ROUNDCUBE_CONFIG_DIR": str(folder / "config"), "PHP_CLI_SERVER_WORKERS": "2"},
        cwd=ROOT,
        stdout=log,
        stderr=log,
    )
    log.close()
    dovecot.processes.append(process)
    wait_for_port(port)
    return f"http://127.0.0.1:{port}"
