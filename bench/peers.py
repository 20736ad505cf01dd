"""The systems under test, each started in a folder of its own on free ports of 127.0.0.1 and stopped by process id."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailstead.wiring.house import House

ROOT = Path(__file__).resolve().parent.parent
DOMAIN = "example.test"
PASSWORD = "bench-password-of-20-letters"


def account(number: int) -> str:
    return f"user{number}@{DOMAIN}"


@dataclass
class Ports:
    smtp: int = 0
    imap: int = 0
    imaps: int = 0
    pop3s: int = 0
    lmtp: int = 0
    submissions: int = 0


@dataclass
class System:
    """A started mail system."""

    name: str
    folder: Path
    ports: Ports
    accounts: list[str]
    pids: list[int] = field(default_factory=list)
    stop_commands: list[list[str]] = field(default_factory=list)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    start_seconds: float = 0.0

    def stored_count(self) -> int:
        """How many messages the system says it has put into mailboxes since it was started."""
        raise NotImplementedError(self.name)

    def stop(self) -> None:
        for command in self.stop_commands:
            subprocess.run(command, check=False, capture_output=True)
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for_port(port: int, limit_s: float = 20.0) -> None:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise RuntimeError(f"nothing answers on port {port}")


def make_certificate(folder: Path) -> tuple[Path, Path]:
    from mailstead.net.certificates import make_self_signed

    make_self_signed(folder / "cert.pem", folder / "key.pem", "localhost")
    return folder / "cert.pem", folder / "key.pem"


def client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


# Postfix and Dovecot


class Postfix(System):
    """Debian's Postfix, default settings."""


class PostfixDovecot(System):
    """Debian's Postfix in front of Debian's Dovecot by LMTP, default fsync settings."""

    def stored_count(self) -> int:
        log = self.folder / "dovecot.log"
        return log.read_bytes().count(b"saved mail to INBOX") if log.exists() else 0


def start_postfix_dovecot(
    folder: Path,
    mail_format: str,
    accounts: list[str],
    name: str = "",
    main_cf: str = "",
    services: tuple[str, ...] = (),
) -> PostfixDovecot:
    """`main_cf` and `services` are further lines of main.cf and master.cf."""
    _make_folders(folder, "run", "state", "mail")
    owner = pwd.getpwnam("mail")
    os.chown(folder / "mail", owner.pw_uid, owner.pw_gid)
    certificate, key = make_certificate(folder)
    ports = Ports(*free_ports(5))
    (folder / "users").write_text("".join(f"{account}:{{PLAIN}}{PASSWORD}\n" for account in accounts))
    (folder / "dovecot.conf").write_text(f"""
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = imap lmtp pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = no
auth_mechanisms = plain
first_valid_uid = 1
mail_location = {mail_format}:~/{mail_format}
passdb {{
  driver = passwd-file
  args = username_format=%u {folder}/users
}}
userdb {{
  driver = static
  args = uid={owner.pw_uid} gid={owner.pw_gid} home={folder}/mail/%u
}}
service imap-login {{
  inet_listener imap {{
    port = {ports.imap}
  }}
  inet_listener imaps {{
    port = {ports.imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = 0
  }}
  inet_listener pop3s {{
    port = {ports.pop3s}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {ports.lmtp}
  }}
}}
mail_max_userip_connections = 1000
namespace inbox {{
  inbox = yes
}}
""")
    (folder / "mailboxes").write_text("".join(f"{account} x\n" for account in accounts))
    system = PostfixDovecot(name or f"postfix+dovecot/{mail_format}", folder, ports, accounts)
    subprocess.run(["/usr/sbin/dovecot", "-c", str(folder / "dovecot.conf")], check=True)
    system.stop_commands.append(["/usr/bin/doveadm", "-c", str(folder / "dovecot.conf"), "stop"])
    mailboxes = f"""
virtual_mailbox_domains = {DOMAIN}
virtual_mailbox_maps = texthash:{folder}/mailboxes
virtual_transport = lmtp:inet:127.0.0.1:{ports.lmtp}
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
"""
    _run_postfix(system, mailboxes + main_cf, services)
    wait_for_port(ports.imaps)
    return system


def start_postfix(folder: Path, name: str, main_cf: str) -> Postfix:
    """Postfix alone, for mail that goes out."""
    _make_folders(folder)
    system = Postfix(name, folder, Ports(*free_ports(1)), [])
    _run_postfix(system, main_cf)
    return system


def _make_folders(folder: Path, *parts: str) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    for part in (*parts, "postfix", "spool", "data"):
        (folder / part).mkdir()


def _run_postfix(system: System, main_cf: str, services: tuple[str, ...] = ()) -> None:
    folder = system.folder
    (folder / "postfix" / "main.cf").write_text(f"""
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
mail_owner = postfix
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = localhost
mydestination =
alias_maps =
local_recipient_maps =
message_size_limit = 60000000
maillog_file = {folder}/spool/postfix.log
maillog_file_prefixes = {folder}
{main_cf}""")
    master = Path("/usr/share/postfix/master.cf.dist").read_text()
    lines = [line for line in master.splitlines() if not line.startswith(("smtp ", "smtp\t"))]
    lines = [line.replace(" y ", " n ", 1) if " unix " in line else line for line in lines]
    service = [
        f"127.0.0.1:{system.ports.smtp} inet n - n - - smtpd",
        "smtp unix - - n - - smtp",
        "postlog unix-dgram n - n - 1 postlogd",
        *services,
    ]
    kept = [line for line in lines if not line.startswith("postlog")]
    (folder / "postfix" / "master.cf").write_text("\n".join([*service, *kept]) + "\n")
    shutil.chown(folder / "data", "postfix")
    for file in ("postfix-files", "dynamicmaps.cf"):
        if Path("/etc/postfix", file).exists():
            shutil.copy(Path("/etc/postfix", file), folder / "postfix" / file)
    system.stop_commands.insert(0, ["/usr/sbin/postfix", "-c", str(folder / "postfix"), "stop"])
    try:
        subprocess.run(
            ["/usr/sbin/postfix", "-c", str(folder / "postfix"), "start"], check=True, capture_output=True, text=True
        )
        wait_for_port(system.ports.smtp)
    except BaseException as error:
        print(getattr(error, "stdout", ""), getattr(error, "stderr", ""), file=sys.stderr)
        system.stop()
        raise


# Mailstead


Prepare = Callable[["House"], Awaitable[None]]


@dataclass
class Mailstead(System):
    """This package, as `mailstead serve` starts it."""

    environment: dict[str, str] = field(default_factory=dict)
    """Its settings, also for its commands."""

    def stored_count(self) -> int:
        return -1  # an acknowledged message is a stored one


def start_mailstead(
    folder: Path,
    accounts: list[str],
    name: str = "mailstead",
    prepare: Prepare | None = None,
    kept: Path | None = None,
    **settings: str,
) -> Mailstead:
    """`prepare` does more with the house before it is served. Senders are not authenticated unless settings say so.

    `kept`: where the data folder that was prepared is kept, or is already.
    """
    folder.mkdir(parents=True)
    ports = Ports(*free_ports(6))
    command = [str(Path(sys.executable).parent / "mailstead")]
    env = {
        **os.environ,
        "MAILSTEAD_SERVER_DATA_DIR": str(folder / "data"),
        "MAILSTEAD_SERVER_HOSTNAME": "localhost",
        "MAILSTEAD_MX_LISTEN": f"127.0.0.1:{ports.smtp}",
        "MAILSTEAD_IMAP_LISTEN": f"127.0.0.1:{ports.imap}",
        "MAILSTEAD_IMAP_LISTEN_TLS": f"127.0.0.1:{ports.imaps}",
        "MAILSTEAD_POP3_LISTEN_TLS": f"127.0.0.1:{ports.pop3s}",
        "MAILSTEAD_SUBMISSION_LISTEN_TLS": f"127.0.0.1:{ports.submissions}",
        "MAILSTEAD_AUTHENTICATION_IS_ENABLED": "false",
        "MAILSTEAD_POLICY_MESSAGES_PER_SENDER_HOUR_MAX": "0",
        "MAILSTEAD_POLICY_MESSAGES_PER_RECIPIENT_HOUR_MAX": "0",
        "MAILSTEAD_QUEUE_RECIPIENTS_PER_DAY_MAX": "0",
        "MAILSTEAD_SERVER_LOG_LEVEL": "warning",
        "MAILSTEAD_SERVER_SERVICES": "mx,imap,pop3",
        **settings,
    }
    if kept is not None and kept.exists():
        shutil.copytree(kept, folder / "data")
    else:
        asyncio.run(_make_accounts(env, accounts, prepare))
        if kept is not None:
            shutil.copytree(folder / "data", kept)
    system = Mailstead(name, folder, ports, accounts, environment=env)
    begin = time.monotonic()
    log = (folder / "log").open("wb")
    process = subprocess.Popen([*command, "serve"], env=env, stderr=log, stdout=log)
    system.processes.append(process)
    system.pids.append(process.pid)
    try:
        for port in (ports.smtp, ports.imap, ports.imaps, ports.pop3s):
            wait_for_port(port)
    except BaseException:
        print((folder / "log").read_text(), file=sys.stderr)
        system.stop()
        raise
    system.start_seconds = time.monotonic() - begin
    return system


async def _make_accounts(env: dict[str, str], accounts: list[str], prepare: Prepare | None) -> None:
    from mailstead.config.load import load
    from mailstead.model.address import Address
    from mailstead.model.secret import Secret
    from mailstead.wiring.house import ADMINISTRATOR, open_house

    async with open_house(load(None, env).settings) as house:
        await house.domains.add(ADMINISTRATOR, DOMAIN)
        for account in accounts:
            await house.accounts.create(ADMINISTRATOR, Address.parse(account), Secret(PASSWORD))
        if prepare is not None:
            await prepare(house)
