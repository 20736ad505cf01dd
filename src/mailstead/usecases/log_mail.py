"""What the trace knows, as a table for spreadsheets, mailed to the user who asked for it.

Spec: reference forwardemail 4.2 (logs/download, columns); attack row 100 (no cell is a formula).
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from typing import Final

from mailstead.mime.composition import Attached, Composition, Correspondent, compose
from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchDomain, NotAllowed
from mailstead.model.trace import TraceEvent, TraceQuery
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases.house_mail import HouseMail
from mailstead.usecases.routes import Routes
from mailstead.usecases.sealing import Sealing
from mailstead.usecases.tables import csv_rows
from mailstead.usecases.traces import Traces

MESSAGES_MAX: Final = 1000
STEPS_MAX: Final = 20_000

COLUMNS: Final = (
    "Log ID", "Session ID", "Date", "Level", "Bounce Category", "Bounce Action", "Truth Source", "SMTP Response",
    "SMTP Code", "From", "From Allowlisted", "To", "Subject", "Message-ID", "MAIL FROM", "RCPT TO", "Client IP",
    "Client Hostname", "Client Allowlisted", "Target Host", "Target MX Hostname", "Target MX IP", "Target Type",
    "Opportunistic TLS", "Require TLS", "MX Hostname", "MX IP", "SPF", "DKIM",
)  # fmt: skip
"""Those of the reference; what no trace knows stays empty."""
_CODE: Final = re.compile(r"\b([245]\d\d)\b")
_BAD: Final = {"refuse": "reject", "fail": "reject", "failed": "reject", "defer": "defer", "deferred": "defer"}


@dataclass(frozen=True, slots=True)
class LogWishes:
    """Which steps are wanted; all conditions that are set hold."""

    domain: str = ""
    """Name or id."""
    text: str = ""
    """In any cell, whatever the case."""
    bounce_category: str = ""
    """Step at which it went wrong: ``spf``, ``attempt`` …"""
    response_code: int | None = None
    sends_empty: bool = False
    """A table without rows is sent, too."""


class LogMail:
    """Makes tables of what happened and mails them."""

    def __init__(
        self, storage: Storage, traces: Traces, routes: Routes, sealing: Sealing, clock: Clock, *, hostname: str
    ) -> None:
        self._storage = storage
        self._traces = traces
        self._clock = clock
        self._mail = HouseMail(storage, routes, sealing, clock, hostname=hostname)

    async def send(self, actor: Actor, wishes: LogWishes) -> int:
        """Queue the mail to the user's own address; how many rows it has.

        Errors: NotAllowed, for who is no user or administers nothing; NoSuchDomain (attack row 92).
        """
        if actor.user_id is None or actor.address is None:
            raise NotAllowed
        domain = await self._domain(actor, wishes.domain)
        query = TraceQuery(address=f"@{domain}" if domain else "", limit=STEPS_MAX)
        rows = [
            row
            for message in await self._traces.messages(actor, query, MESSAGES_MAX)
            for number, step in enumerate(message.steps)
            if _is_wanted(row := _row(step, number), wishes)
        ]
        if rows or wishes.sends_empty:
            await self._post(actor, domain, csv_rows([COLUMNS, *rows]))
        return len(rows)

    async def _domain(self, actor: Actor, name_or_id: str) -> str:
        if not name_or_id:
            return ""
        entry = await self._storage.people.domain_entry(name_or_id)
        if entry is None:
            raise NoSuchDomain(domain=name_or_id)
        actor.must_administer(entry.domain.name)
        return entry.domain.name

    async def _post(self, actor: Actor, domain: str, table: str) -> None:
        assert actor.address is not None
        now = self._clock.now()
        if not domain:
            ours = {each.name for each in await self._storage.directory.domains()}
            domain = next((name for name in (actor.address.domain, *sorted(ours)) if name in ours), self._mail.hostname)
        message_id = self._mail.message_id()
        octets = compose(
            Composition(
                now.replace(microsecond=0),
                f"<{message_id}>",
                authors=(Correspondent("Mailstead", f"mailer-daemon@{domain}"),),
                to=(Correspondent("", str(actor.address)),),
                subject=f"Log of {self._mail.hostname}, {now:%Y-%m-%d %H:%M} UTC",
                fields=(("Auto-Submitted", "auto-generated"),),
                text="The log that you asked for is attached, as comma-separated values (gzip).\n",
                attachments=(
                    Attached(gzip.compress(table.encode(), mtime=0), f"log-{now:%Y-%m-%d}.csv.gz", "application/gzip"),
                ),
            )
        )
        await self._mail.post(domain, actor.address, message_id, octets)


def _row(step: TraceEvent, number: int) -> list[str]:
    action = _BAD.get(step.decision, "")
    code = _CODE.search(step.reply)
    is_out = step.step == "attempt"
    known = {
        "Log ID": f"{step.queue_id}-{number}",
        "Session ID": step.queue_id,
        "Date": step.at.isoformat(),
        "Level": {"reject": "error", "defer": "warn"}.get(action, "info"),
        "Bounce Category": step.step if action else "",
        "Bounce Action": action,
        "SMTP Response": step.reply or step.reason,
        "SMTP Code": code[1] if code else "",
        "To": step.recipient,
        "Message-ID": step.message_id,
        "MAIL FROM": step.mail_from,
        "RCPT TO": step.recipient,
        "Client IP": "" if is_out else step.peer,
        "Target Host": step.peer if is_out else "",
        "SPF": step.decision if step.step == "spf" else "",
        "DKIM": step.decision if step.step == "dkim" else "",
    }
    return [known.get(name, "") for name in COLUMNS]


def _is_wanted(row: list[str], wishes: LogWishes) -> bool:
    cells = dict(zip(COLUMNS, row, strict=True))
    if wishes.bounce_category and cells["Bounce Category"] != wishes.bounce_category:
        return False
    if wishes.response_code is not None and cells["SMTP Code"] != str(wishes.response_code):
        return False
    return not wishes.text or any(wishes.text.casefold() in cell.casefold() for cell in row)
