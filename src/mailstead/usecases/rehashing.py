"""Hashing main passwords anew, where their hash costs other than those made now: behind the log-in that showed them."""

from __future__ import annotations

import asyncio

from mailstead.model.directory import Credentials, Verifier
from mailstead.model.errors import MailsteadError
from mailstead.model.secret import Secret
from mailstead.ports.storage import Directory
from mailstead.telemetry import log
from mailstead.usecases.passwords import Passwords

_log = log.get("accounts")


class Rehashing:
    """Keeps what is being hashed. `close` waits for it."""

    def __init__(self, directory: Directory, passwords: Passwords) -> None:
        self._directory = directory
        self._passwords = passwords
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Wait for what is being hashed."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def plan(self, credentials: Credentials, verifier: Verifier, secret: Secret) -> None:
        """Hash a password that was just checked, if its hash costs other than those made now. Never waits."""
        if not self._passwords.has_other_cost(verifier):
            return
        task = asyncio.create_task(self.run(credentials, verifier, secret))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def run(self, credentials: Credentials, verifier: Verifier, secret: Secret) -> None:
        """Put the new hash in the place of the old one, if that is there still. Fails never."""
        account = credentials.account
        try:
            domain = await self._directory.domain(account.address.domain)
            if domain is not None and domain.terms.opens_accounts:
                return  # programs chose those passwords: cheaper on purpose (`usecases.openings`)
            renewed = await self._passwords.with_present_cost(secret, verifier)
            await self._directory.replace_password(account.account_id, verifier, renewed)
        except MailsteadError as error:
            _log.info("a password was not hashed anew", account_id=account.account_id, error=error.public_text)
