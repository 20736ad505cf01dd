"""What the directory holds: domains, accounts, aliases, credentials."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mailstead.model.address import Address
from mailstead.model.ids import AccountId


@dataclass(frozen=True, slots=True)
class Domain:
    """A mail domain we serve."""

    name: str
    catch_all: Address | None = None
    """Where mail for unknown local parts goes; None refuses it."""


@dataclass(frozen=True, slots=True)
class Account:
    """The owner of a mail store."""

    account_id: AccountId
    address: Address
    """The main address."""
    quota_octets: int | None = None
    is_enabled: bool = True


@dataclass(frozen=True, slots=True)
class Alias:
    """An address that stands for other addresses."""

    address: Address
    targets: tuple[Address, ...]
    """Local accounts or further aliases; foreign targets are kept and refused until relaying exists."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """What is kept of one password: enough to check it, never the password.

    Spec: RFC 9106 (argon2id, PHC string), RFC 5802 §3 and RFC 7677 (SCRAM-SHA-256).
    """

    argon2id: str
    scram_stored_key: bytes
    scram_server_key: bytes


@dataclass(frozen=True, slots=True)
class AppPassword:
    """A further password of an account, for one client."""

    app_password_id: int
    label: str
    scopes: frozenset[str]
    """``imap``, ``smtp``, ``pop3``; empty means all."""
    created_at: datetime
    verifier: Verifier


@dataclass(frozen=True, slots=True)
class Credentials:
    """All passwords of one account. One SCRAM salt per account lets each of them answer the same challenge."""

    account: Account
    scram_salt: bytes
    scram_iteration_count: int
    password: Verifier | None
    app_passwords: tuple[AppPassword, ...] = ()
