"""All settings with their help text: the one schema behind the file, the environment and the reference page.

Units stand in the names. Every field's metadata carries its help sentence; `Secret` fields never show.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailstead.model.secret import Secret


def setting(default: Any, help_text: str, choices: tuple[str, ...] = (), minimum: float | None = None) -> Any:
    """Declare a field with its default and the sentence that explains it.

    Shapes: `choices` are the texts allowed (for a tuple: in each place); `minimum` is the smallest number allowed.
    """
    if isinstance(default, list | dict):
        raise TypeError("defaults are immutable: use a tuple")
    return field(default=default, metadata={"help": help_text, "choices": choices, "minimum": minimum})


@dataclass(frozen=True, slots=True)
class Server:
    """The server as a whole."""

    hostname: str = setting("localhost", "Name that the server gives itself in greetings and Received fields.")
    data_dir: Path = setting(Path("/var/lib/mailstead"), "Folder of all stores.")
    workers: int = setting(1, "How many processes share the ports and the stores on this host.", minimum=1)
    services: tuple[str, ...] = setting(
        ("mx", "submission", "imap", "pop3"),
        "Services to run; smtp means mx and submission.",
        choices=("mx", "submission", "smtp", "imap", "pop3"),
    )
    metrics_listen: str = setting(
        "", "Address and port of the Prometheus metrics page; workers use the ports after it, one each; empty: none."
    )
    log_level: str = setting("info", "How much is logged.", choices=("debug", "info", "warning", "error"))
    log_format: str = setting(
        "auto", "Form of the log; auto is console on a terminal, else json.", choices=("auto", "console", "json")
    )
    transcript: bool = setting(
        False,
        "Write every conversation to the log, line by line at level debug, to find faults; passwords and other secrets "
        "of log-ins are removed, the beginnings of mail lines are not.",
    )
    stop_limit_s: float = setting(10.0, "How long conversations may take to end when the server stops.")
    use_uvloop: bool = setting(True, "Use uvloop instead of asyncio's own loop.")


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates."""

    certificate_file: str = setting("", "PEM chain; empty: a self-signed one is made in the data folder.")
    key_file: str = setting("", "PEM key of the certificate.")
    watch_s: float = setting(5.0, "How often the files are looked at for a new pair.")


@dataclass(frozen=True, slots=True)
class Store:
    """The embedded store."""

    cipher: str = setting(
        "chacha20",
        "Cipher of new stores; aegis is faster on CPUs with AES instructions.",
        choices=("chacha20", "aegis"),
    )
    master_key: Secret = setting(Secret(""), "32 octets in hex or base64; better given by file or environment.")
    master_key_file: str = setting(
        "",
        "File of the master key; empty: beside the data folder, not in it (/var/lib/mailstead.master.key beside "
        "/var/lib/mailstead). In a container it must be set to a mounted path, or the key goes with the container. "
        "Without the key nobody can read the mail.",
    )
    writer_thread_count: int = setting(4, "Threads that commit; an account is pinned to one of them.", minimum=1)
    reader_thread_count: int = setting(4, "Threads that read.", minimum=1)
    open_account_count: int = setting(128, "How many account files stay open.", minimum=1)
    disk_reserve_octets: int = setting(64 * 1024 * 1024, "Below this much free space mail is refused temporarily.")
    staged_octets_max: int = setting(512 * 1024 * 1024, "Memory that all messages on their way in may take together.")
    account_quota_octets: int = setting(0, "Quota of new accounts; 0: none.")
    index_pause_s: float = setting(2.0, "How long an account is quiet before its text index catches up.")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that all services share."""

    connections_max: int = setting(18000, "Connections per process.")
    connections_per_address_max: int = setting(200, "Connections per IPv4 address or IPv6 /64; loopback is exempt.")
    sessions_per_account_max: int = setting(30, "IMAP and POP3 sessions per account and process.")
    login_failures_max: int = setting(10, "Failed log-ins per address and account before the delay grows.")
    login_failure_window_s: float = setting(600.0, "How long failures are remembered.")
    proxy_from: tuple[str, ...] = setting((), "Addresses whose PROXY header is believed (and required).")


@dataclass(frozen=True, slots=True)
class Smtp:
    """What mx and submission share."""

    message_octets_max: int = setting(52_428_800, "Largest message.")
    recipients_max: int = setting(100, "Recipients per message.")
    errors_max: int = setting(20, "Refused commands before the conversation is ended.")
    transactions_max: int = setting(1000, "Messages per connection.")
    received_max: int = setting(50, "Received fields before a message counts as looping.")
    command_limit_s: float = setting(300.0, "Silence between commands (RFC 5321 §4.5.3.2.7).")
    data_limit_s: float = setting(180.0, "Silence within a message (RFC 5321 §4.5.3.2.5).")
    banner_delay_s: float = setting(0.0, "Delay before the greeting of the mx; who talks earlier is refused.")


@dataclass(frozen=True, slots=True)
class Listeners:
    """Where a service listens."""

    listen: tuple[str, ...] = setting((), "Addresses with port, clear text with STARTTLS (STLS).")
    listen_tls: tuple[str, ...] = setting((), "Addresses with port, TLS from the first octet.")


@dataclass(frozen=True, slots=True)
class Imap(Listeners):
    """The imap service."""

    idle_limit_s: float = setting(1800.0, "Silence of a logged-in client (RFC 9051 §5.4: at least 30 minutes).")
    login_limit_s: float = setting(60.0, "Silence before log-in.")
    command_octets_max: int = setting(65536, "Largest command after log-in, messages aside.")
    poll_s: float = setting(60.0, "How often an idle session looks by itself, in case a wake-up was lost.")


@dataclass(frozen=True, slots=True)
class Pop3(Listeners):
    """The pop3 service."""

    idle_limit_s: float = setting(600.0, "Silence of a logged-in client (RFC 1939 §3: at least 10 minutes).")
    login_limit_s: float = setting(60.0, "Silence before log-in.")
    messages_max: int = setting(50_000, "Messages shown in one session, the oldest first.", minimum=1)


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole."""

    server: Server = field(default_factory=Server)
    tls: Tls = field(default_factory=Tls)
    store: Store = field(default_factory=Store)
    limits: Limits = field(default_factory=Limits)
    smtp: Smtp = field(default_factory=Smtp)
    mx: Listeners = field(default_factory=Listeners)
    submission: Listeners = field(default_factory=Listeners)
    imap: Imap = field(default_factory=Imap)
    pop3: Pop3 = field(default_factory=Pop3)
