"""What can be chosen for a domain: each term with its help, read from text and checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any, Final

from mailstead.model.address import Address, normal_domain
from mailstead.model.directory import DomainTerms, HostTarget
from mailstead.model.errors import BadAddress, BadSettings, BadTarget
from mailstead.policy.targets import read_target

TARGETS_PER_ALIAS_MAX: Final = 500
LIST_ENTRIES_MAX: Final = 1000
WEBHOOK_KEY_CHARACTERS_MIN: Final = 32

_SMARTHOST_PORT: Final = 587
_YES_NO: Final = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,200}")


@dataclass(frozen=True, slots=True)
class Term:
    """One term: what it means, and how its text is read. `read` raises ValueError with what is expected."""

    help: str
    read: Callable[[str], Any]
    is_secret: bool = False


def changed_terms(terms: DomainTerms, values: Mapping[str, str]) -> DomainTerms:
    """Give the terms with some of them changed. Errors: BadSettings, with the name of the term and what is expected."""
    changes: dict[str, Any] = {}
    for name, text in values.items():
        term = TERMS.get(name)
        if term is None:
            near = get_close_matches(name, TERMS, 1)
            advice = f"; did you mean {near[0]}?" if near else f"; terms are {', '.join(TERMS)}"
            raise BadSettings(f"A domain has no term {name}{advice}")
        try:
            changes[name] = term.read(text.strip())
        except (ValueError, BadAddress, BadTarget) as error:
            expected = error.public_text if isinstance(error, BadAddress | BadTarget) else error
            raise BadSettings(f"{name}: {expected}") from None
    return replace(terms, **changes)


def text_of_term(value: object) -> str:
    """Write a term's value as `changed_terms` reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _boolean(text: str) -> bool:
    if text.lower() not in _YES_NO:
        raise ValueError("yes or no")
    return _YES_NO[text.lower()]


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return text

    return read


def _token(text: str) -> str:
    if text and not _TOKEN.fullmatch(text):
        raise ValueError("up to 200 printable ASCII characters without spaces, or nothing")
    return text


def _webhook_key(text: str) -> str:
    if len(_token(text)) < WEBHOOK_KEY_CHARACTERS_MIN:
        raise ValueError(f"at least {WEBHOOK_KEY_CHARACTERS_MIN} characters")
    return text


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= TARGETS_PER_ALIAS_MAX:
        raise ValueError(f"a number between 1 and {TARGETS_PER_ALIAS_MAX}")
    return int(text)


def _entries(text: str) -> list[str]:
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if len(entries) > LIST_ENTRIES_MAX:
        raise ValueError(f"at most {LIST_ENTRIES_MAX} entries")
    return entries


def _senders(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_sender(entry) for entry in _entries(text)))


def _sender(entry: str) -> str:
    if "@" in entry:
        return Address.parse(entry).key
    try:
        return str(ip_network(entry, strict=False))
    except ValueError:
        return normal_domain(entry)


def _extensions(text: str) -> tuple[str, ...]:
    entries = [entry.lower().removeprefix(".") for entry in _entries(text)]
    if any(not entry.isalnum() for entry in entries):
        raise ValueError("extensions with commas between them, such as exe,scr")
    return tuple(dict.fromkeys(entries))


def _smarthost(text: str) -> str:
    if not text:
        return ""
    target = read_target(text, port=_SMARTHOST_PORT)
    if not isinstance(target, HostTarget):
        raise ValueError("host:port, or nothing")  # noqa: TRY004  # the text is wrong, not its type
    return str(target)


def _cleared(text: str) -> str:
    if text:
        raise ValueError("give it with --smarthost-password-stdin; here it can only be emptied")
    return ""


def _ipv4(text: str) -> str:
    return str(IPv4Address(text)) if text else ""


def _ipv6(text: str) -> str:
    return str(IPv6Address(text)) if text else ""


TERMS: Final[dict[str, Term]] = {
    "uses_dns_rules": Term("Read aliases also from forward-email= TXT records.", _boolean),
    "verification": Term("Value that the TXT record forward-email-site-verification= must have; or nothing.", _token),
    "serves_subdomains": Term("Take mail for subdomains, too, as if it were for this domain.", _boolean),
    "requires_tls_inbound": Term("Refuse mail in clear text.", _boolean),
    "allowlist": Term("Addresses, domains and IP networks spared heuristics and greylisting.", _senders),
    "denylist": Term("Addresses, domains and IP networks whose mail is refused.", _senders),
    "refused_extensions": Term("Extensions of attachments refused here, beside the server's.", _extensions),
    "webhook_key": Term("Key that signs what is posted to webhooks.", _webhook_key, is_secret=True),
    "targets_per_alias_max": Term("Targets that an alias may have.", _count),
    "keeps_trace": Term("Keep for some days where each message went.", _boolean),
    "mta_sts_mode": Term("Of our MTA-STS policy: enforce, testing, none.", _one_of("enforce", "testing", "none")),
    "smarthost": Term("host:port of the relay for outgoing mail; nothing: directly.", _smarthost),
    "smarthost_username": Term("Log-in at it.", _token),
    "smarthost_password": Term("Password at it.", _cleared, is_secret=True),
    "smarthost_security": Term("How it is reached: starttls, tls, none.", _one_of("starttls", "tls", "none")),
    "source_ipv4": Term("IPv4 address to connect from; nothing: the server's setting.", _ipv4),
    "source_ipv6": Term("IPv6 address to connect from; nothing: the server's setting.", _ipv6),
    "ip_version": Term("IP version of outgoing connections: auto, 4, 6.", _one_of("auto", "4", "6")),
}
"""In the order of `DomainTerms`; a test holds the two together."""
