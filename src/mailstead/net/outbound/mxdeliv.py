"""Mail from relay to relay over HTTPS, with SMTP behind it where that is not to be had.

Theory of operation. A destination of a domain that uses this is opened as a session that says nothing yet. Each message
is posted to the most preferred mail exchanger; only where that fails for want of a web server that takes it, the
session turns into one of SMTP for good, and that host is spoken to by SMTP alone for half an hour. A definite refusal
is the answer: SMTP would say the same.

Spec: reference chatmail, section 5.8.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from mailstead.model.envelope import Envelope
from mailstead.model.errors import WebFailed, WebRefused
from mailstead.model.queue import RemoteReply
from mailstead.net.outbound.session import SmtpSession
from mailstead.ports.clock import Clock
from mailstead.ports.relay import RelayFailed
from mailstead.ports.web import WebClient
from mailstead.proto.smtp.write import only_crlf

LIMIT_S: Final = 60.0
SMTP_ONLY_S: Final = 1800.0
REMEMBERED_MAX: Final = 10_000
_ANSWER_OCTETS_MAX: Final = 4096

_REPLY: Final = re.compile(r"([45][0-9]{2})[ -](?:([45]\.[0-9]{1,3}\.[0-9]{1,3})[: ]+)?([^\r\n]*)")


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


class MxdelivSession:
    """Implements `ports.relay.RelaySession`."""

    def __init__(
        self,
        web: WebClient,
        host: str,
        port: int,
        open_smtp: Callable[[], Awaitable[SmtpSession]],
        smtp_hosts: SmtpHosts,
        *,
        verifies: bool,
    ) -> None:
        """`open_smtp` raises RelayFailed. `verifies`: the host must have a valid certificate."""
        self._web = web
        self._host = host
        self._url = f"https://{host}/mxdeliv" if port == 443 else f"https://{host}:{port}/mxdeliv"
        self._open_smtp = open_smtp
        self._smtp_hosts = smtp_hosts
        self._verifies = verifies
        self._smtp: SmtpSession | None = None
        self._has_ended = False

    @property
    def is_open(self) -> bool:
        """Whether another message may go through it."""
        return self._smtp.is_open if self._smtp is not None else not self._has_ended

    @property
    def offers_dsn(self) -> bool:
        """Whether the server takes over the duty to notify; over HTTPS none does."""
        return self._smtp.offers_dsn if self._smtp is not None else False

    async def send(self, envelope: Envelope, octets: bytes) -> Sequence[RemoteReply]:
        """Send one message; one reply per recipient, in order. Never raises for what the peer does."""
        if self._smtp is None:
            reply = None if envelope.require_tls else await self._post(envelope, octets)
            if reply is not None:
                return [reply] * len(envelope.recipients)
            try:
                self._smtp = await self._open_smtp()
            except RelayFailed as failed:
                self._has_ended = True
                return [failed.reply] * len(envelope.recipients)
            self._smtp_hosts.note(self._host)
        return await self._smtp.send(envelope, octets)

    async def close(self) -> None:
        """Close what is open."""
        self._has_ended = True
        if self._smtp is not None:
            await self._smtp.close()

    async def _post(self, envelope: Envelope, octets: bytes) -> RemoteReply | None:
        """Post a message; None: this host does not take mail so."""
        headers = [("Content-Type", "message/rfc822"), ("X-MAIL-FROM", str(envelope.mail_from or ""))]
        headers += [("X-MAIL-TO", str(each.address)) for each in envelope.recipients]
        try:
            answer = await self._web.post(
                self._url,
                only_crlf(octets),
                headers,
                octets_max=_ANSWER_OCTETS_MAX,
                limit_s=LIMIT_S,
                verifies=self._verifies,
            )
        except (WebFailed, WebRefused):
            return None
        security = "verified" if self._verifies else "encrypted"
        if 200 <= answer.status < 300:
            return RemoteReply(250, "2.0.0", "OK (HTTPS)", self._host, security=security)
        said = _REPLY.match(answer.octets.decode("utf-8", "replace").strip())
        if answer.status not in {400, 413} or said is None:
            return None
        code = int(said[1])
        text = f"{said[3][:500]} (forwarded from {self._host})"
        enhanced = said[2] or ("5.0.0" if code >= 500 else "4.0.0")
        return RemoteReply(code, enhanced, text, self._host, security=security, is_permanent=code >= 500)
