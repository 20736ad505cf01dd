"""Invitations, answers and cancellations by mail: to people who are elsewhere, and from them.

Out: an ordinary submission of the person who organizes or answers, so its limits and rules hold, and it is signed.
In: after the mail is stored, and only where its author is known to have written it; whatever goes wrong with that, the
mail is there to be read.

Spec: RFC 6047; RFC 5546 §3.2.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import SMTP, compat32
from email.utils import getaddresses
from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor, Envelope, Peer, Recipient
from mailstead.model.errors import BadAddress, BadObject, MailsteadError
from mailstead.pim.calendar_object import CalendarObject, calendar_object
from mailstead.pim.component import unescaped
from mailstead.pim.recurrence import span_of
from mailstead.pim.safe import safe_url
from mailstead.ports.clock import Clock
from mailstead.ports.memory import Memory
from mailstead.telemetry import log, metrics
from mailstead.usecases.dispatch import Accepted
from mailstead.usecases.meetings import MESSAGE_OCTETS_MAX, Meetings
from mailstead.usecases.submissions import Submissions

PARTS_MAX: Final = 50
MAIL_OCTETS_MAX: Final = 10 * 1024 * 1024
"""Larger mail is no invitation."""
PER_SENDER_HOUR_MAX: Final = 50
PER_MEETING_HOUR_MAX: Final = 5
"""Spec: reference 8.5."""

_SUBJECTS: Final = {"REQUEST": "Invitation", "CANCEL": "Cancelled", "REPLY": "Answer"}
_ANSWERS: Final = {"ACCEPTED": "Accepted", "DECLINED": "Declined", "TENTATIVE": "Perhaps"}

_log = log.get("scheduling")


class InvitationMail:
    """Sends messages about meetings by mail."""

    def __init__(self, submissions: Submissions, hostname: str) -> None:
        self._submissions = submissions
        self._hostname = hostname

    async def send(self, owner: Account, to: str, method: str, octets: bytes) -> None:
        """Send one message on behalf of an account. Errors: BadAddress; of submissions."""
        recipient = Recipient(Address.parse(to))
        actor = Actor(owner.account_id, owner.address)
        peer = Peer("127.0.0.1", 0, tls_version="TLSv1.3")
        submission = await self._submissions.begin(actor, peer, self._hostname, Envelope(owner.address))
        try:
            more = submission.add_recipient(recipient)
            if more is not None:
                await more
            submission.write(bytes(written(owner.address, recipient.address, method, octets)))
            await submission.accept()
        except BaseException:
            submission.abandon()
            raise


def written(sender: Address, recipient: Address, method: str, octets: bytes) -> bytes:
    """Give the mail: a text for people, the calendar for programs. Spec: RFC 6047 §2.4."""
    meeting = calendar_object(octets, allows_method=True)
    part = meeting.parts[0]
    title = _line(unescaped(part.value("SUMMARY"))) or "Meeting"
    word = _SUBJECTS.get(method, method.capitalize())
    if method == "REPLY":
        answers = {(each.parameter("PARTSTAT") or "").upper() for each in part.all("ATTENDEE")}
        word = next((said for answer, said in _ANSWERS.items() if answer in answers), word)
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"] = str(sender), str(recipient), f"{word}: {title}"
    mail.set_content(_text(word, title, meeting))
    mail.add_alternative(octets.decode(), subtype="calendar", params={"method": method, "charset": "utf-8"})
    mail.add_attachment(octets, maintype="application", subtype="ics", filename="invite.ics")
    return mail.as_bytes()


class InvitationsByMail:
    """Takes what mail says about meetings."""

    def __init__(self, meetings: Meetings, memory: Memory, clock: Clock) -> None:
        self._meetings = meetings
        self._memory = memory
        self._clock = clock

    async def take(self, account: Account, message: Accepted) -> None:
        """Look whether a mail that has just been stored changes a meeting of its recipient.

        Nothing that goes wrong here is the sender's affair: the mail is accepted.
        """
        if (
            len(message.octets) > MAIL_OCTETS_MAX
            or b"text/calendar" not in message.header + bytes(message.octets).lower()
        ):
            return
        try:
            await self._take(account, message)
        except MailsteadError as error:
            message.trace.note("invitation", "error", error.public_text, recipient=account.address)
        except Exception as error:  # noqa: BLE001 - a bug must not make the sender send it again
            metrics.BUGS.labels("scheduling").inc()
            _log.error("an invitation was not looked at", queue_id=message.queue_id, exc_info=error)

    async def _take(self, account: Account, message: Accepted) -> None:
        author, calendars = await asyncio.to_thread(_read, bytes(message.octets))
        if author is None or not calendars:
            return
        if not _is_known(author, message):
            message.trace.note("invitation", "none", "Its author is not authenticated", recipient=account.address)
            return
        for octets in calendars:
            if await self._is_too_much(account, author, octets):
                message.trace.note("invitation", "none", "Too many in an hour", recipient=account.address)
                return
            is_taken = await self._meetings.receive(account, f"mailto:{author}", octets)
            result = "pass" if is_taken else "none"
            message.trace.note("invitation", result, "Looked at for the calendar", recipient=account.address)

    async def _is_too_much(self, account: Account, author: Address, octets: bytes) -> bool:
        try:
            uid = calendar_object(octets, allows_method=True).uid
        except BadObject:
            return False
        now = self._clock.now()
        by_sender, by_meeting = f"{account.account_id} {author.key}", f"{account.account_id} {author.key} {uid[:200]}"
        counted = await self._memory.count("imip", {by_sender: 1, by_meeting: 1}, now, now + timedelta(hours=1))
        return counted[by_sender] > PER_SENDER_HOUR_MAX or counted[by_meeting] > PER_MEETING_HOUR_MAX


def _is_known(author: Address, message: Accepted) -> bool:
    """Whether the author in From is who sent it: one of ours who logged in, or by DMARC's alignment."""
    if message.submitter is not None:
        return True  # From was checked to be the submitter's own
    found = message.authentication
    return found is not None and found.is_author_authenticated and found.dmarc.author_domain == author.domain


def _read(octets: bytes) -> tuple[Address | None, list[bytes]]:
    """Give the one author of a mail, and its calendars with a method; no URL in it is followed."""
    mail = message_from_bytes(octets, policy=compat32)
    authors = getaddresses([str(each) for each in mail.get_all("from", [])])
    try:
        author = Address.parse(authors[0][1]) if len(authors) == 1 else None
    except BadAddress:
        author = None
    found: dict[bytes, None] = {}
    for number, part in enumerate(mail.walk()):
        if number >= PARTS_MAX:
            break
        if part.get_content_type() == "text/calendar" and (calendar := _decoded(part)):
            found[calendar] = None
    return author, list(found)


def _decoded(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes) or len(payload) > MESSAGE_OCTETS_MAX:
        return b""
    charset = (part.get_content_charset() or "utf-8").lower()
    if charset in {"utf-8", "us-ascii"}:
        return payload
    try:
        return payload.decode(charset).encode()
    except (LookupError, UnicodeDecodeError):
        return b""


def _text(word: str, title: str, meeting: CalendarObject) -> str:
    part = meeting.parts[0]
    lines = [f"{word}: {title}", ""]
    span = span_of(part, meeting)
    if span is not None:
        start = span.start
        zone = "" if start.zone is None else f" ({start.zone})"
        when = f"{start.local:%A, %d %B %Y}" if start.is_date else f"{start.local:%A, %d %B %Y, %H:%M}{zone}"
        lines.append(f"When: {when}" + (", and again" if part.first("RRULE") is not None else ""))
    if place := _line(unescaped(part.value("LOCATION"))):
        lines.append(f"Where: {place}")
    if address := safe_url(part.value("URL")):
        lines.append(f"More: {address}")
    lines.append(f"Organizer: {_who(part.value('ORGANIZER'))}")
    lines += [f"With: {_who(each.value)}" for each in part.all("ATTENDEE")][:100]
    if text := unescaped(part.value("DESCRIPTION")).strip():
        lines += ["", text[:10_000]]
    return "\n".join(lines) + "\n"


def _who(value: str) -> str:
    return _line(value.partition(":")[2] or value)


def _line(text: str) -> str:
    """Give a text as one line: nothing in it begins a field (attack row 85)."""
    return " ".join(text.split())[:200]
