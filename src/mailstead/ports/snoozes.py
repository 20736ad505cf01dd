"""Messages of one account that wait to come back: a part of `ports.storage.AccountStore`.

A message waits as long as it is where it was put: whoever moves or deletes it, from whatever client, has ended the
waiting, and no verb takes that for an error.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from mailstead.model.ids import MailboxId
from mailstead.model.message import Copied
from mailstead.model.snoozing import Snoozed, Woken
from mailstead.model.uidset import UidSet


class Snoozes(Protocol):
    """Errors of all verbs: as of `AccountStore`."""

    async def waiting(self) -> list[Snoozed]:
        """All that wait, soonest first."""

    async def snooze(self, mailbox_id: MailboxId, uids: UidSet, until: datetime) -> Copied:
        """Move messages to the mailbox `SNOOZED` (made when it is missing) and note when they come back.

        One unit. Those that are there already stay and get the new moment. Vanished ones are skipped.
        Errors: NoSuchMailbox, LimitReached.
        """

    async def unsnooze(self, mailbox_id: MailboxId, uids: UidSet) -> Copied:
        """Move those that wait back to where they came from (INBOX, if that is gone), as they are. One unit."""

    async def wake(self, now: datetime) -> Woken:
        r"""Move what is due to INBOX, without \Seen and with `now` as internaldate, so that it is the newest. One unit.

        Called twice, or by two processes at once, it moves each message once.
        """
