"""What an address may be called and have, when it is asked for by those who administer a domain.

Spec: reference forwardemail 4.8 (validation); RFC 2142 (names that a domain's administrators answer for).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import CATCH_ALL, AliasKind, Target
from mailstead.model.errors import BadAddress, PolicyRefused
from mailstead.policy.domain_terms import octets_of
from mailstead.policy.names import INVISIBLE
from mailstead.policy.patterns import compiled, pattern_name
from mailstead.policy.targets import SAME_LOCAL_PART, target_key

LABELS_MAX: Final = 50
LABEL_CHARACTERS_MAX: Final = 150
QUOTA_OCTETS_MAX: Final = 100 << 30
RETENTION_DAYS_MAX: Final = 365
SENDING_LIMIT_MAX: Final = 1_000_000
VACATION_SUBJECT_CHARACTERS_MAX: Final = 100
VACATION_MESSAGE_CHARACTERS_MAX: Final = 1000
KEY_CHARACTERS_MAX: Final = 100_000
"""Of an OpenPGP key or an S/MIME certificate."""
PASSWORD_CHARACTERS_MAX: Final = 128
CATCH_ALL_LABEL: Final = "catch-all"

_ADMINISTRATIVE: Final = """
abuse accounts admin administrator administrators admins amazonses api autoconfig autodiscover billing ceo cert
certadmin certmaster contact dmarc ftp help helpdesk host hostmaster imap info it legal list list-request mail
mailadmin mailer-daemon mailerdaemon majordomo marketing mis moderator mta-sts news noc no-reply noreply nobody
owner pop pop3 postmaster privacy root sales security server smtp ssladmin ssladministrator sslwebmaster support
sysadmin system trouble usenet uucp webmail webmaster www
"""
ADMINISTRATIVE: Final = frozenset(_ADMINISTRATIVE.split())
"""Spec: RFC 2142; names to which authorities for certificates write, and what strangers take for the server's voice."""

_FLAGGED: Final = re.compile(r"/.+/[a-z]*", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class VacationWishes:
    """What is asked for a vacation; None: as it is."""

    is_enabled: bool | None = None
    start: datetime | None = None
    end: datetime | None = None
    subject: str | None = None
    message: str | None = None
    clears_start: bool = False
    clears_end: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressWishes:
    """What is asked for an address; None: as it is, or as it is by default."""

    name: str | None = None
    recipients: tuple[str, ...] | None = None
    description: str | None = None
    labels: tuple[str, ...] | None = None
    has_recipient_verification: bool | None = None
    is_enabled: bool | None = None
    error_code_if_disabled: int | None = None
    has_imap: bool | None = None
    has_pgp: bool | None = None
    public_key: str | None = None
    has_smime: bool | None = None
    smime_certificate: str | None = None
    has_wkd_disabled: bool | None = None
    max_quota: str | None = None
    """``1 GB``; empty or ``0``: none."""
    retention_days: int | None = None
    sending_limit: int | None = None
    """-1: the server's setting."""
    vacation: VacationWishes | None = None
    is_masked: bool = False
    """Made up for one correspondent; of new aliases."""
    is_override: bool = False
    """The mailbox goes with its mail, if that is what the change means."""


def normal_name(text: str, domain: str) -> str:
    """Give the local part that a text asks for: a name, ``*``, or ``/expression/``.

    Errors: BadAddress; PolicyRefused, for names that nobody may have.
    """
    name = unicodedata.normalize("NFC", text.strip())
    if name.startswith("/") and _FLAGGED.fullmatch(name):
        pattern = pattern_name(name)
        compiled(pattern)
        return pattern
    name = name.lower()
    if name and not name.strip("*"):
        return CATCH_ALL
    if "+" in name:
        raise PolicyRefused("An alias has no + in its name: what stands behind a + is told apart by itself")
    if name.startswith("!"):
        raise PolicyRefused("An alias does not begin with !; is_enabled switches it off")
    if any(unicodedata.category(character) in INVISIBLE for character in name):
        raise PolicyRefused("An alias has no characters in its name that nobody sees")
    suffix = f"@{domain}"
    local_part = Address.parse(name.removesuffix(suffix) + suffix).local_part
    if local_part.startswith("/") and local_part.endswith("/"):
        raise BadAddress("A regular expression stands between slashes, as /^sales-(.+)$/")
    return local_part


def kind_of(local_part: str) -> AliasKind:
    """Give what kind a local part makes an alias."""
    if local_part == CATCH_ALL:
        return AliasKind.CATCH_ALL
    return AliasKind.PATTERN if len(local_part) > 2 and local_part[0] == local_part[-1] == "/" else AliasKind.EXACT


def check_for_members(local_part: str, restricted: Iterable[str]) -> None:
    """Check that somebody who does not administer the domain may have a name. Errors: PolicyRefused."""
    if kind_of(local_part) is not AliasKind.EXACT:
        raise PolicyRefused("Only administrators of the domain make a catch-all or a regular expression")
    plain = local_part.casefold().replace(".", "").replace("_", "").replace("-", "")
    reserved = {name.casefold().replace("-", "") for name in (*ADMINISTRATIVE, *restricted)}
    if plain in reserved or local_part.casefold() in {name.casefold() for name in restricted}:
        raise PolicyRefused(f"Only administrators of the domain may give away the name {local_part}")


def labels_of(labels: Iterable[str], kind: AliasKind) -> tuple[str, ...]:
    """Give labels in order, each once; those of a catch-all say that it is one. Errors: PolicyRefused."""
    distinct = dict.fromkeys(label.strip() for label in labels if label.strip())
    if kind is AliasKind.CATCH_ALL:
        distinct = {CATCH_ALL_LABEL: None} | distinct
    if len(distinct) > LABELS_MAX:
        raise PolicyRefused(f"An alias has at most {LABELS_MAX} labels")
    if any(len(label) > LABEL_CHARACTERS_MAX or not label.isprintable() for label in distinct):
        raise PolicyRefused(f"A label has at most {LABEL_CHARACTERS_MAX} printable characters")
    return tuple(distinct)


def quota_octets(text: str) -> int | None:
    """Read a quota; None where there is none. Errors: PolicyRefused."""
    if text.strip() in {"", "0"}:
        return None
    try:
        octets = octets_of(text.strip())
    except ValueError as error:
        raise PolicyRefused(f"max_quota is {error}") from None
    if octets > QUOTA_OCTETS_MAX:
        raise PolicyRefused("max_quota is at most 100 GB")
    return octets or None


def check_mailbox(kind: AliasKind, wishes: AddressWishes) -> None:
    """Check what only a plain name may have. Errors: PolicyRefused."""
    if kind is AliasKind.EXACT:
        return
    if wishes.has_imap:
        raise PolicyRefused("A catch-all or a regular expression has no mailbox: IMAP needs an alias with a plain name")
    if wishes.vacation is not None and wishes.vacation.is_enabled:
        raise PolicyRefused("A catch-all or a regular expression has no vacation responder")
    if kind is AliasKind.CATCH_ALL and wishes.is_enabled is False:
        raise PolicyRefused("A catch-all cannot be disabled; delete it")


def check_recipients(texts: Iterable[str], targets: Sequence[Target], *, are_verified: bool) -> None:
    """Check that each recipient stands there once, and that those to be verified are addresses.

    Errors: PolicyRefused.
    """
    keys = [target_key(target) for target in targets]
    for text, key in zip(texts, keys, strict=True):
        if keys.count(key) > 1:
            raise PolicyRefused(f"Recipients are unique; {text.strip()} stands there twice")
    if are_verified and not all(isinstance(one, Address) and one.local_part != SAME_LOCAL_PART for one in targets):
        raise PolicyRefused("With recipient verification all recipients are mail addresses")


def check_numbers(wishes: AddressWishes) -> None:
    """Errors: PolicyRefused."""
    if wishes.retention_days is not None and not 0 <= wishes.retention_days <= RETENTION_DAYS_MAX:
        raise PolicyRefused(f"retention is a number of days between 0 and {RETENTION_DAYS_MAX}")
    if wishes.sending_limit is not None and not -1 <= wishes.sending_limit <= SENDING_LIMIT_MAX:
        raise PolicyRefused(f"smtp_limit is a number between 0 and {SENDING_LIMIT_MAX}")
    if any(len(text or "") > KEY_CHARACTERS_MAX for text in (wishes.public_key, wishes.smime_certificate)):
        raise PolicyRefused(f"A key or certificate has at most {KEY_CHARACTERS_MAX} characters")
    vacation = wishes.vacation
    if vacation is None:
        return
    if len(vacation.subject or "") > VACATION_SUBJECT_CHARACTERS_MAX:
        raise PolicyRefused(f"The subject of a vacation has at most {VACATION_SUBJECT_CHARACTERS_MAX} characters")
    if len(vacation.message or "") > VACATION_MESSAGE_CHARACTERS_MAX:
        raise PolicyRefused(f"The message of a vacation has at most {VACATION_MESSAGE_CHARACTERS_MAX} characters")
    if vacation.start and vacation.end and vacation.end <= vacation.start:
        raise PolicyRefused("A vacation starts before it ends")


def check_new_password(text: str) -> None:
    """Errors: PolicyRefused. Spec: reference forwardemail 4.8 (generate-password)."""
    if len(text) > PASSWORD_CHARACTERS_MAX:
        raise PolicyRefused(f"new_password has at most {PASSWORD_CHARACTERS_MAX} characters")
    if text != text.strip():
        raise PolicyRefused("new_password does not begin or end with a blank")
    if '"' in text or "'" in text:
        raise PolicyRefused("new_password has no quotation marks")
