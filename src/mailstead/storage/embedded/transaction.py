"""What a unit of work sees: the connection within one transaction, and the counters that move with it.

Counters are read once per transaction, moved in memory by each unit, and written once before COMMIT. A unit that fails
leaves them as they were before it.
"""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

from collections.abc import Iterable
from datetime import datetime

import apsw

from mailstead.model.errors import LimitReached, OverQuota
from mailstead.model.flags import KEYWORDS_PER_MAILBOX_MAX
from mailstead.storage.embedded import rows
from mailstead.storage.embedded.rows import AccountRow, MailboxRow, select

State = tuple[AccountRow | None, dict[int, MailboxRow], dict[str, int]]


class Transaction:
    """One write transaction of one account. Units in it run one after the other, in one thread."""

    def __init__(self, db: apsw.Connection, now: datetime) -> None:
        self.db = db
        self.now = now
        self.now_s = int(now.timestamp())
        self._account: AccountRow | None = None
        self._mailboxes: dict[int, MailboxRow] = {}
        self._ids: dict[str, int] = {}
        self._written: State = (None, {}, {})

    # counters

    @property
    def account(self) -> AccountRow:
        """The account's counters as moved so far. Errors: NoSuchAccount."""
        if self._account is None:
            self._account = rows.account_row(self.db)
            self._written = (self._account, *self._written[1:])
        return self._account

    @account.setter
    def account(self, row: AccountRow) -> None:
        self._account = row

    def mailbox(self, mailbox_id: int) -> MailboxRow:
        """A mailbox's row as moved so far. Errors: NoSuchMailbox."""
        row = self._mailboxes.get(mailbox_id)
        if row is None:
            row = self._remember(rows.mailbox_by_id(self.db, mailbox_id))
        return row

    def mailbox_named(self, name: str) -> MailboxRow:
        """A mailbox's row as moved so far. Errors: NoSuchMailbox."""
        mailbox_id = self._ids.get(name)
        if mailbox_id is not None:
            return self._mailboxes[mailbox_id]
        row = rows.mailbox_by_name(self.db, name)
        return self._mailboxes.get(row.mailbox_id) or self._remember(row)

    def _remember(self, row: MailboxRow) -> MailboxRow:
        self._mailboxes[row.mailbox_id] = row
        self._ids[row.name] = row.mailbox_id
        self._written[1][row.mailbox_id] = row
        return row

    def put_mailbox(self, row: MailboxRow) -> None:
        """Move a mailbox's counters; they are written before COMMIT."""
        self._mailboxes[row.mailbox_id] = row

    def forget_mailboxes(self) -> None:
        """Write what is moved and read rows anew: called around changes of names."""
        self.flush()
        self._mailboxes = {}
        self._ids = {}
        self._written = (self._written[0], {}, {})

    def next_modseq(self) -> int:
        """Give the modseq of this unit's change. Spec: RFC 7162 §3.1."""
        modseq = self.account.modseq + 1
        self.account = self.account._replace(modseq=modseq)
        return modseq

    def next_uidvalidity(self) -> int:
        """Give a uidvalidity above every earlier one of the account (promise 2). Spec: RFC 9051 §2.3.1.1."""
        uidvalidity = max(self.account.last_uidvalidity + 1, self.now_s)
        self.account = self.account._replace(last_uidvalidity=uidvalidity)
        return uidvalidity

    def reserve(self, message_count: int, size_octets: int) -> None:
        """Count messages in, under the same lock as their rows, so no race can overshoot (attack row 72).

        Errors: OverQuota.
        """
        account = self.account
        size_after = account.size_octets + size_octets
        self._must_have_room(size_octets)
        count_after = account.message_count + message_count
        if message_count > 0 and account.quota_messages is not None and count_after > account.quota_messages:
            raise OverQuota
        self.account = account._replace(size_octets=size_after, message_count=count_after)

    def reserve_dav(self, size_octets: int) -> None:
        """Count octets of resources and attachments in, or (negative) out; they share the quota with mail.

        Errors: OverQuota.
        """
        self._must_have_room(size_octets)
        self.account = self.account._replace(dav_octets=self.account.dav_octets + size_octets)

    def _must_have_room(self, size_octets: int) -> None:
        account = self.account
        used = account.size_octets + account.dav_octets
        if size_octets > 0 and account.quota_octets is not None and used + size_octets > account.quota_octets:
            raise OverQuota

    # keywords

    def use_keywords(self, mailbox_id: int, keywords: Iterable[str]) -> dict[str, str]:
        """Give each keyword in the mailbox's spelling, adding new ones.

        Errors: LimitReached (attack row 52).
        """
        wanted = {keyword: keyword.casefold() for keyword in keywords}
        if not wanted:
            return {}
        known = dict(select(self.db, "SELECT folded, name FROM keyword WHERE mailbox_id = ?", (mailbox_id,)))
        spelling: dict[str, str] = {}
        for keyword, folded in wanted.items():
            if folded not in known:
                if len(known) >= KEYWORDS_PER_MAILBOX_MAX:
                    raise LimitReached(f"A mailbox has at most {KEYWORDS_PER_MAILBOX_MAX} keywords")
                known[folded] = keyword
                self.db.execute("INSERT INTO keyword VALUES (?, ?, ?)", (mailbox_id, folded, keyword))
            spelling[keyword] = known[folded]
        return spelling

    # for the writer

    def mark(self) -> State:
        """Note the counters before a unit."""
        return self._account, dict(self._mailboxes), dict(self._ids)

    def restore(self, state: State) -> None:
        """Put the counters back as they were before a failed unit."""
        self._account, self._mailboxes, self._ids = state
        # What a failed unit flushed was rolled back with it, so what is in the file is not known any more.
        self._written = (None, {}, {})

    def flush(self) -> None:
        """Write the counters that moved."""
        written_account, written_mailboxes, _ = self._written
        if self._account is not None and self._account != written_account:
            self.db.execute(_UPDATE_ACCOUNT, self._account)
        moved = [row for row in self._mailboxes.values() if row != written_mailboxes.get(row.mailbox_id)]
        for row in moved:
            self.db.execute(_UPDATE_MAILBOX, (*row[3:], row.mailbox_id))
        self._written = (self._account, dict(self._mailboxes), {})


_UPDATE_ACCOUNT = "UPDATE account SET " + ", ".join(f"{name} = ?" for name in AccountRow._fields)
_UPDATE_MAILBOX = (
    "UPDATE mailbox SET " + ", ".join(f"{name} = ?" for name in MailboxRow._fields[3:]) + " WHERE mailbox_id = ?"
)
