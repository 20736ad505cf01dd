"""Mail servers as neighbours on loopback: Debian's Postfix and Exim, and houses of ours, with the real DNS between them.

Each has an address of its own out of 127.0.0.0/8 and listens there on port 25, so MX records mean what they mean
elsewhere, and SPF tells one sender from another. Postfix and Exim know only port 53 and the resolver of the system, and
their ways to files are compiled in. So each runs in a mount namespace with an /etc and a /var of its own: copies that
name our resolver, and that nobody else sees. The network is that of the machine; nothing of the machine is changed.
All this needs root.
"""

from __future__ import annotations

import asyncio
import imaplib
import json
import os
import re
import shutil
import signal
import smtplib
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

from mailstead.config.load import load
from mailstead.mime.dsn import ParsedReport, parse_dsn
from mailstead.model.address import Address
from mailstead.model.secret import Secret
from mailstead.wiring.house import ADMINISTRATOR, open_house
from mailstead.wiring.house import House as OpenedHouse
from system.certificates import Authority
from system.dns import DnsServers, program
from system.server import PASSWORD, Server, loopback_block, tls_context

ROOT = Path(__file__).resolve().parents[2]
EXIM = ROOT / ".test-tools" / "exim"
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
START_LIMIT_S = 30.0


def must_be_root() -> None:
    """Skip the test where namespaces and port 25 are not to be had."""
    if os.geteuid() != 0:
        pytest.skip("neighbours need root: port 25, namespaces")
    tried = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("neighbours need mount and process namespaces, which this container does not allow")


class Loopback:
    """Addresses that only this process of tests uses, a resolver on one of them, and an authority for certificates."""

    def __init__(self, folder: Path, zones: dict[str, list[str]], *, signed: Sequence[str] = ()) -> None:
        self.folder = folder
        self._block = loopback_block()
        self.authority = Authority(folder / "certificates")
        self.dns = DnsServers(folder, zones, signed=signed, address=self.address(53), port=53)
        self._stack = ExitStack()

    def address(self, number: int) -> str:
        return f"{self._block}.{number}"

    def __enter__(self) -> Self:
        self._stack.enter_context(self.dns)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


# --- Debian's


@dataclass(kw_only=True)
class Neighbour:
    """A mail server with users, each of whom has a Maildir."""

    net: Loopback
    domain: str
    address: str
    users: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None

    software = ""

    @property
    def hostname(self) -> str:
        return f"mx.{self.domain}"

    @property
    def folder(self) -> Path:
        return self.net.folder / self.software

    def __enter__(self) -> Self:
        etc, var = self.folder / "etc", self.folder / "var"
        shutil.copytree("/etc", etc, symlinks=True, ignore_dangling_symlinks=True)
        for name in ("spool", "lib", "log", "tmp", "cache/ldconfig"):
            (var / name).mkdir(parents=True)
        _give(var / "mail", "mail")
        resolv_conf = etc / "resolv.conf"
        resolv_conf.unlink(missing_ok=True)
        resolv_conf.write_text(f"nameserver {self.net.dns.address}\noptions edns0 trust-ad timeout:5\n")
        pair = self.net.authority.pair(self.hostname)
        self.pair = pair
        self.configure(etc, var)
        log = (self.folder / "output").open("wb")
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", self.script()],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={"PATH": PATH, "LANG": "C"},
        )
        log.close()
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def configure(self, etc: Path, var: Path) -> None:
        """Write the files of this software."""
        raise AssertionError("each software has its own")

    def start(self) -> str:
        """Give what the shell has to do; it ends with the program in the foreground."""
        raise AssertionError("each software has its own")

    def script(self) -> str:
        """What makes /etc and /var its own, and starts it."""
        return f"mount --bind {self.folder}/etc /etc\nmount --bind {self.folder}/var /var\n{self.start()}\n"

    def stop(self) -> None:
        assert self.process is not None
        # The first process of the namespace, with which all others of it end. (--kill-child alone is not enough: a
        # program with changed rights, as Exim is, loses its tie to the parent.)
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for child in children.read_text().split() if children.exists() else ():
            os.kill(int(child), signal.SIGKILL)
        self.process.kill()
        self.process.wait()

    def log(self) -> str:
        paths = [self.folder / "output", *sorted((self.folder / "var" / "log").rglob("*log"))]
        return "\n".join(path.read_text(errors="replace") for path in paths if path.is_file())

    def _wait_until_it_answers(self) -> None:
        assert self.process is not None
        end = time.monotonic() + START_LIMIT_S
        while True:
            assert self.process.poll() is None, f"{self.software} has ended:\n{self.log()[-3000:]}"
            try:
                smtplib.SMTP(self.address, 25, timeout=5).close()
                return
            except (OSError, smtplib.SMTPException):
                assert time.monotonic() < end, f"{self.software} does not answer:\n{self.log()[-3000:]}"
                time.sleep(0.02)  # Postfix and Exim say nowhere that they listen

    def records(self, *more: str) -> list[str]:
        """The zone of its domain."""
        spf = f'TXT "v=spf1 ip4:{self.address} -all"'
        return ["@ MX 10 mx", f"mx A {self.address}", f"@ {spf}", f"mx {spf}", *more]

    # --- using it

    def send(
        self, mail_from: str, rcpt_to: str, octets: bytes, *, mail: Sequence[str] = (), rcpt: Sequence[str] = ()
    ) -> None:
        """Hand a message over as one of its own users does, from 127.0.0.1."""
        with smtplib.SMTP(self.address, 25, "user.invalid", timeout=30) as client:
            client.sendmail(mail_from, [rcpt_to], octets, list(mail), list(rcpt))

    def messages(self, user: str) -> list[bytes]:
        """What a user has got so far, with lines as on the wire."""
        folder = self.folder / "var" / "mail" / user / "new"
        return [path.read_bytes().replace(b"\n", b"\r\n") for path in sorted(folder.glob("*"))]


class Postfix(Neighbour):
    """Postfix with DANE and DSN, and policyd-spf, which writes down what it thinks of senders."""

    software = "postfix"

    def configure(self, etc: Path, var: Path) -> None:
        for command in ("postfix", "policyd-spf"):
            program(command)
        _give(var / "lib" / "postfix", "postfix")
        (var / "spool" / "postfix").mkdir()
        for name, path in zip(("cert.pem", "key.pem"), self.pair, strict=True):
            shutil.copy(path, etc / "postfix" / name)
        # It spares loopback, unless told otherwise.
        (etc / "postfix-policyd-spf-python" / "policyd-spf.conf").write_text(
            "debugLevel = 1\nskip_addresses = 192.0.2.0/24\n"
        )
        boxes = ", ".join(f"{{{user}@{self.domain} = {user}/}}" for user in self.users)
        (etc / "postfix" / "main.cf").write_text(f"""
compatibility_level = 3.6
myhostname = {self.hostname}
mydestination =
alias_maps =
inet_interfaces = loopback-only
inet_protocols = ipv4
smtp_bind_address = {self.address}
mynetworks = 127.0.0.1/32
maillog_file = /var/log/mail.log
virtual_mailbox_domains = {self.domain}
virtual_mailbox_base = /var/mail
virtual_mailbox_maps = inline:{{ {boxes} }}
virtual_uid_maps = static:8
virtual_gid_maps = static:8
virtual_minimum_uid = 8
transport_maps = inline:{{ {{full@{self.domain} = full:}} }}
smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination, check_policy_service unix:private/spf
smtpd_tls_security_level = may
smtpd_tls_cert_file = /etc/postfix/cert.pem
smtpd_tls_key_file = /etc/postfix/key.pem
smtpd_tls_received_header = yes
smtpd_tls_loglevel = 1
smtp_tls_loglevel = 1
smtp_dns_support_level = dnssec
smtp_tls_security_level = dane
minimal_backoff_time = 1s
queue_run_delay = 1s
""")
        services = (
            f"{self.address}:25 inet n - n - - smtpd",  # Postfix knows 127.0.0.1 as the only interface
            "cleanup unix n - n - 0 cleanup",
            "qmgr unix n - n 300 1 qmgr",
            "tlsmgr unix - - n 1000? 1 tlsmgr",
            "rewrite unix - - n - - trivial-rewrite",
            *(f"{name} unix - - n - 0 bounce" for name in ("bounce", "defer", "trace")),
            "smtp unix - - n - - smtp",
            "relay unix - - n - - smtp",
            "error unix - - n - - error",
            "retry unix - - n - - error",
            "virtual unix - n n - - virtual",
            "proxymap unix - - n - - proxymap",
            "full unix - n n - - pipe user=nobody argv=/bin/false",  # takes the message, and bounces it
            "anvil unix - - n - 1 anvil",
            "scache unix - - n - 1 scache",
            "postlog unix-dgram n - n - 1 postlogd",
            "spf unix - n n - 0 spawn user=nobody argv=/usr/bin/policyd-spf",
        )
        (etc / "postfix" / "master.cf").write_text("\n".join(services) + "\n")

    def start(self) -> str:
        return "exec postfix start-fg"


class Exim(Neighbour):
    """Exim, unpacked and not installed: Debian has one mail server at a time."""

    software = "exim"

    def configure(self, etc: Path, var: Path) -> None:
        if not (EXIM / "usr" / "sbin" / "exim4").exists():
            pytest.skip("Exim is not unpacked: run `make setup-tools` as root")
        number = 64_000
        with (etc / "passwd").open("a") as users, (etc / "group").open("a") as groups:
            users.write(f"Debian-exim:x:{number}:{number}::/var/spool/exim4:/usr/sbin/nologin\n")
            groups.write(f"Debian-exim:x:{number}:\n")
        for name in ("spool", "log"):
            (var / name / "exim4").mkdir()
            os.chown(var / name / "exim4", number, number)
        (var / "lib" / "exim4").mkdir()
        (etc / "exim4").mkdir(exist_ok=True)
        for name, path in zip(("cert.pem", "key.pem"), self.pair, strict=True):
            shutil.copy(path, etc / "exim4" / name)
            os.chown(etc / "exim4" / name, number, number)
        libraries = sorted((EXIM / "usr" / "lib").glob("*-linux-*"))
        lines = "".join(f"/var/lib/exim4/usr/lib/{path.name}\n" for path in libraries)
        (etc / "ld.so.conf.d" / "zz-exim.conf").write_text(lines)
        (etc / "exim4" / "exim4.conf").write_text(f"""
primary_hostname = {self.hostname}
daemon_smtp_ports = 25
local_interfaces = {self.address}
keep_environment =
exim_path = /var/lib/exim4/usr/sbin/exim4
spool_directory = /var/spool/exim4
log_file_path = /var/log/exim4/%slog
log_selector = +tls_cipher +tls_peerdn +dnssec
notifier_socket =
pid_file_path = /var/spool/exim4/exim.pid
disable_ipv6 = true
domainlist local_domains = {self.domain}
acl_smtp_rcpt = acl_rcpt
dsn_advertise_hosts = *
tls_advertise_hosts = *
tls_certificate = /etc/exim4/cert.pem
tls_privatekey = /etc/exim4/key.pem
dns_dnssec_ok = 1
queue_run_in_order = false

begin acl

acl_rcpt:
  accept hosts = 127.0.0.1
  require message = relay not permitted
          domains = +local_domains
  require verify = recipient
  accept

begin routers

local:
  driver = accept
  domains = +local_domains
  local_parts = {" : ".join(self.users)}
  transport = maildir

remote:
  driver = dnslookup
  domains = ! +local_domains
  dnssec_request_domains = *
  self = send
  transport = remote_smtp
  no_more

begin transports

maildir:
  driver = appendfile
  directory = /var/mail/$local_part_data
  maildir_format
  user = mail
  return_path_add
  envelope_to_add

remote_smtp:
  driver = smtp
  interface = {self.address}
  dnssec_request_domains = *
  hosts_try_dane = *

begin retry

*  *  F,1h,1s
""")

    def start(self) -> str:
        return f"mount --bind {EXIM} /var/lib/exim4\nldconfig\nexec /var/lib/exim4/usr/sbin/exim4 -bdf -q1s"


def _give(folder: Path, user: str) -> None:
    folder.mkdir()
    shutil.chown(folder, user, user)


# --- ours


class House(Server):
    """A Mailstead at an address of its own; its domain has the zone of the same name."""

    def __init__(self, net: Loopback, domain: str, number: int, names: Sequence[str] = (), **settings: str) -> None:
        super().__init__(net.folder / domain)
        self.folder.mkdir()
        self.net, self.domain, self.address = net, domain, net.address(number)
        self.pair = net.authority.pair(self.hostname, *names)
        self._clients: dict[str, imaplib.IMAP4_SSL] = {}
        self.settings = {
            "MAILSTEAD_SERVER_HOSTNAME": self.hostname,
            "MAILSTEAD_MX_LISTEN": f"127.0.0.1:{self.port['mx']},{self.address}:25",
            "MAILSTEAD_TLS_CERTIFICATE_FILE": str(self.pair.certificate),
            "MAILSTEAD_TLS_KEY_FILE": str(self.pair.key),
            "MAILSTEAD_DNS_SERVERS": net.dns.resolver,
            "MAILSTEAD_AUTHENTICATION_IS_ENABLED": "true",
            "MAILSTEAD_RELAY_SOURCE_IPV4": self.address,
            "MAILSTEAD_RELAY_CA_FILE": str(net.authority.file),
            "MAILSTEAD_RELAY_ALLOWS_PRIVATE_ADDRESSES": "true",
            **settings,
        }

    def do(self, work: Callable[[OpenedHouse], Awaitable[Any]]) -> Any:
        """Work with the stores from here, as commands do, and quicker than many of them."""

        async def opened() -> Any:
            async with open_house(load(None, self.environment).settings) as house:
                return await work(house)

        return asyncio.run(opened())

    def furnish(self, *users: str) -> None:
        """Make the stores, the domain, and accounts with `PASSWORD`."""
        (self.folder / "data").mkdir(mode=0o700)

        async def work(house: OpenedHouse) -> None:
            await house.domains.add(ADMINISTRATOR, self.domain)
            for user in users:
                await house.accounts.create(ADMINISTRATOR, Address(user, self.domain), Secret(PASSWORD))

        self.do(work)

    @property
    def hostname(self) -> str:
        return f"mx.{self.domain}"

    def records(self, *more: str, mx: str = "mx") -> list[str]:
        """The zone of the domain: MX, address, SPF, DKIM, DMARC, and what else is wanted."""
        keys = self.answer("dkim", "list", self.domain)
        return [
            f"@ MX 10 {mx}",
            f"mx A {self.address}",
            f'@ TXT "v=spf1 ip4:{self.address} -all"',
            f'mx TXT "v=spf1 ip4:{self.address} -all"',
            '_dmarc TXT "v=DMARC1; p=reject"',
            *(f"{key['name']}. TXT {_quoted(key['record'])}" for key in keys),
            *more,
        ]

    def answer(self, *arguments: str):
        """What a command says with --json."""
        return json.loads(self.run("--json", *arguments))

    def submit(
        self, mail_from: str, rcpt_to: str, octets: bytes, *, mail: Sequence[str] = (), rcpt: Sequence[str] = ()
    ) -> None:
        """Send as a user of ours, through the submission port."""
        with smtplib.SMTP("127.0.0.1", self.port["submission"], "user.invalid", timeout=30) as client:
            client.starttls(context=tls_context())
            client.login(mail_from, PASSWORD)
            client.sendmail(mail_from, [rcpt_to], octets, list(mail), list(rcpt))

    def messages(self, address: str) -> list[bytes]:
        """What is in a user's INBOX, as IMAP gives it."""
        if address not in self._clients:
            client = imaplib.IMAP4_SSL("127.0.0.1", self.port["imaps"], ssl_context=tls_context(), timeout=30)
            client.login(address, PASSWORD)
            client.select("INBOX", readonly=True)
            self._clients[address] = client
        client = self._clients[address]
        client.noop()
        _, parts = client.uid("FETCH", "1:*", "(BODY.PEEK[])")
        return [part[1] for part in parts if isinstance(part, tuple)]

    def stop(self) -> int:
        for client in self._clients.values():
            client.shutdown()
        self._clients.clear()
        return super().stop()

    def steps(self, message_id: str, step: str = "") -> list[dict[str, str]]:
        """What the trace knows of a message, oldest first."""
        found = self.answer("trace", "--message-id", message_id)
        return [each for message in found for each in message["steps"] if not step or each["step"] == step]


def _quoted(text: str) -> str:
    """A TXT record's text in strings of at most 255 octets."""
    return " ".join(f'"{text[start : start + 250]}"' for start in range(0, len(text), 250))


# --- letters


def letter(mail_from: str, rcpt_to: str, name: str) -> bytes:
    """A message whose subject and Message-ID are that name."""
    return (
        f"From: {mail_from}\r\nTo: {rcpt_to}\r\nDate: Fri, 27 Nov 2026 12:00:00 +0000\r\n"
        f"Message-ID: <{name}@{mail_from.partition('@')[2]}>\r\nSubject: {name}\r\n\r\nHello.\r\n"
    ).encode()


def named(messages: Sequence[bytes], name: str) -> bytes | None:
    """The letter of that name."""
    return next((each for each in messages if f"\r\nSubject: {name}\r\n".encode() in each), None)


def report_about(messages: Sequence[bytes], name: str) -> ParsedReport | None:
    """The notice that gives this message back, and what it says."""
    for each in messages:
        report = parse_dsn(each)
        if report is not None and f"Message-ID: <{name}@".encode() in report.returned_header:
            return report
    return None


def headers(message: bytes, name: str) -> list[str]:
    """The values of a field, each on one line."""
    header = message.partition(b"\r\n\r\n")[0] + b"\r\n"
    found = re.findall(rb"(?im)^%b:[ \t]*((?:.*\r\n)(?:[ \t].*\r\n)*)" % name.encode(), header)
    return [b" ".join(value.split()).decode() for value in found]
