"""The people and mail of a chatmail relay move in: its tree of Maildirs, one folder for each address.

Run again, it goes on where it stopped: an account that is there stays as it is, and mail that is there is not doubled.

Spec: reference chatmail, section 4.2 (what is stored per address).
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import Account, Domain
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadAddress, BadImport, MailsteadError
from mailstead.policy.domain_terms import LIST_ENTRIES_MAX
from mailstead.ports.storage import Storage
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.domains import Domains
from mailstead.usecases.imports import ImportReport, Imports, Skipped
from mailstead.usecases.last_log_ins import LastLogIns
from mailstead.usecases.maildirs import is_maildir
from mailstead.usecases.push_tokens import PushTokens

SKIPPED_SHOWN_MAX: Final = 100
_FILE_OCTETS_MAX: Final = 1024 * 1024
_PASSWORD, _METADATA, _ENFORCES, _DISABLED = "password", "metadata.json", "enforceE2EEincoming", "DISABLED"

Progress = Callable[[int, int], None]
"""Told how many addresses are done of how many."""


@dataclass(slots=True)
class VmailReport:
    """What has moved in; grows while it runs."""

    account_count: int = 0
    """Made now."""
    known_count: int = 0
    """There before."""
    imported_count: int = 0
    duplicate_count: int = 0
    token_count: int = 0
    clear_text_count: int = 0
    """Addresses that took clear text on the relay; they are added to the domain's cleartext_accounts."""
    skipped_count: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    """The first of them: addresses and messages, with the reason."""

    def skip(self, name: str, reason: str) -> None:
        """Note what stays out."""
        self.skipped_count += 1
        if len(self.skipped) < SKIPPED_SHOWN_MAX:
            self.skipped.append(Skipped(name, reason))


class VmailImports:
    """The verb `run`; only for administrators (NotAllowed)."""

    def __init__(
        self,
        storage: Storage,
        domains: Domains,
        accounts: Accounts,
        imports: Imports,
        push_tokens: PushTokens,
        last_log_ins: LastLogIns,
    ) -> None:
        self._directory = storage.directory
        self._domains = domains
        self._accounts = accounts
        self._imports = imports
        self._push_tokens = push_tokens
        self._last_log_ins = last_log_ins

    async def run(
        self,
        actor: Actor,
        source: Path,
        domain: Domain,
        *,
        changes: bool = True,
        progress: Progress | None = None,
        report: VmailReport | None = None,
    ) -> VmailReport:
        """Take over every address of the domain below `source`; without `changes` only count them.

        What cannot be taken over is noted in the report and does not stop the rest.
        Errors: NotAllowed, BadImport; of the store.
        """
        actor.must_be_admin()
        report = report or VmailReport()
        folders = await asyncio.to_thread(_folders, source)
        taking: list[str] = []
        for done, folder in enumerate(folders, 1):
            try:
                address = await self._take_over(actor, folder, domain, report, changes=changes)
                if address is not None and not (folder / _ENFORCES).exists():
                    taking.append(address.key)
            except (BadAddress, BadImport, OSError) as error:
                report.skip(folder.name, getattr(error, "public_text", str(error)))
            if progress is not None:
                progress(done, len(folders))
        report.clear_text_count = len(taking)
        if taking and changes:
            await self._let_clear_text_in(actor, domain, taking, report)
        return report

    async def _let_clear_text_in(self, actor: Actor, domain: Domain, taking: list[str], report: VmailReport) -> None:
        """Let addresses take clear text, as they did on the relay."""
        names = dict.fromkeys([*domain.terms.cleartext_accounts, *taking])
        listed = list(names)[:LIST_ENTRIES_MAX]
        await self._domains.set_terms(actor, domain.name, {"cleartext_accounts": ",".join(listed)})
        for name in list(names)[LIST_ENTRIES_MAX:]:
            report.skip(name, f"It took clear text there; here at most {LIST_ENTRIES_MAX} addresses of a domain do")

    async def _take_over(
        self, actor: Actor, folder: Path, domain: Domain, report: VmailReport, *, changes: bool
    ) -> Address | None:
        """Give the address, if it is an account here now, or would be."""
        address = Address.parse(folder.name)
        if address.domain != domain.name:
            report.skip(folder.name, f"It is no address of {domain.name}")
            return None
        hashed, day = await asyncio.to_thread(_password, folder)
        if not hashed:
            report.skip(folder.name, "It has no password, so nobody could log in")
            return None
        found = await self._directory.find(address)
        if found is None and not changes:
            report.account_count += 1
            return address
        if found is None:
            try:
                found = await self._accounts.adopt(
                    actor,
                    address,
                    hashed,
                    domain.terms.account_quota_octets or None,
                    is_enabled=not (folder / _DISABLED).exists(),
                )
            except MailsteadError as error:
                if error.is_temporary:
                    raise
                report.skip(folder.name, error.public_text)
                return None
            report.account_count += 1
            await self._last_log_ins.set(found.account_id, day)
        else:
            report.known_count += 1
        if not isinstance(found, Account):
            report.skip(folder.name, "An alias here has that address")
            return None
        if not changes:
            return address
        for token in await asyncio.to_thread(_tokens, folder):
            try:
                await self._push_tokens.add(found.account_id, token)
                report.token_count += 1
            except MailsteadError as error:
                report.skip(folder.name, f"A device token: {error.public_text}")
        if await asyncio.to_thread(is_maildir, folder):
            await self._import_mail(found, folder, report)
        return address

    async def _import_mail(self, account: Account, folder: Path, report: VmailReport) -> None:
        mails = ImportReport()
        owner = Actor(account.account_id, account.address)
        try:
            await self._imports.run(owner, folder, foreign_format="maildir", skips_duplicates=True, report=mails)
        finally:
            report.imported_count += mails.imported_count
            report.duplicate_count += mails.duplicate_count
            for name, reason in mails.skipped:
                report.skip(name, reason)


def _folders(source: Path) -> Sequence[Path]:
    """Errors: BadImport."""
    try:
        with os.scandir(source) as listed:
            found = sorted(
                Path(each.path) for each in listed if each.is_dir(follow_symlinks=False) and "@" in each.name
            )
    except OSError as error:
        raise BadImport(f"{source} cannot be read: {error.strerror}") from None
    if not found:
        raise BadImport(f"{source} holds no folder named like an address; a relay's is /home/vmail/mail/DOMAIN")
    return found


def _password(folder: Path) -> tuple[str, date]:
    """Give the hash, and the day of the last log-in, which is that of the file. Errors: OSError."""
    octets, moment_s = _read(folder / _PASSWORD)
    return octets.decode("utf-8", "replace").strip(), datetime.fromtimestamp(moment_s, UTC).date()


def _tokens(folder: Path) -> list[bytes]:
    """Give the tokens of devices; nothing where the file is none or says something else."""
    try:
        found = json.loads(_read(folder / _METADATA)[0] or b"{}")
        tokens = found.get("devicetoken", [])
    except (OSError, ValueError, AttributeError):
        return []
    return [token.encode() for token in tokens if isinstance(token, str)] if isinstance(tokens, dict | list) else []


def _read(path: Path) -> tuple[bytes, float]:
    """Read a small file, no link and no device; nothing and now, where there is none. Errors: OSError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return b"", datetime.now(UTC).timestamp()
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _FILE_OCTETS_MAX:
            raise OSError(f"{path.name} is not a small file")
        return file.read(_FILE_OCTETS_MAX), status.st_mtime
