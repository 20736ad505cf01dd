"""What the command line of a set-up says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """As given; None and empty: to be asked, or as it was before."""

    domain: str | None = None
    hostname: str | None = None
    kind: str | None = None
    email: str | None = None
    certificate: str | None = None
    provider_ini: Path | None = None
    acme_directory: str | None = None
    acme_ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    bucket: str | None = None
    s3_endpoint: str | None = None
    addresses: tuple[str, ...] = ()
    port_25_target: str | None = None
    blocklists: str | None = None
    account: str | None = None
    ssh_port: int = 22
    env_file: Path | None = None
    wait_dns: bool = False
    wait_reply_s: float = 0.0
    purge: bool = False
