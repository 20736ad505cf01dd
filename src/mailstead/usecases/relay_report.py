"""How much a relay holds and how many use it: the numbers of the relay's own report, under its own names.

Spec: reference chatmail, section 9.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from mailstead.model.errors import MailsteadError
from mailstead.model.message import Wanted
from mailstead.policy.openings import TEST_PREFIX
from mailstead.ports.storage import AccountStore, Storage
from mailstead.telemetry import metrics
from mailstead.usecases.last_log_ins import LastLogIns

MIN_SIZES: Final = (0, 102_400, 524_288, 1_048_576, 2_097_152, 5_242_880, 10_485_760)
ACTIVE_DAYS: Final = (1, 10, 30, 40, 80, 100, 150)


@dataclass(slots=True)
class RelayReport:
    """Sums over all accounts of the relays of this server."""

    account_count: int = 0
    test_account_count: int = 0
    active: dict[int, int] = field(default_factory=lambda: dict.fromkeys(ACTIVE_DAYS, 0))
    """Days → accounts that were logged in to within them, without those of tests."""
    message_octets: dict[int, int] = field(default_factory=lambda: dict.fromkeys(MIN_SIZES, 0))
    """Least size → octets of the messages that have it."""
    message_count: dict[int, int] = field(default_factory=lambda: dict.fromkeys(MIN_SIZES, 0))
    failed_count: int = 0
    """Accounts that could not be looked at."""

    def values(self) -> Mapping[str, Mapping[str, int]]:
        """Give them under the relay's names: metric → label's value → number."""
        user_count = self.account_count - self.test_account_count
        return {
            "chatmail_storage_bytes": {"messages": self.message_octets[0], "total": self.message_octets[0]},
            "chatmail_messages_bytes": {str(size): count for size, count in self.message_octets.items()},
            "chatmail_messages_count": {str(size): count for size, count in self.message_count.items()},
            "chatmail_accounts": {"all": self.account_count, "ci": self.test_account_count, "user": user_count},
            "chatmail_accounts_active": {str(days): count for days, count in self.active.items()},
        }


class RelayReports:
    """Counts. Reads every account's list of messages, so once a day is enough."""

    def __init__(self, storage: Storage, last_log_ins: LastLogIns) -> None:
        self._directory = storage.directory
        self._accounts = storage.accounts
        self._memory = storage.memory
        self._last_log_ins = last_log_ins

    async def daily(self, now: datetime) -> RelayReport | None:
        """Count once a day and show it as metrics of this process; None: another one does. Errors: of the store."""
        day = str(now.date())
        if await self._memory.remember_first("relay report", day, b"", now, now + timedelta(days=2)) is not None:
            return None
        report = await self.count(now)
        show(report)
        return report

    async def count(self, now: datetime) -> RelayReport:
        """Count now. Errors: of the store."""
        report, days = RelayReport(), await self._last_log_ins.days(now)
        for domain in await self._directory.domains():
            if not domain.terms.is_chatmail:
                continue
            for account in await self._directory.accounts(domain.name):
                is_test = account.address.local_part.startswith(TEST_PREFIX)
                report.account_count += 1
                report.test_account_count += is_test
                last = days.get(account.account_id)
                if last is not None and not is_test:
                    for limit in ACTIVE_DAYS:
                        report.active[limit] += (now.date() - last).days < limit
                try:
                    await _count_messages(self._accounts.of(account.account_id), report)
                except MailsteadError:
                    report.failed_count += 1
        return report


def show(report: RelayReport) -> None:
    """Set the gauges."""
    for name, values in report.values().items():
        for label, value in values.items():
            metrics.RELAY_GAUGES[name].labels(label).set(value)


async def _count_messages(store: AccountStore, report: RelayReport) -> None:
    for mailbox in await store.mailboxes():
        if not mailbox.message_count:
            continue
        snapshot = await store.snapshot(mailbox.name)
        for record in await store.fetch(snapshot.mailbox.mailbox_id, snapshot.uids, Wanted.NARROW):
            for size in MIN_SIZES:
                if record.size_octets >= size:
                    report.message_octets[size] += record.size_octets
                    report.message_count[size] += 1
