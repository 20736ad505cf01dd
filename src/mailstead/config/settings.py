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


_SERVICES = (
    "mx", "submission", "smtp", "imap", "pop3", "sieve", "caldav", "carddav", "queue", "worker", "web", "api",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Server:
    """The server as a whole."""

    hostname: str = setting("localhost", "Name that the server gives itself in greetings and Received fields.")
    public_addresses: tuple[str, ...] = setting(
        (),
        "Public IP addresses of this machine, for the DNS records; empty: those from which packets leave. Needed "
        "behind NAT, and in a container that does not have the network of the host.",
    )
    data_dir: Path = setting(Path("/var/lib/mailstead"), "Folder of all stores.")
    workers: int = setting(1, "How many processes share the ports and the stores on this host.", minimum=1)
    cpu_affinity: bool = setting(
        True, "With several workers, whether each keeps to a processor of its own, which makes them faster."
    )
    services: tuple[str, ...] = setting(
        ("mx", "submission", "imap", "pop3", "sieve", "caldav", "carddav", "queue", "web", "api"),
        "Services to run; smtp means mx and submission, worker the queue. One that has no address to listen on is left "
        "out, queue aside.",
        choices=_SERVICES,
    )
    offered_services: tuple[str, ...] = setting(
        (),
        "Services of the whole house, where several containers share them out, for what mail programs and the DNS are "
        "told; empty: server.services.",
        choices=_SERVICES,
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
    ip_version: str = setting(
        "auto", "IP version of listeners whose address names no host, as :993.", choices=("auto", "4", "6")
    )
    use_uvloop: bool = setting(True, "Use uvloop instead of asyncio's own loop.")


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates."""

    certificate_file: str = setting("", "PEM chain; empty: a self-signed one is made in the data folder.")
    key_file: str = setting("", "PEM key of the certificate.")
    watch_s: float = setting(5.0, "How often the files are looked at for a new pair.")


@dataclass(frozen=True, slots=True)
class Acme:
    """Certificates ordered from an authority (ACME), and renewed by the server itself."""

    directory_url: str = setting(
        "",
        "Where the authority's directory is, such as https://acme-v02.api.letsencrypt.org/directory, whose terms are "
        "agreed to with that; empty, or where tls.certificate_file is set: nothing is ordered.",
    )
    email: str = setting("", "Where the authority may write to; empty: it is not told.")
    challenge: str = setting(
        "http-01",
        "How names are proven: http-01 on port 80 (web.listen), tls-alpn-01 on port 443 (web.listen_shared), dns-01 by "
        "a record in the zone (dns_provider.kind).",
        choices=("http-01", "tls-alpn-01", "dns-01"),
    )
    names: tuple[str, ...] = setting(
        (), "Names in the certificate; empty: server.hostname, and the hosts of our domains that have an address."
    )
    ca_file: str = setting(
        "",
        "PEM file of the authorities that are believed when the directory is asked, for a private one, which may then "
        "have a private address; empty: as relay.ca_file.",
    )


@dataclass(frozen=True, slots=True)
class DnsProvider:
    """Who publishes our DNS records, where the server may change them: for dns-01, and `mailstead dns --write`."""

    kind: str = setting(
        "",
        "How records are changed: by the API of a provider, or by signed updates of a name server (rfc2136); empty: "
        "they are not.",
        choices=("", "cloudflare", "digitalocean", "route53", "rfc2136"),
    )
    api_token: Secret = setting(
        Secret(""),
        "Token of Cloudflare (permissions Zone.Zone read and Zone.DNS edit) or DigitalOcean (scope domain).",
    )
    aws_access_key_id: str = setting(
        "",
        "Access key for Route 53, which may ListHostedZones, ListResourceRecordSets, ChangeResourceRecordSets and "
        "GetChange.",
    )
    aws_secret_access_key: Secret = setting(Secret(""), "Secret of the access key.")
    endpoint: str = setting(
        "", "Address of the API, for a private one, which may then have a private address; empty: the provider's own."
    )
    rfc2136_server: str = setting("", "Name server that takes updates (RFC 2136), as address or address:port.")
    rfc2136_key_name: str = setting("", "Name of the TSIG key, whose algorithm is hmac-sha256.")
    rfc2136_key: Secret = setting(Secret(""), "The TSIG key in base64.")


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
    password_hash_memory_mib: int = setting(
        19,
        "Memory of one hash of a password (argon2id); `mailstead password-cost` measures what this machine can bear. "
        "Passwords are hashed anew when they log in next.",
        minimum=7,
    )
    password_hash_iterations: int = setting(2, "Iterations of one hash of a password (argon2id).", minimum=1)
    proxy_from: tuple[str, ...] = setting((), "Addresses whose PROXY header is believed (and required).")
    allows_bridged_clients: bool = setting(
        False,
        "Let the mx in a container take mail from the gateway of its network, too. Strangers who come from there are "
        "seen with that one address, so limits and SPF are blind; for mail of the machine itself, and for tests.",
    )


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
class MailListeners(Listeners):
    """Where a service listens that speaks a mail protocol."""

    connections_max: int = setting(
        0, "Connections of this service per process; 0: as many as limits.connections_max lets in.", minimum=0
    )


@dataclass(frozen=True, slots=True)
class Imap(MailListeners):
    """The imap service."""

    idle_limit_s: float = setting(1800.0, "Silence of a logged-in client (RFC 9051 §5.4: at least 30 minutes).")
    login_limit_s: float = setting(60.0, "Silence before log-in.")
    command_octets_max: int = setting(65536, "Largest command after log-in, messages aside.")
    poll_s: float = setting(60.0, "How often an idle session looks by itself, in case a wake-up was lost.")


@dataclass(frozen=True, slots=True)
class Pop3(MailListeners):
    """The pop3 service."""

    idle_limit_s: float = setting(600.0, "Silence of a logged-in client (RFC 1939 §3: at least 10 minutes).")
    login_limit_s: float = setting(60.0, "Silence before log-in.")
    messages_max: int = setting(50_000, "Messages shown in one session, the oldest first.", minimum=1)


@dataclass(frozen=True, slots=True)
class Sieve(MailListeners):
    """The sieve service (ManageSieve), and the limits of scripts."""

    idle_limit_s: float = setting(1800.0, "Silence of a logged-in client (RFC 5804 §1.2: at least 30 minutes).")
    login_limit_s: float = setting(60.0, "Silence before log-in.")
    steps_max: int = setting(1_000_000, "Steps that scripts may take over one whole delivery.", minimum=1000)
    redirects_max: int = setting(4, "Redirects per message.", minimum=0)
    redirects_per_day_max: int = setting(100, "Redirects per account and day.", minimum=0)
    vacation_days_min: int = setting(1, "Fewest days between two vacation answers to one sender.", minimum=0)


@dataclass(frozen=True, slots=True)
class Web(Listeners):
    """The web service: policies and set-up files that mail clients and servers fetch, and the pages of relays."""

    listen_shared: tuple[str, ...] = setting(
        (), "Addresses with port, as :443, that the web shares with IMAP and submission: clients choose by ALPN."
    )
    proxy_from: tuple[str, ...] = setting(
        (),
        "Addresses of web proxies before us that end TLS, as 10.0.0.0/8: whom they name in X-Forwarded-For has come, "
        "and over TLS if X-Forwarded-Proto says https. Nobody else may reach us from there. Calendars and the API have "
        "settings of their own for it.",
    )
    custom_folder: str = setting(
        "",
        "Folder whose files take the place of ours in all domains, one by one: pages as www/src/index.md or "
        "www/ru/info.md, www/layout.html, www/relay.css; `mailstead config show` lists them. Empty: none.",
    )


@dataclass(frozen=True, slots=True)
class Dav:
    """Calendars and contacts, whichever of the two services answers."""

    base_url: str = setting(
        "", "Where the services are on the web, as https://dav.example.org; empty: https:// and server.hostname."
    )
    allows_clear_text: bool = setting(
        False, "Take passwords without TLS from elsewhere than loopback: only where a proxy before us ends TLS."
    )
    proxy_from: tuple[str, ...] = setting(
        (),
        "Addresses of web proxies before us that end TLS, as 10.0.0.0/8: whom they name in X-Forwarded-For has come, "
        "and over TLS if X-Forwarded-Proto says https. Nobody else may reach us from there.",
    )
    calendar_name: str = setting("Calendar", "What the first calendar of an account is called.")
    addressbook_name: str = setting("Contacts", "What the first address book of an account is called.")
    shows_directory: bool = setting(
        False,
        "Show everybody an address book of all accounts of the same domain, which nobody writes; never in chatmail "
        "domains.",
    )
    directory_name: str = setting("People", "What that one is called.")
    resource_octets_max: int = setting(
        10 * 1024 * 1024, "Largest event, task or contact, photo included.", minimum=1024
    )
    attachment_octets_max: int = setting(10 * 1024 * 1024, "Largest file attached to an event.", minimum=1024)
    attachments_max: int = setting(10, "Files attached to one event.", minimum=0)
    connections_max: int = setting(500, "Connections of these services per process.", minimum=1)
    apns_caldav_certificate_file: str = setting(
        "",
        "PEM file of Apple's certificate for push to calendars, whose topic it names; empty: Apple's calendar programs "
        "are told of no changes, and nothing is asked of Apple.",
    )
    apns_caldav_key_file: str = setting("", "PEM file of its private key, without a password; empty: in the same file.")
    apns_carddav_certificate_file: str = setting(
        "",
        "PEM file of Apple's certificate for push to contacts; empty: Apple's contacts programs are told of nothing.",
    )
    apns_carddav_key_file: str = setting("", "PEM file of its private key; empty: in the same file.")
    apns_host: str = setting("api.push.apple.com", "Apple's push service.")
    apns_port: int = setting(443, "Its port; Apple also has 2197, for networks that let no other out.", minimum=1)
    apns_ca_file: str = setting(
        "", "PEM file of certificate authorities that are believed for it; empty: as relay.ca_file."
    )


@dataclass(frozen=True, slots=True)
class Api(Listeners):
    """The API (REST, JSON), on ports of its own and under /v1 where the web service answers."""

    base_url: str = setting(
        "", "Where the API is on the web, as https://api.example.org; empty: https:// and server.hostname."
    )
    allows_clear_text: bool = setting(
        False, "Take passwords and tokens without TLS from elsewhere than loopback: only where a proxy ends TLS."
    )
    proxy_from: tuple[str, ...] = setting(
        (),
        "Addresses of web proxies before us that end TLS, as 10.0.0.0/8: whom they name in X-Forwarded-For has come, "
        "and over TLS if X-Forwarded-Proto says https. Nobody else may reach us from there.",
    )
    requests_per_minute: int = setting(
        1000,
        "Requests that a network (an IPv4 address, an IPv6 /64) may send in a minute, in each process; 0: any number.",
        minimum=0,
    )
    allowed_origins: tuple[str, ...] = setting(
        (),
        "Whose pages may use the API in a browser, as https://webmail.example.org: a webmail that is served elsewhere. "
        "Empty: only our own.",
    )
    allows_registration: bool = setting(
        False, "Let anybody make a user of his own, without any right; else users are made by an administrator."
    )
    body_octets_max: int = setting(
        64 * 1024 * 1024,
        "Largest body of a request; most kinds of request have a smaller one of their own.",
        minimum=1024,
    )
    connections_max: int = setting(500, "Connections to ports of its own, per process.", minimum=1)


@dataclass(frozen=True, slots=True)
class Dns:
    """How names are looked up."""

    servers: tuple[str, ...] = setting(
        (), "Resolvers as address or address:port; empty: those of the system (/etc/resolv.conf)."
    )
    trusts_ad: bool = setting(
        False,
        "Believe the resolvers when they say that an answer is authentic (DNSSEC), although they are not on loopback; "
        "those on loopback are always believed. DANE needs it.",
    )
    query_limit_s: float = setting(5.0, "How long one question may take, all its tries together.")
    message_limit_s: float = setting(20.0, "How long all questions about one message may take.")
    queries_per_message_max: int = setting(100, "Questions that one message may cause.", minimum=10)
    cached_max: int = setting(50_000, "Answers that are remembered.", minimum=0)


@dataclass(frozen=True, slots=True)
class Authentication:
    """The authentication of senders."""

    is_enabled: bool = setting(True, "Check SPF, DKIM, ARC and DMARC of incoming mail.")
    trusted_sealers: tuple[str, ...] = setting((), "Domains whose ARC seals are believed.")
    refuses_by_policy: bool = setting(True, "Refuse what the author's domain asks to refuse (DMARC p=reject).")
    refuses_hard_fail: bool = setting(False, "Refuse an SPF fail even where no DMARC policy says so.")


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may send us mail, and what becomes of it."""

    junk_score: float = setting(5.0, "From this score on a message goes to Junk.")
    refuse_score: float = setting(15.0, "From this score on a message is refused.")
    allowlist: tuple[str, ...] = setting((), "Addresses, domains, IP networks spared heuristics and greylisting.")
    denylist: tuple[str, ...] = setting((), "Addresses, domains, IP networks whose mail is refused.")
    dns_blocklists: tuple[str, ...] = setting(
        (), "DNS block lists asked for each client, as zone or zone=score; a bare zone refuses. None by default."
    )
    dns_allowlists: tuple[str, ...] = setting((), "DNS allow lists, as zone or zone=score. None by default.")
    greylists: bool = setting(False, "Let senders who fail authentication come again before they are believed.")
    greylist_delay_s: float = setting(300.0, "How long they wait.")
    refused_extensions: tuple[str, ...] = setting(
        ("ade", "adp", "bat", "cmd", "com", "cpl", "exe", "hta", "ins", "isp", "jse", "lnk", "msc", "msi", "msp", "mst",
         "pif", "scr", "sct", "shb", "vbe", "vbs", "wsc", "wsf", "wsh"),
        "Attachments with these extensions are refused.",
    )  # fmt: skip
    messages_per_sender_hour_max: int = setting(
        1000, "Messages that one network may bring in an hour; allow-listed ones aside; 0: any number.", minimum=0
    )
    messages_per_recipient_hour_max: int = setting(
        10_000, "Messages that one mailbox takes in an hour; 0: any number.", minimum=0
    )
    learns_junk: bool = setting(True, "Learn from what people move into Junk and out of it.")


@dataclass(frozen=True, slots=True)
class Rspamd:
    """An Rspamd beside us; off unless an address is set."""

    url: str = setting("", "Address of its worker, such as http://127.0.0.1:11333; empty: not used.")
    password: Secret = setting(Secret(""), "Password, if the worker asks for one.")
    limit_s: float = setting(10.0, "How long a scan may take; after that mail goes on without it.")


@dataclass(frozen=True, slots=True)
class Clamav:
    """A ClamAV daemon beside us; off unless an address is set."""

    address: str = setting("", "Where clamd listens: host:port, or the path of its socket; empty: not used.")
    limit_s: float = setting(30.0, "How long a scan may take.")
    octets_max: int = setting(
        25 * 1024 * 1024, "Larger messages are not scanned; not above the daemon's own StreamMaxLength.", minimum=1
    )
    is_required: bool = setting(True, "Without an answer mail waits (4xx) rather than going on unscanned.")


@dataclass(frozen=True, slots=True)
class Queue:
    """Mail that waits to go out."""

    connections_max: int = setting(50, "Connections to others at a time, per process.", minimum=1)
    connections_per_destination_max: int = setting(5, "Connections to one destination.", minimum=1)
    messages_per_connection_max: int = setting(100, "Messages through one connection.", minimum=1)
    expires_s: float = setting(5 * 86400.0, "How long delivery is tried (RFC 5321 §4.5.4.1: 4 to 5 days).")
    delay_told_s: float = setting(4 * 3600.0, "After how long the author is told of a delay.")
    finished_kept_s: float = setting(2 * 86400.0, "How long finished items can be looked at.")
    lease_s: float = setting(
        180.0, "How long a delivery belongs to the process that works on it; after a crash it waits so long.", minimum=1
    )
    first_retry_s: float = setting(300.0, "Wait before the second attempt; each further wait is twice as long.")
    retry_max_s: float = setting(4 * 3600.0, "The longest wait between two attempts.")
    future_release_max_s: float = setting(30 * 86400.0, "How far in the future a message may be released (RFC 4865).")
    recipients_per_day_max: int = setting(
        2000, "Recipients that an account's submissions may have per day; 0: any number.", minimum=0
    )


@dataclass(frozen=True, slots=True)
class Relay:
    """How mail leaves."""

    smarthost: str = setting("", "host:port of a relay for all mail; domains may have their own. Empty: by MX.")
    smarthost_username: str = setting("", "Log-in at it.")
    smarthost_password: Secret = setting(Secret(""), "Password at it.")
    smarthost_security: str = setting("starttls", "How it is reached.", choices=("starttls", "tls", "none"))
    source_ipv4: str = setting("", "Address to connect from; empty: the system's choice.")
    source_ipv6: str = setting("", "Address to connect from; empty: the system's choice.")
    ip_version: str = setting("auto", "Which IP version is used for outgoing mail.", choices=("auto", "4", "6"))
    port: int = setting(25, "Port of mail exchangers; another one than 25 is for tests.", minimum=1)
    https_port: int = setting(443, "Port of /mxdeliv at others; another one than 443 is for tests.", minimum=1)
    ca_file: str = setting("", "PEM file of certificate authorities that are believed; empty: the system's.")
    allows_private_addresses: bool = setting(
        False, "Also deliver to, and fetch from, private and loopback addresses; for tests and closed networks."
    )
    sends_tls_reports: bool = setting(True, "Send TLS-RPT reports to domains that ask for them.")
    sends_dmarc_reports: bool = setting(False, "Send DMARC aggregate reports to domains that ask for them.")
    srs_domain: str = setting("", "Domain of rewritten senders of forwarded mail; empty: the alias's own domain.")


@dataclass(frozen=True, slots=True)
class Trace:
    """What is kept of where messages went."""

    kept_days: int = setting(7, "For how many days; 0: nothing is kept.", minimum=0)
    reports_kept_days: int = setting(90, "For how many days DMARC and TLS reports are kept.", minimum=0)


@dataclass(frozen=True, slots=True)
class Audit:
    """The log of who changed what, and logged in."""

    kept_days: int = setting(365, "For how many days it is kept.", minimum=1)


@dataclass(frozen=True, slots=True)
class Oidc:
    """Log-in by an OpenID Connect provider, on the web and in mail programs; without issuer there is none."""

    issuer: str = setting("", "Its name, as https://id.example.org/realms/mail, letter for letter; empty: no provider.")
    name: str = setting("", "How it is called on the button; empty: by its host.")
    client_id: str = setting("", "What it calls us.")
    client_secret: Secret = setting(Secret(""), "Our secret there; empty: we are a public client.")
    scopes: tuple[str, ...] = setting(("openid", "email"), "Scopes that are asked for at the log-in on the web.")
    redirect_url: str = setting(
        "",
        "Where it sends browsers back, as it is registered there, letter for letter; empty: /log-in/oidc/callback at "
        "server.hostname.",
    )
    audiences: tuple[str, ...] = setting(
        (),
        "Whom access tokens of mail programs (OAUTHBEARER, XOAUTH2) must be for, besides being the provider's; empty: "
        "none are taken, unless oidc.introspects.",
    )
    introspects: bool = setting(
        False, "Ask the provider about each access token (RFC 7662), for those that are no signed JWT."
    )
    claim: str = setting("email", "Claim that holds a person's address, for oidc.auto_link_domains.")
    auto_link_domains: tuple[str, ...] = setting(
        (),
        "Domains whose addresses are the provider's to give: whoever it calls the verified owner of one comes in as "
        "that account at once. Empty: everybody links once, with the password, or an administrator does.",
    )
    allows_private_addresses: bool = setting(
        False, "The provider may be in a private network or on this machine, there also without TLS."
    )


@dataclass(frozen=True, slots=True)
class Doctor:
    """What the doctor may ask of others."""

    port_25_target: str = setting(
        "", "A mail exchanger (host, or host:port) at which port 25 outward is tried; empty: nobody is asked."
    )
    is_daily: bool = setting(True, "Go round once a day and tell the postmaster what has changed.")


@dataclass(frozen=True, slots=True)
class Chatmail:
    """What domains of the profile chatmail need; others ask nothing of it."""

    nocreate_file: str = setting(
        "/etc/chatmail-nocreate", "While this file exists, nobody opens an account by logging in; empty: there is none."
    )
    openings_per_prefix_hour_max: int = setting(
        1000,
        "Log-ins with names that nobody has, from one IPv4 /24 or IPv6 /48 in an hour, by process, that may open an "
        "account; 0: any number.",
        minimum=0,
    )
    push_url: str = setting(
        "https://notifications.delta.chat/notify",
        "Where sleeping devices are woken: the tokens that clients have registered are posted there; empty: nowhere.",
    )
    turn_secret: Secret = setting(
        Secret(""),
        "Secret shared with the TURN server (static-auth-secret); empty: made at first need, in turn.secret of the "
        "data folder.",
    )
    turn_socket: str = setting(
        "", "Socket of a chatmail-turn daemon, which gives credentials for calls instead of turn_secret; empty: none."
    )
    app_versions_file: str = setting(
        "", "JSON file with the versions of apps that clients are told of; empty: none are told."
    )
    recipients_max: int = setting(
        1000,
        "Recipients per message of accounts whose domain requires encryption; never fewer than smtp.recipients_max.",
    )


@dataclass(frozen=True, slots=True)
class Backup:
    """Encrypted backups, and how long they are kept."""

    target: str = setting(
        "", "Where backups go: a folder (on another disk), or s3://bucket/prefix. Empty: no backups are made."
    )
    key: Secret = setting(Secret(""), "Backup key as it was printed; better kept in a file.")
    key_file: str = setting(
        "", "File of the backup key; empty: beside the data folder (/var/lib/mailstead.backup.key); made when needed."
    )
    s3_endpoint: str = setting("", "Address of an S3 provider; empty: Amazon's own.")
    s3_region: str = setting("", "Region of the bucket; empty: us-east-1, which most providers take.")
    s3_access_key_id: str = setting("", "Access key; empty: what the environment or the machine's role gives.")
    s3_secret_access_key: Secret = setting(Secret(""), "Secret of the access key.")
    is_daily: bool = setting(True, "Make a backup each day, if there is a target.")
    hour: int = setting(3, "Hour of the day (UTC) from which on it is made.", minimum=0)
    daily_count: int = setting(7, "Days of which a backup is kept.", minimum=1)
    weekly_count: int = setting(4, "Weeks of which one is kept.", minimum=0)
    monthly_count: int = setting(6, "Months of which one is kept.", minimum=0)


@dataclass(frozen=True, slots=True)
class Setup:
    """What `mailstead setup` was told, so that it can go on and be run again; nothing else reads it."""

    domain: str = setting("", "The first domain.")
    kind: str = setting("mail", "What it is to be: ordinary mail, or chatmail.", choices=("mail", "chatmail"))


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole."""

    server: Server = field(default_factory=Server)
    tls: Tls = field(default_factory=Tls)
    acme: Acme = field(default_factory=Acme)
    dns_provider: DnsProvider = field(default_factory=DnsProvider)
    store: Store = field(default_factory=Store)
    limits: Limits = field(default_factory=Limits)
    smtp: Smtp = field(default_factory=Smtp)
    mx: MailListeners = field(default_factory=MailListeners)
    submission: MailListeners = field(default_factory=MailListeners)
    imap: Imap = field(default_factory=Imap)
    pop3: Pop3 = field(default_factory=Pop3)
    sieve: Sieve = field(default_factory=Sieve)
    caldav: Listeners = field(default_factory=Listeners)
    carddav: Listeners = field(default_factory=Listeners)
    dav: Dav = field(default_factory=Dav)
    web: Web = field(default_factory=Web)
    api: Api = field(default_factory=Api)
    dns: Dns = field(default_factory=Dns)
    authentication: Authentication = field(default_factory=Authentication)
    policy: Policy = field(default_factory=Policy)
    rspamd: Rspamd = field(default_factory=Rspamd)
    clamav: Clamav = field(default_factory=Clamav)
    queue: Queue = field(default_factory=Queue)
    relay: Relay = field(default_factory=Relay)
    trace: Trace = field(default_factory=Trace)
    audit: Audit = field(default_factory=Audit)
    oidc: Oidc = field(default_factory=Oidc)
    doctor: Doctor = field(default_factory=Doctor)
    chatmail: Chatmail = field(default_factory=Chatmail)
    backup: Backup = field(default_factory=Backup)
    setup: Setup = field(default_factory=Setup)
