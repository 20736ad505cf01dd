"""What does not stay: old mails, large mails, the oldest of a full mailbox, as the terms of their domain say.

Accounts may have a retention of their own, and folders too (`usecases.folders`): the shortest of them counts.

Ages count from the day on which a mail was stored, not from dates that authors or clients claim. Days are those of UTC:
a mail stays at least as long as the terms say, and up to a day longer.

Spec: reference chatmail, sections 6.3 (quota) and 9.1 (expiry).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mailstead.model.directory import Account, DomainTerms
from mailstead.model.errors import AccountLocked, MailsteadError
from mailstead.model.flags import SEEN
from mailstead.model.ids import Uid
from mailstead.model.mailbox import INBOX, Snapshot
from mailstead.model.message import Wanted
from mailstead.model.search import And, DateField, HasFlag, OnDays, Or, SearchKey, SizeBetween
from mailstead.model.uidset import UidSet
from mailstead.ports.storage import Accounts, AccountStore, Storage
from mailstead.telemetry import log, metrics
from mailstead.usecases.folders import retention_days

LARGE_OCTETS: Final = 200_000
FULL_PERCENT: Final = 75
"""Of the quota: from here on the oldest mails go …"""
CLEARED_PERCENT: Final = 70
"""… until no more is left. Both lie below what makes Delta Chat warn (80 and 95)."""
LOOKED_AT: Final = 200
"""Mails looked at together."""
SPARED: Final = timedelta(hours=24)
"""Younger mails are never cleared: whoever floods a mailbox shall fill it, not empty it."""

_log = log.get("expiry")


@dataclass(slots=True)
class Expired:
    """What a round has removed, or would."""

    account_count: int = 0
    """Accounts looked at."""
    mail_count: int = 0
    octets: int = 0
    failed_count: int = 0
    """Accounts that could not be looked at; they come round again."""


class Expiry:
    """Removes what has run out. All verbs may run at any time and in any process: what is gone is gone."""

    def __init__(self, storage: Storage) -> None:
        self._directory = storage.directory
        self._accounts: Final[Accounts] = storage.accounts
        self._memory = storage.memory
        self._people = storage.people

    async def daily(self, now: datetime) -> Expired | None:
        """Go round once a day, whichever process asks first; None: it has been done. Errors: of the store."""
        day = str(now.date())
        if await self._memory.remember_first("expiry", day, b"", now, now + timedelta(days=2)) is not None:
            return None
        expired = await self.once(now)
        if expired.mail_count:
            _log.info("mails have run out", count=expired.mail_count, accounts=expired.account_count)
        return expired

    async def once(self, now: datetime, *, removes: bool = True) -> Expired:
        """Go round all accounts whose mail does not stay for ever; without `removes` only count."""
        expired = Expired()
        for domain in await self._directory.domains():
            for account in await self._directory.accounts(domain.name):
                try:
                    await self._expire(account, domain.terms, now, expired, removes=removes)
                except AccountLocked:
                    continue  # until somebody opens it
                except MailsteadError as error:
                    expired.failed_count += 1
                    _log.warning("an account was not looked at", account_id=account.account_id, error=error.public_text)
        return expired

    async def clear(self, account: Account, now: datetime) -> int:
        """Remove the oldest mails from a mailbox that is nearly full, if its domain wants that; gives how many.

        Errors: of the store.
        """
        domain = await self._directory.domain(account.address.domain)
        if domain is None or not domain.terms.clears_full_mailboxes:
            return 0
        return await self._clear(self._accounts.of(account.account_id), now, Expired(), removes=True)

    async def _expire(
        self, account: Account, terms: DomainTerms, now: datetime, expired: Expired, *, removes: bool
    ) -> None:
        store = self._accounts.of(account.account_id)
        entry = await self._people.address_entry_of_account(account.account_id)
        common = _old(terms, entry.profile.retention_days if entry is not None else 0, now)
        of_folders = await retention_days(store)
        if not (common or of_folders or terms.clears_full_mailboxes):
            return
        expired.account_count += 1
        for mailbox in await store.mailboxes() if common or of_folders else ():
            days = of_folders.get(mailbox.mailbox_id, 0)
            key = _joined([*common, _stored_before(now, days)] if days else common)
            if key is None or not mailbox.message_count:
                continue
            uids = await store.search(mailbox.mailbox_id, key)
            if not uids:
                continue
            found = await store.fetch(mailbox.mailbox_id, uids, Wanted.NARROW)
            expired.mail_count += len(found)
            expired.octets += sum(record.size_octets for record in found)
            if removes:
                await store.expunge(mailbox.mailbox_id, uids, only_deleted=False)
        if terms.clears_full_mailboxes:
            await self._clear(store, now, expired, removes=removes)

    async def _clear(self, store: AccountStore, now: datetime, expired: Expired, *, removes: bool) -> int:
        usage = await store.usage()
        if not usage.quota_octets or usage.size_octets * 100 < usage.quota_octets * FULL_PERCENT:
            return 0
        excess = usage.size_octets - usage.quota_octets * CLEARED_PERCENT // 100
        snapshot = await store.snapshot(INBOX)
        going, freed = await _oldest(store, snapshot, excess, int((now - SPARED).timestamp()))
        if not going:
            return 0
        expired.mail_count += len(going)
        expired.octets += freed
        if removes:
            await store.expunge(snapshot.mailbox.mailbox_id, UidSet.of(going), only_deleted=False)
            metrics.count_as_relay("quota_expire_runs")
            metrics.count_as_relay("quota_expire_removed_files", by=len(going))
        return len(going)


async def _oldest(
    store: AccountStore, snapshot: Snapshot, excess_octets: int, spared_from_s: int
) -> tuple[list[Uid], int]:
    """Give the mails that go first, and their octets. UIDs ascend as mails were stored, so few are looked at."""
    going: list[Uid] = []
    freed = 0
    uids = list(snapshot.uids)
    for at in range(0, len(uids), LOOKED_AT):
        wanted = UidSet.of(uids[at : at + LOOKED_AT])
        for record in await store.fetch(snapshot.mailbox.mailbox_id, wanted, Wanted.NARROW):
            if freed >= excess_octets or record.savedate_s > spared_from_s:
                return going, freed
            going.append(record.uid)
            freed += record.size_octets
    return going, freed


def _old(terms: DomainTerms, kept_days: int, now: datetime) -> list[SearchKey]:
    """Give what a mail is that has run out, one key for each reason; `kept_days`: the account's own, 0 for none."""
    keys = [_stored_before(now, days) for days in (terms.mails_kept_days, kept_days) if days]
    if terms.large_mails_kept_days:
        # Seen: whoever has been away longer still finds what he was sent.
        large = (SizeBetween(above=LARGE_OCTETS), HasFlag(SEEN), _stored_before(now, terms.large_mails_kept_days))
        keys.append(And(large))
    return keys


def _joined(keys: Iterable[SearchKey]) -> SearchKey | None:
    alternatives = tuple(keys)
    if not alternatives:
        return None
    return alternatives[0] if len(alternatives) == 1 else Or(alternatives)


def _stored_before(now: datetime, days: int) -> SearchKey:
    return OnDays(DateField.SAVED, None, (now - timedelta(days=days)).date().toordinal())
