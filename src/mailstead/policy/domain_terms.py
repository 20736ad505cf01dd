"""What can be chosen for a domain: each term with its help, read from text and checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
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

LOAD_MAX: Final = 10_000
LINE_CHARACTERS_MAX: Final = 500
LANGUAGES: Final = ("en", "ru", "fr", "es", "ko")

_SMARTHOST_PORT: Final = 587
_TURN_PORT: Final = 3478
_SIZE: Final = re.compile(r"([0-9]{1,15}) ?([KMGTkmgt]?)(?:i?[Bb])?", re.ASCII)
_YES_NO: Final = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,200}")


@dataclass(frozen=True, slots=True)
class Term:
    """One term: what it means, and how its text is read. `read` raises ValueError with what is expected."""

    help: str
    read: Callable[[str], Any]
    is_secret: bool = False


def servers_own(values: Iterable[str]) -> list[str]:
    """Give those of the terms that only administrators of the server change."""
    return [name for name in values if name in SERVERS_OWN]


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
    changed = replace(terms, **changes)
    if changed.username_length_min > changed.username_length_max:
        raise BadSettings("username_length_min: no more than username_length_max")
    return changed


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
        return ("*." if entry.startswith("*.") else "") + normal_domain(entry.removeprefix("*."))


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


def octets_of(text: str) -> int:
    """Read a size: octets, or with a unit (``500M``, ``1G``, ``30 MiB``; all of 1024). Errors: ValueError."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError("a number of octets, or one with K, M, G or T behind it, such as 500M")
    return int(found[1]) << 10 * " KMGT".index((found[2] or " ").upper())


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text[:9]) <= most:
            raise ValueError(f"a number between {least} and {most}")
        return int(text)

    return read


def _load(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < LOAD_MAX:
        raise ValueError("a number above 0, such as 5")
    return value


def _tokens(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_token(entry) for entry in _entries(text)))


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(
            f"@{normal_domain(entry[1:])}" if entry.startswith("@") else Address.parse(entry).key
            for entry in _entries(text)
        )
    )


def _url(text: str) -> str:
    if _token(text) and not text.startswith(("https://", "http://")):
        raise ValueError("an address that begins with https://")
    return text


def _turn_server(text: str) -> str:
    if not text:
        return ""
    target = read_target(text, port=_TURN_PORT)
    if not isinstance(target, HostTarget):
        raise ValueError("host:port, or nothing")  # noqa: TRY004  # the text is wrong, not its type
    return str(target)


def _line(text: str) -> str:
    if len(text) > LINE_CHARACTERS_MAX or not (text.isprintable() or not text):
        raise ValueError(f"up to {LINE_CHARACTERS_MAX} characters on one line")
    return text


def _languages(text: str) -> tuple[str, ...]:
    entries = tuple(dict.fromkeys(entry.lower() for entry in _entries(text)))
    if not entries or any(entry not in LANGUAGES for entry in entries):
        raise ValueError(f"some of {', '.join(LANGUAGES)}")
    return entries


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
    "opens_accounts": Term("A log-in with a name that nobody has makes an account.", _boolean),
    "invite_tokens": Term("If any, the password of a new account begins with one of them.", _tokens, is_secret=True),
    "username_length_min": Term("Fewest characters of a new account's name.", _number(1, 64)),
    "username_length_max": Term("Most characters of a new account's name.", _number(1, 64)),
    "password_length_min": Term("Fewest characters of a new account's password.", _number(8, 1000)),
    "load_max": Term("No new accounts above this 1-minute load average.", _load),
    "memory_available_octets_min": Term("No new accounts below so much available memory.", octets_of),
    "disk_free_octets_min": Term("No new accounts below so much free disk space.", octets_of),
    "account_quota_octets": Term("Quota of new accounts; 0: the server's setting.", octets_of),
    "owners_forward": Term("Owners of accounts say themselves where their mail is sent on to.", _boolean),
    "owner_aliases_max": Term("Aliases that each account's owner makes himself; 0: none.", _number(0, 1000)),
    "client_tls_version_min": Term("Oldest TLS version over which people log in: 1.2, 1.3.", _one_of("1.2", "1.3")),
    "requires_encryption": Term("Refuse mail that is not OpenPGP-encrypted, out and in.", _boolean),
    "cleartext_senders": Term("Addresses of the domain that may send clear text all the same.", _addresses),
    "cleartext_recipients": Term("Addresses, or @domain, that may get clear text all the same.", _addresses),
    "cleartext_accounts": Term("Addresses of the domain that take clear text from others all the same.", _addresses),
    "requires_aligned_dkim": Term("Incoming mail needs a valid signature of From's domain, and no more.", _boolean),
    "hides_metadata": Term("Subjects and traces do not leave with mail, nor are stored with it.", _boolean),
    "message_octets_max": Term("Largest message; 0: the server's setting.", octets_of),
    "sends_per_minute": Term("Messages that an account may send in a minute; 0: any number.", _number(0, 1_000_000)),
    "send_burst": Term("Messages that an account may send at once.", _number(1, 1_000_000)),
    "requires_tls_outbound": Term("Send only to servers with a valid certificate.", _boolean),
    "uses_mxdeliv": Term("Send over HTTPS (/mxdeliv) where it is taken.", _boolean),
    "queue_kept_days": Term("Days for which delivery is tried; 0: the server's setting.", _number(0, 30)),
    "mails_kept_days": Term("Days after which mails are removed; 0: never.", _number(0, 36500)),
    "large_mails_kept_days": Term("The same for large mails that were seen; 0: as the others.", _number(0, 36500)),
    "idle_accounts_kept_days": Term(
        "Days without log-in after which an account is removed; 0: never.", _number(0, 36500)
    ),
    "clears_full_mailboxes": Term("Remove the oldest mails from 75 % of the quota on, down to 70 %.", _boolean),
    "is_chatmail": Term("Be a chatmail relay for Delta Chat: XCHATMAIL, push, invitation.", _boolean),
    "iroh_relay": Term("Address of the relay for real-time applications; or nothing.", _url),
    "turn_server": Term("host:port of the TURN server for calls; or nothing.", _turn_server),
    "www_folder": Term("Folder whose pages take the place of the built-in ones.", _line),
    "languages": Term("Languages of the pages, the first by default: en, ru, fr, es, ko.", _languages),
    "privacy_postal": Term("Postal address on the privacy page.", _line),
    "privacy_mail": Term("Mail address on the privacy page, told to clients, too.", _line),
    "privacy_pdo": Term("Privacy officer on the privacy page.", _line),
    "privacy_supervisor": Term("Supervisory authority on the privacy page.", _line),
}
"""In the order of `DomainTerms`; a test holds the two together."""

SERVERS_OWN: Final = frozenset(
    {
        # where the server connects to, and as whom
        "smarthost",
        "smarthost_username",
        "smarthost_password",
        "smarthost_security",
        "source_ipv4",
        "source_ipv6",
        "ip_version",
        "uses_mxdeliv",
        # its files, and its secrets with others
        "www_folder",
        "iroh_relay",
        "turn_server",
        # what it has to give
        "opens_accounts",
        "load_max",
        "memory_available_octets_min",
        "disk_free_octets_min",
        "account_quota_octets",
        "message_octets_max",
        "sends_per_minute",
        "send_burst",
        "queue_kept_days",
        "is_chatmail",
    }
)
"""Terms that are not a domain administrator's to change: they reach beyond the domain, or are what bounds it."""
