"""What somebody answers who sets up a server, and the settings that follow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

LETS_ENCRYPT: Final = "https://acme-v02.api.letsencrypt.org/directory"
PORT_25_TARGET: Final = "gmail-smtp-in.l.google.com"
DNS_BLOCKLISTS: Final = ("zen.spamhaus.org", "bl.spamcop.net")
"""Proposed, and asked only if that is wanted."""

KINDS: Final[Mapping[str, str]] = {
    "mail": "ordinary mail",
    "chatmail": "Delta Chat: accounts by logging in, encrypted mail only",
}
"""What a domain can be, for people."""
CERTIFICATES: Final[Mapping[str, str]] = {
    "http": "ordered by this server, proven on port 80",
    "alpn": "ordered by this server, proven on port 443",
    "cloudflare": "ordered by this server, proven in the DNS at Cloudflare",
    "digitalocean": "ordered by this server, proven in the DNS at DigitalOcean",
    "route53": "ordered by this server, proven in the DNS at Amazon Route 53",
    "rfc2136": "ordered by this server, proven in a zone that takes updates (RFC 2136)",
    "files": "given from outside, as files",
    "self-signed": "made by this server; mail programs warn of it",
}
"""Ways to a certificate, for people."""
PROVIDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "cloudflare": ("dns_provider.api_token",),
    "digitalocean": ("dns_provider.api_token",),
    "route53": ("dns_provider.aws_access_key_id", "dns_provider.aws_secret_access_key"),
    "rfc2136": ("dns_provider.rfc2136_server", "dns_provider.rfc2136_key_name", "dns_provider.rfc2136_key"),
}
"""What each provider must be given."""

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
#   one label or more, the last of letters (or xn--): RFC 1123 §2.1, RFC 3696 §2.
_HOST: Final = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+([a-z]{2,63}|xn--[a-z0-9-]{1,59})")


@dataclass(frozen=True, slots=True)
class Answers:
    """What is to be."""

    domain: str
    kind: str
    """``mail`` or ``chatmail``."""
    hostname: str
    certificate: str
    """One of `CERTIFICATES`."""
    email: str = ""
    public_addresses: tuple[str, ...] = ()
    acme_directory_url: str = LETS_ENCRYPT
    acme_ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    provider: Mapping[str, str] = field(default_factory=dict, repr=False)
    """``dns_provider.…`` → text."""
    backup: Mapping[str, str] = field(default_factory=dict, repr=False)
    """``backup.…`` → text."""
    port_25_target: str = ""


def is_host(name: str) -> bool:
    """Whether it can be the name of a mail host or domain that others look up."""
    return bool(_HOST.fullmatch(name))


def settings_of(answers: Answers) -> dict[str, str]:
    """Give the settings that follow: ``section.name`` → text; empty ones take away what was there."""
    is_ordered = answers.certificate not in {"files", "self-signed"}
    settings = {
        "setup.domain": answers.domain,
        "setup.kind": answers.kind,
        "server.hostname": answers.hostname,
        "acme.email": answers.email,
        "acme.directory_url": answers.acme_directory_url if is_ordered else "",
        "tls.certificate_file": answers.certificate_file if answers.certificate == "files" else "",
        "tls.key_file": answers.key_file if answers.certificate == "files" else "",
    }
    if answers.public_addresses:
        settings["server.public_addresses"] = ",".join(answers.public_addresses)
    if is_ordered:
        settings["acme.ca_file"] = answers.acme_ca_file
        settings["acme.challenge"] = {"http": "http-01", "alpn": "tls-alpn-01"}.get(answers.certificate, "dns-01")
    if answers.certificate == "alpn":
        settings |= {"web.listen_shared": ":443", "web.listen_tls": ""}
    if answers.provider:
        settings |= {"dns_provider.kind": answers.certificate, **answers.provider}
    settings |= answers.backup
    if answers.port_25_target:
        settings["doctor.port_25_target"] = answers.port_25_target
    return settings


def backup_target(text: str) -> str | None:
    """Give ``backup.target`` for a bucket's name, an ``s3://`` address or a folder; None: it is none of these."""
    if text.startswith(("s3://", "/")):
        return text
    return f"s3://{text}/mailstead" if _BUCKET.fullmatch(text) else None
