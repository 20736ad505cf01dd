"""Invitations, answers and cancellations by mail: to people who are elsewhere, and from them.

Out: an ordinary submission of the person who organizes or answers, so its limits and rules hold, and it is signed.
In: after the mail is stored, and only where its author is known to have written it; whatever goes wrong with that, the
mail is there to be read.

Spec: RFC 6047; RFC 5546 §3.2.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import SMTP, compat32
from email.utils import getaddresses
from hashlib import sha256
from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor, Envelope, Peer, Recipient
from mailstead.model.errors import BadAddress, BadObject, MailsteadError
from mailstead.pim import itip
from mailstead.pim.calendar_object import CalendarObject, calendar_object
from mailstead.pim.component import Component, unescaped
from mailstead.pim.recurrence import Span, span_of
from mailstead.pim.safe import safe_url
from mailstead.ports.clock import Clock
from mailstead.ports.memory import Memory
from mailstead.telemetry import log, metrics
from mailstead.usecases.dispatch import Accepted
from mailstead.usecases.invitation_links import ANSWERS, InvitationLinks
from mailstead.usecases.meetings import MESSAGE_OCTETS_MAX, Meetings
from mailstead.usecases.submissions import Submissions

PARTS_MAX: Final = 50
MAIL_OCTETS_MAX: Final = 10 * 1024 * 1024
"""Larger mail is no invitation."""
PER_SENDER_HOUR_MAX: Final = 50
PER_MEETING_HOUR_MAX: Final = 5
"""Spec: reference 8.5."""

RESPOND: Final = "/calendar/respond/"
"""Where links lead: then follow the answer and a token."""
_LABELS: Final = ("Accept", "Decline", "Perhaps")
_SUBJECTS: Final = {"REQUEST": "Invitation", "CANCEL": "Cancelled", "REPLY": "Answer"}
_ANSWERS: Final = {"ACCEPTED": "Accepted", "DECLINED": "Declined", "TENTATIVE": "Perhaps"}

_log = log.get("scheduling")


class InvitationMail:
    """Sends messages about meetings by mail. Without `links` all guests are taken to have a calendar program."""

    def __init__(
        self, submissions: Submissions, hostname: str, links: InvitationLinks | None = None, base_url: str = ""
    ) -> None:
        """`base_url`: of the web, where the links lead; without slash at the end."""
        self._submissions = submissions
        self._hostname = hostname
        self._links = links
        self._base_url = base_url

    async def send(self, owner: Account, sender: str, to: str, method: str, octets: bytes) -> None:
        """Send one message of an account, under that address of it. Errors: BadAddress, BadObject; of submissions."""
        author, recipient = Address.parse(sender), Recipient(Address.parse(to))
        meeting = calendar_object(octets, allows_method=True)
        urls: list[str] = []
        if self._links is not None and method == "REQUEST":
            token = self._links.token(owner, meeting, f"mailto:{to}")
            urls = [f"{self._base_url}{RESPOND}{word}/{token}" for word in ANSWERS]
        peer = Peer("127.0.0.1", 0, tls_version="TLSv1.3")
        actor = Actor(owner.account_id, owner.address)
        submission = await self._submissions.begin(actor, peer, self._hostname, Envelope(author))
        try:
            more = submission.add_recipient(recipient)
            if more is not None:
                await more
            submission.write(written(author, recipient.address, method, octets, urls))
            await submission.accept()
        except BaseException:
            submission.abandon()
            raise


def written(sender: Address, recipient: Address, method: str, octets: bytes, urls: Sequence[str] = ()) -> bytes:
    """Give the mail: a text for people, the calendar for programs. Spec: RFC 6047 §2.4.

    Its Message-ID tells what it says, so that it is the same mail if it should ever be sent twice.
    """
    meeting = calendar_object(octets, allows_method=True)
    part = meeting.parts[0]
    title = _line(unescaped(part.value("SUMMARY"))) or "Meeting"
    word = _SUBJECTS.get(method, method.capitalize())
    if method == "REPLY":
        answers = {itip.answer_of(each) for each in part.all("ATTENDEE")}
        word = next((said for answer, said in _ANSWERS.items() if answer in answers), word)
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"] = str(sender), str(recipient), f"{word}: {title}"
    name = sha256(f"{sender} {recipient}\n".encode() + octets).hexdigest()[:32]
    mail["Message-ID"] = f"<{name}@{sender.domain}>"
    mail.set_content(_text(word, meeting, urls))
    mail.add_alternative(octets.decode(), subtype="calendar", params={"method": method, "charset": "utf-8"})
    mail.add_attachment(octets, maintype="application", subtype="ics", filename="invite.ics")
    return mail.as_bytes()


@dataclass(frozen=True, slots=True)
class Told:
    """What people may know of a meeting, each in one line; empty: it does not say."""

    title: str
    span: Span | None
    zone: str
    recurs: bool
    place: str
    url: str
    organizer: str

    @property
    def start(self) -> str:
        """When it begins in its own zone, so that people of all languages read it: ``2026-03-10 10:00``."""
        if self.span is None:
            return ""
        return f"{self.span.start.local:{'%Y-%m-%d' if self.span.start.is_date else '%Y-%m-%d %H:%M'}}"

    @property
    def end(self) -> str:
        """When it ends, in short; empty: with its start."""
        if self.span is None:
            return ""
        start, end = self.span.start, self.span.start.plus(self.span.length)
        if start.is_date:
            last = end.local - timedelta(days=1)
            return f"{last:%Y-%m-%d}" if last > start.local else ""
        if end.local <= start.local:
            return ""
        return f"{end.local:{'%H:%M' if end.local.date() == start.local.date() else '%Y-%m-%d %H:%M'}}"


def told_of(meeting: CalendarObject) -> Told:
    """Give what a meeting is, for people: what, when, where, who has called it."""
    part = meeting.parts[0]
    try:
        span = span_of(part, meeting)
    except BadObject:
        span = None
    host = part.value("ORGANIZER")
    return Told(
        title=_line(unescaped(part.value("SUMMARY"))),
        span=span,
        zone=_zone_name(part, span) if span is not None else "",
        recurs=part.first("RRULE") is not None or part.first("RDATE") is not None,
        place=_line(unescaped(part.value("LOCATION"))),
        url=safe_url(part.value("URL")) or "",
        organizer=_who(host) if host else "",
    )


def lines_of(meeting: CalendarObject) -> list[str]:
    """Give the same as lines of a mail."""
    told = told_of(meeting)
    lines = [told.title or "Meeting"]
    if told.span is not None:
        lines.append(f"When: {_when(told.span, told.zone)}{', and again' if told.recurs else ''}")
    if told.place:
        lines.append(f"Where: {told.place}")
    if told.url:
        lines.append(f"More: {told.url}")
    if told.organizer:
        lines.append(f"Organizer: {told.organizer}")
    return lines


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
    if message.is_submission:
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


def _text(word: str, meeting: CalendarObject, urls: Sequence[str]) -> str:
    part = meeting.parts[0]
    title, *further = lines_of(meeting)
    lines = [f"{word}: {title}", "", *further]
    lines += [f"With: {_who(each.value)}" for each in part.all("ATTENDEE")][:100]
    if text := unescaped(part.value("DESCRIPTION")).strip():
        lines += ["", text[:10_000]]
    if urls:
        lines += ["", "If your mail program shows no buttons for it, answer here:"]
        lines += [f"{label}: {url}" for label, url in zip(_LABELS, urls, strict=True)]
    return "\n".join(lines) + "\n"


def _zone_name(part: Component, span: Span) -> str:
    if span.start.zone is None:
        return ""
    prop = part.first("DTSTART") or part.first("DUE")
    return _line((prop.parameter("TZID") if prop is not None else None) or "UTC")


def _when(span: Span, zone_name: str) -> str:
    """Give when a meeting is, in its own zone."""
    start, end = span.start, span.start.plus(span.length)
    if start.is_date:
        last = end.local - timedelta(days=1)
        to = f" to {last:%A, %d %B %Y}" if last > start.local else ""
        return f"{start.local:%A, %d %B %Y}{to}"
    to = f" to {end.local:%H:%M}" if end.local.date() == start.local.date() else f" to {end.local:%A, %d %B %Y, %H:%M}"
    zone = f" ({zone_name})" if zone_name else ""
    return f"{start.local:%A, %d %B %Y, %H:%M}{to if end.local > start.local else ''}{zone}"


def _who(value: str) -> str:
    return _line(value.partition(":")[2] or value)


def _line(text: str) -> str:
    """Give a text as one line: nothing in it begins a field (attack row 85)."""
    return " ".join(text.split())[:200]
