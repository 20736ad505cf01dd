"""How values of the directory are written into its columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from mailstead.model.address import Address
from mailstead.model.directory import DomainTerms, HostTarget, Target, WebhookTarget
from mailstead.model.errors import StoreDamaged

_ADDRESS: Final = "address"
_HOST: Final = "host"
_WEB: Final = "web"


def address_of(text: str, domain: str) -> Address:
    """Read an address as `text_of` wrote it. What stands in the file was checked when it came in."""
    return Address.parse(text) if text.startswith('"') else Address(text[: -len(domain) - 1], domain)


def text_of(address: Address) -> str:
    """Write an address. Patterns stand there as they are: they begin with a slash, never with a quotation mark."""
    return f"{address.local_part}@{address.domain}" if address.local_part.startswith("/") else str(address)


def row_of(target: Target) -> tuple[str, str]:
    """Give kind and text of a target."""
    if isinstance(target, Address):
        return _ADDRESS, text_of(target)
    return (_HOST if isinstance(target, HostTarget) else _WEB), str(target)


def target_of(kind: str, text: str) -> Target:
    """Read a target."""
    if kind == _ADDRESS:
        return address_of(text, text.rpartition("@")[2])
    if kind == _HOST:
        host, _, port = text.rpartition(":")
        return HostTarget(host.removeprefix("[").removesuffix("]"), int(port))
    return WebhookTarget(text)


def json_of_targets(targets: Sequence[Target]) -> str:
    """Write the targets of an account."""
    return msgspec.json.encode([row_of(target) for target in targets]).decode()


def targets_of(json: str) -> tuple[Target, ...]:
    """Read the targets of an account."""
    if json == "[]":  # nearly always
        return ()
    return tuple(target_of(kind, text) for kind, text in msgspec.json.decode(json, type=list[tuple[str, str]]))


def json_of_terms(terms: DomainTerms) -> str:
    """Write the terms of a domain."""
    return msgspec.json.encode(terms).decode()


def terms_of(json: str) -> DomainTerms:
    """Read the terms of a domain; keys that a newer release may have written are left alone. Errors: StoreDamaged."""
    try:
        return msgspec.json.decode(json, type=DomainTerms)
    except msgspec.DecodeError as error:
        raise StoreDamaged("The terms of a domain cannot be read", cause=str(error)) from error
