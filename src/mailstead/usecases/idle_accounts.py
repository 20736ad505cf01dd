"""Accounts that nobody has used for long: they go with their mail, as the terms of their domain say.

Spec: reference chatmail, section 4.5.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.errors import MailsteadError
from mailstead.ports.storage import Storage
from mailstead.telemetry import log
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.last_log_ins import LastLogIns

_log = log.get("expiry")


class IdleAccounts:
    """Finds them and removes them; only for administrators (NotAllowed)."""

    def __init__(self, storage: Storage, accounts: Accounts, last_log_ins: LastLogIns) -> None:
        self._directory = storage.directory
        self._memory = storage.memory
        self._accounts = accounts
        self._last_log_ins = last_log_ins

    async def daily(self, actor: Actor, now: datetime) -> list[Address]:
        """Go round once a day, whichever process asks first. Errors: NotAllowed; of the store."""
        actor.must_be_admin()
        day = str(now.date())
        if await self._memory.remember_first("idle accounts", day, b"", now, now + timedelta(days=2)) is not None:
            return []
        return await self.once(actor, now)

    async def once(self, actor: Actor, now: datetime, *, removes: bool = True) -> list[Address]:
        """Give the accounts that are idle, removed unless `removes` is False. Errors: NotAllowed; of the store."""
        actor.must_be_admin()
        gone: list[Address] = []
        for domain in await self._directory.domains():
            kept_days = domain.terms.idle_accounts_kept_days
            if not kept_days:
                continue
            accounts = await self._directory.accounts(domain.name)
            for account in await self._last_log_ins.idle(accounts, kept_days, now):
                try:
                    last = await self._last_log_ins.day(account.account_id, now)
                    if last is None or last >= now.date() - timedelta(days=kept_days):
                        continue  # it has come back this moment
                    if removes:
                        await self._accounts.remove(actor, account.address)
                except MailsteadError as error:
                    _log.warning("an idle account stays", account_id=account.account_id, error=error.public_text)
                    continue
                gone.append(account.address)
        if gone and removes:
            _log.info("idle accounts removed", count=len(gone))
        return gone
