"""Mail from outside with SPF, DKIM and DMARC checked, to mailboxes of our own.

Mailstead against Debian's Postfix with policyd-spf, OpenDKIM and OpenDMARC in front of Dovecot. All ask the same DNS
server. A system counts only if every message in its mailboxes says that all three have passed.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench import network
from bench.imap_client import ImapClient
from bench.peers import System, account, free_ports, start_mailstead, start_postfix_dovecot, wait_for_port
from bench.report import ratio, record
from bench.smtp_load import Job, as_text, delivered, sample
from mailstead.mailauth.dkim import load_key, new_keys, public_record, sign
from mailstead.model.directory import DkimKey

TARGET = 3
SENDER = "sender.test"
ACCOUNTS = 100


def records(key: DkimKey) -> list[str]:
    """What the sender publishes."""
    reverse = ".".join(reversed(network.SENDER_ADDRESS.split(".")))
    return [
        network.txt(SENDER, f"v=spf1 ip4:{network.SENDER_ADDRESS} -all"),
        network.txt(f"mx.{SENDER}", "v=spf1 a -all"),
        network.txt(f"{key.selector}._domainkey.{SENDER}", public_record(key)),
        network.txt(f"_dmarc.{SENDER}", "v=DMARC1; p=reject; adkim=s; aspf=s"),
        f"{SENDER}. MX 10 mx.{SENDER}.",
        f"mx.{SENDER}. A {network.SENDER_ADDRESS}",
        f"{reverse}.in-addr.arpa. PTR mx.{SENDER}.",
    ]


@contextlib.contextmanager
def postfix_with_filters(folder: Path, accounts: list[str]) -> Iterator[System]:
    """Debian's filters, told only to count a client on this machine as a stranger, and whose results to believe."""
    dkim_port, dmarc_port = free_ports(2)
    folder.mkdir()
    (folder / "strangers").write_text("192.0.2.254\n")  # who would be spared: nobody
    (folder / "unbound.conf").write_text('server:\n  local-zone: "test." nodefault\n')  # else test. is not asked for
    (folder / "opendkim.conf").write_text(f"""
Mode v
Syslog no
UserID opendkim
Socket inet:{dkim_port}@127.0.0.1
AuthservID localhost
InternalHosts {folder}/strangers
ExternalIgnoreList {folder}/strangers
Nameservers {network.NAME_SERVER_ADDRESS}
ResolverConfiguration {folder}/unbound.conf
""")
    (folder / "opendmarc.conf").write_text(f"""
Syslog false
UserID opendmarc
Socket inet:{dmarc_port}@127.0.0.1
AuthservID localhost
TrustedAuthservIDs localhost
IgnoreHosts {folder}/strangers
PublicSuffixList /usr/share/publicsuffix/public_suffix_list.dat
RejectFailures true
""")
    (folder / "policyd-spf.conf").write_text("""
debugLevel = 0
TestOnly = 1
HELO_reject = Fail
Mail_From_reject = Fail
PermError_reject = False
TempError_Defer = True
skip_addresses = 192.0.2.254/32
Header_Type = AR
Authserv_Id = localhost
""")
    main_cf = f"""
smtpd_recipient_restrictions = reject_unauth_destination, check_policy_service unix:private/policyd-spf
policyd-spf_time_limit = 3600
smtpd_milters = inet:127.0.0.1:{dkim_port}, inet:127.0.0.1:{dmarc_port}
milter_default_action = tempfail
"""
    policyd = f"policyd-spf unix - n n - 0 spawn user=policyd-spf argv=/usr/bin/policyd-spf {folder}/policyd-spf.conf"
    with (
        network.running(["/usr/sbin/opendkim", "-f", "-x", folder / "opendkim.conf"]),
        network.running(["/usr/sbin/opendmarc", "-f", "-c", folder / "opendmarc.conf"]),
    ):
        wait_for_port(dkim_port)
        wait_for_port(dmarc_port)
        name = "postfix+opendkim+opendmarc+policyd-spf+dovecot"
        system = start_postfix_dovecot(folder / "postfix", "maildir", accounts, name, main_cf, (policyd,))
        try:
            yield system
        except RuntimeError:
            log = (system.folder / "spool" / "postfix.log").read_text().splitlines()
            print("\n".join([line for line in log if "warning" in line or "milter" in line][-10:]), file=sys.stderr)
            raise
        finally:
            system.stop()


def check(system: System, accounts: list[str], count: int) -> None:
    """Errors: RuntimeError, unless so many messages arrived, each with a pass of all three."""
    found = passed = 0
    for each in accounts:
        client = ImapClient(system, each)
        client.command(b"SELECT INBOX")
        answer = client.text(b"FETCH 1:* BODY.PEEK[HEADER.FIELDS (AUTHENTICATION-RESULTS)]")
        client.close()
        headers = re.split(rb"^\* \d+ FETCH", answer, flags=re.MULTILINE)[1:]
        found += len(headers)
        passed += sum(b"spf=pass" in text and b"dkim=pass" in text and b"dmarc=pass" in text for text in headers)
    if not found == passed == count:
        raise RuntimeError(f"{system.name}: of {count} messages {found} arrived, and {passed} have passed")
    print(f"  {system.name}: all {count} messages say spf=pass, dkim=pass, dmarc=pass", flush=True)


def measure(folder: Path, options: argparse.Namespace) -> None:
    work = "deliver 4 KB, SPF+DKIM+DMARC"
    accounts = [account(number) for number in range(ACCOUNTS)]
    count = 200 if options.quick else 2000
    now = datetime.now(UTC)
    [key] = [key for key in new_keys(SENDER, now, "bench") if key.algorithm == "rsa-sha256"]
    messages = as_text([sign(octets, [load_key(key)], now) + octets for octets in sample(4096)])
    recipients = [account(number % ACCOUNTS) for number in range(count)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(network.dns_server(folder / "dns", records(key)))
        systems: list[System] = []
        for name, workers in (("mailstead", "1"), ("mailstead --workers 2", "2")):
            system = start_mailstead(
                folder / f"mailstead-{workers}",
                accounts,
                name,
                MAILSTEAD_AUTHENTICATION_IS_ENABLED="true",
                MAILSTEAD_SERVER_WORKERS=workers,
            )
            stack.callback(system.stop)
            systems.append(system)
        if not options.without_peers:
            systems.append(stack.enter_context(postfix_with_filters(folder / "filters", accounts)))
        values: dict[str, list[float]] = {system.name: [] for system in systems}
        for _ in range(options.rounds):
            for system in systems:
                job = Job(
                    system.ports.smtp,
                    20,
                    recipients,
                    messages,
                    helo=f"mx.{SENDER}",
                    source_address=network.SENDER_ADDRESS,
                )
                values[system.name].append(delivered(system, job))
        for system in systems:
            check(system, accounts, count * options.rounds)
            record(work, system.name, "rate", values[system.name], "messages/s")
        ratio(work, "rate", f">= {TARGET}", more_is_better=True)
