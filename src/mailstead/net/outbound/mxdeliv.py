"""Mail from relay to relay over HTTPS, with SMTP behind it where that is not to be had.

Theory of operation. A destination of a domain that uses this is opened as a session that says nothing yet. Each message
goes to the mail exchangers in their order, to each of them by a post first and then by SMTP. Once SMTP has been needed
the session is one of SMTP for good; and a host that took by SMTP what it did not take by post is spoken to by SMTP
alone for half an hour. A definite refusal of a message is the answer: SMTP would say the same. One that may be about a
single recipient of several is not: SMTP tells for each.

Spec: reference chatmail, section 5.8.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mailstead.model.envelope import Envelope, Recipient
from mailstead.model.errors import WebFailed, WebRefused
from mailstead.model.queue import RemoteReply
from mailstead.net.outbound.session import SmtpSession
from mailstead.ports.clock import Clock
from mailstead.ports.relay import RelayFailed
from mailstead.ports.web import WebClient, WebResponse
from mailstead.proto.smtp.write import only_crlf

LIMIT_S: Final = 60.0
SMTP_ONLY_S: Final = 1800.0
REMEMBERED_MAX: Final = 10_000
RECIPIENTS_OCTETS_MAX: Final = 8 * 1024
"""Of header fields that name recipients in one post; servers bound a request's header at 16 KiB or so."""
POSTS_MISSED_MAX: Final = 3
"""After so many hosts without a web server for mail the others are asked by SMTP only: each could cost a minute."""
_ANSWER_OCTETS_MAX: Final = 4096

_REPLY: Final = re.compile(r"([45][0-9]{2})[ -](?:([45]\.[0-9]{1,3}\.[0-9]{1,3})[: ]+)?([^\r\n]*)")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class SmtpHosts:
    """Hosts that have no web server for mail; remembered for a while."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until_s: OrderedDict[str, float] = OrderedDict()

    def note(self, host: str) -> None:
        """Speak SMTP to that host for the next half hour."""
        self._until_s.pop(host, None)
        self._until_s[host] = self._clock.monotonic_s() + SMTP_ONLY_S
        if len(self._until_s) > REMEMBERED_MAX:
            self._until_s.popitem(last=False)

    def __contains__(self, host: str) -> bool:
        return self._until_s.get(host, 0.0) > self._clock.monotonic_s()


@dataclass(frozen=True, slots=True)
class SmtpSearch:
    """One search for a server that talks SMTP."""

    at: Callable[[str], Awaitable[SmtpSession | None]]
    """Ask one host; None: it will not talk now."""
    last: Callable[[], Awaitable[SmtpSession]]
    """Ask, after all hosts, what was left out until then. Errors: RelayFailed."""


class MxdelivSession:
    """Implements `ports.relay.RelaySession`."""

    def __init__(
        self,
        web: WebClient,
        hosts: Sequence[str],
        port: int,
        begin_smtp: Callable[[], Awaitable[SmtpSearch]],
        smtp_hosts: SmtpHosts,
        *,
        verifies: bool,
    ) -> None:
        """`begin_smtp` raises RelayFailed. `verifies`: the hosts must have a valid certificate."""
        self._web = web
        self._hosts = hosts
        self._port = port
        self._begin_smtp = begin_smtp
        self._smtp_hosts = smtp_hosts
        self._verifies = verifies
        self._missed: set[str] = set()
        """Hosts that have shown no web server for mail."""
        self._smtp: SmtpSession | None = None
        self._has_ended = False
        self._has_posted = False
        """A part of the message at hand, or all of it, has gone over HTTPS."""

    @property
    def is_open(self) -> bool:
        """Whether another message may go through it."""
        return self._smtp.is_open if self._smtp is not None else not self._has_ended

    @property
    def offers_dsn(self) -> bool:
        """Whether the server takes over the duty to notify; over HTTPS none does."""
        return self._smtp is not None and self._smtp.offers_dsn and not self._has_posted

    async def send(self, envelope: Envelope, octets: bytes) -> Sequence[RemoteReply]:
        """Send one message; one reply per recipient, in order. Never raises for what the peer does."""
        self._has_posted = False
        if self._smtp is not None:
            return await self._smtp.send(envelope, octets)
        replies: list[RemoteReply] = []
        try:
            self._smtp = await self._post_or_open(envelope, octets, replies)
        except RelayFailed as failed:
            self._has_ended = True
            return [*replies, *[failed.reply] * (len(envelope.recipients) - len(replies))]
        if self._smtp is not None:
            rest = replace(envelope, recipients=envelope.recipients[len(replies) :])
            replies += await self._smtp.send(rest, octets)
            for host in {reply.host for reply in replies if 200 <= reply.code < 300} & self._missed:
                self._smtp_hosts.note(host)
        return replies

    async def close(self) -> None:
        """Close what is open."""
        self._has_ended = True
        if self._smtp is not None:
            await self._smtp.close()

    async def _post_or_open(self, envelope: Envelope, octets: bytes, replies: list[RemoteReply]) -> SmtpSession | None:
        """Post to as many recipients as can be had so, and note the replies; give what the rest, if any, goes through.

        Errors: RelayFailed.
        """
        search: SmtpSearch | None = None
        for host in self._hosts:
            if not envelope.require_tls:
                await self._post_to(host, envelope, octets, replies)
            if len(replies) == len(envelope.recipients):
                return None
            search = search or await self._begin_smtp()
            session = await search.at(host)
            if session is not None:
                return session
        search = search or await self._begin_smtp()
        return await search.last()

    async def _post_to(self, host: str, envelope: Envelope, octets: bytes, replies: list[RemoteReply]) -> None:
        """Post to one host until all recipients have their reply, or it takes mail so no longer."""
        if host in self._smtp_hosts or host in self._missed or len(self._missed) >= POSTS_MISSED_MAX:
            return
        for group in _groups(envelope.recipients[len(replies) :]):
            reply = await self._post(host, replace(envelope, recipients=group), octets)
            if reply is None:
                return
            replies += [reply] * len(group)
            self._has_posted = True

    async def _post(self, host: str, envelope: Envelope, octets: bytes) -> RemoteReply | None:
        """Post a message; None: it does not go so."""
        addresses = [each.address for each in envelope.recipients]
        addresses += [envelope.mail_from] if envelope.mail_from is not None else []
        if not all(address.is_ascii for address in addresses):
            return None  # no header field can name them
        headers = [("Content-Type", "message/rfc822"), ("X-MAIL-FROM", str(envelope.mail_from or ""))]
        headers += [("X-MAIL-TO", str(each.address)) for each in envelope.recipients]
        try:
            answer = await self._web.post(
                self._url(host),
                only_crlf(octets),
                headers,
                octets_max=_ANSWER_OCTETS_MAX,
                limit_s=LIMIT_S,
                verifies=self._verifies,
            )
        except (WebFailed, WebRefused):
            self._missed.add(host)
            return None
        return self._read(host, answer, len(envelope.recipients))

    def _read(self, host: str, answer: WebResponse, recipient_count: int) -> RemoteReply | None:
        security = "verified" if self._verifies else "encrypted"
        # Some web sites answer every post with a page of theirs. To believe that would be to lose the message.
        is_page = answer.headers.get("content-type", "").lower().startswith("text/html")
        if 200 <= answer.status < 300 and not is_page:
            return RemoteReply(250, "2.0.0", "OK (HTTPS)", host, security=security)
        said = _REPLY.match(answer.octets.decode("utf-8", "replace").strip())
        if said is None or is_page:
            self._missed.add(host)
            return None
        code, enhanced = int(said[1]), said[2] or ""
        is_of_all = recipient_count == 1 or answer.status == 413 or not _is_about_a_recipient(code, enhanced)
        if answer.status not in {400, 413} or not is_of_all:
            return None
        text = f"{_CONTROL.sub(' ', said[3])[:500]} (forwarded from {host})"
        enhanced = enhanced or ("5.0.0" if code >= 500 else "4.0.0")
        return RemoteReply(code, enhanced, text, host, security=security, is_permanent=code >= 500)

    def _url(self, host: str) -> str:
        authority = f"[{host}]" if ":" in host else host
        return f"https://{authority}/mxdeliv" if self._port == 443 else f"https://{authority}:{self._port}/mxdeliv"


def _is_about_a_recipient(code: int, enhanced: str) -> bool:
    """Whether a refusal may be of one recipient, and others be taken. Spec: RFC 3463 §3.2, §3.3."""
    return enhanced[2:4] in {"1.", "2."} or (not enhanced and code in {450, 550, 551, 552, 553})


def _groups(recipients: Sequence[Recipient]) -> Iterator[tuple[Recipient, ...]]:
    """Give recipients in groups whose names fit into the header of one request."""
    group: list[Recipient] = []
    size_octets = 0
    for each in recipients:
        field_octets = len(f"X-MAIL-TO: {each.address}\r\n".encode())
        if group and size_octets + field_octets > RECIPIENTS_OCTETS_MAX:
            yield tuple(group)
            group, size_octets = [], 0
        group.append(each)
        size_octets += field_octets
    if group:
        yield tuple(group)
