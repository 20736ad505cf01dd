"""Mail that other relays bring over HTTPS: the same reception as over SMTP, in one request.

The answer's body is what SMTP would have said. A server that gets a temporary failure (503) brings the message by SMTP.
As there is but one answer, that is also what it gets where some recipients can be had and others cannot: SMTP tells for
each, and nobody's mail comes back because of another one.

A refusal is told behind the message, as many who bring one do not listen before. So what is refused is read, too, but
neither without end nor at any pace (attack rows 10 and 23).

Spec: reference chatmail, sections 5.4 and 5.8.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from mailstead.model import errors
from mailstead.model.address import Address
from mailstead.model.envelope import Envelope, Peer, Recipient
from mailstead.model.errors import BadAddress, MailsteadError, NotOurDomain, RecipientsDiffer
from mailstead.telemetry import log, metrics
from mailstead.usecases.publications import Publications
from mailstead.usecases.receptions import Reception, Receptions

PATH: Final = "/mxdeliv"
RECIPIENTS_MAX: Final = 1000
BRINGERS_MAX: Final = 250
"""So many messages at a time; the pages have room beside them."""
PACE_GRACE_S: Final = 20.0
PACE_OCTETS_S: Final = 8 * 1024
"""A message comes at this pace at least, from its beginning on and with that grace."""
DRAINED_OCTETS_MAX: Final = 32 * 1024 * 1024
"""Of what is refused so much is read; who brings more hears nothing."""
_CODES: Final[dict[type, str]] = {
    errors.EncryptionNeeded: "523 5.7.10",
    errors.WrongAuthor: "500 5.7.1",
    errors.SignatureNeeded: "554 5.7.1",
    errors.NotOurDomain: "554 5.7.1",
    errors.NoSuchAddress: "550 5.1.1",
    errors.OverQuota: "552 5.2.2",
    errors.AddressDisabled: "550 5.2.1",
    errors.NotAllowed: "550 5.7.1",
    errors.PolicyRefused: "550 5.7.1",
    errors.MailLoop: "554 5.4.6",
    errors.BadMessage: "554 5.6.0",
}
"""What reception may refuse for good; all else that is permanent is 554."""

_log = log.get("web")


class Mxdeliv:
    """The route."""

    def __init__(self, receptions: Receptions, publications: Publications) -> None:
        self._receptions = receptions
        self._publications = publications
        self._bringer_count = 0

    async def take(self, request: Request) -> Response:
        """Take one message: 200 when it is on stable storage, 400 with the reason, 413, or 503 to come by SMTP."""
        if request.method != "POST":
            return PlainTextResponse("Mail is brought by POST\n", 405, {"allow": "POST"})
        if request.scope.get("scheme") != "https":
            return _refused("530 5.7.0 Must be brought over TLS", 400, "clear-text")
        if self._bringer_count >= BRINGERS_MAX:
            return _refused("421 4.3.2 Too many bring mail now", 503, "too-many")
        self._bringer_count += 1
        try:
            return await self._take(request)
        except ClientDisconnect:
            return Response(status_code=400)
        except _SlowError:
            return _refused("421 4.4.2 The message comes too slowly", 408, "slow", is_last=True)
        except _EndlessError:
            return _refused("552 Message exceeds maximum size", 413, "endless", is_last=True)
        finally:
            self._bringer_count -= 1

    async def _take(self, request: Request) -> Response:
        """Errors: ClientDisconnect, _SlowError, _EndlessError."""
        body = _Body(request)
        try:
            mail_from, recipients = _envelope(request)
        except BadAddress as error:
            await body.drain()
            return _refused(f"501 5.1.3 {error.public_text}", 400, "address")
        client = request.client
        peer = Peer(client.host if client else "", client.port if client else 0, tls_version="TLS")
        helo = mail_from.domain if mail_from else "localhost"
        envelope = Envelope(mail_from, body="8BITMIME", size_octets=_declared_octets(request))
        reception = self._receptions.begin(peer, helo, envelope)
        try:
            await self._add(reception, recipients)
            await body.read(reception.write)
            await reception.accept()
        except MailsteadError as error:
            reception.abandon()
            await body.drain()
            return _answer(error)
        finally:
            reception.abandon()
        metrics.DELIVERED.labels("mxdeliv").inc(reception.account_count)
        return PlainTextResponse("250 OK")

    async def _add(self, reception: Reception, recipients: Sequence[Address]) -> None:
        """Add all recipients or none.

        Errors: if no recipient can be had, as of receptions, and NotOurDomain for a domain that takes nothing this way;
        if only some can, RecipientsDiffer.
        """
        refusals: list[MailsteadError] = []
        for each in recipients:
            try:
                if not await self._publications.takes_mxdeliv(each.domain):
                    raise NotOurDomain("Relay access denied")
                more = reception.add_recipient(Recipient(each))
                if more is not None:
                    await more
            except MailsteadError as error:
                refusals.append(error)
        if not refusals:
            return
        if len(refusals) < len(recipients):
            raise RecipientsDiffer("Some of the recipients cannot be had; bring the message by SMTP to hear which")
        raise next((each for each in refusals if each.is_temporary), refusals[0])


class _SlowError(Exception):
    """The message comes too slowly."""


class _EndlessError(Exception):
    """What is refused does not come to its end."""


def _envelope(request: Request) -> tuple[Address | None, list[Address]]:
    """Errors: BadAddress."""
    senders = request.headers.getlist("x-mail-from")
    named = request.headers.getlist("x-mail-to")
    if len(senders) != 1 or not 0 < len(named) <= RECIPIENTS_MAX:
        raise BadAddress("One X-MAIL-FROM and one X-MAIL-TO for each recipient are needed")
    text = _bare(senders[0])
    return Address.parse(text) if text else None, [Address.parse(_bare(each)) for each in named]


def _declared_octets(request: Request) -> int | None:
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None


class _Body:
    """The message as it comes, at no less than a pace.

    Errors of all verbs: ClientDisconnect, _SlowError.
    """

    def __init__(self, request: Request) -> None:
        self._pieces = request.stream()
        self._latest_s = 0.0
        self._octets = 0
        self._drained_octets = 0

    async def read(self, take: Callable[[bytes], None]) -> None:
        """Give all that is left, piece by piece. Errors: those of `take`, after which the rest can still be read."""
        loop = asyncio.get_running_loop()
        self._latest_s = self._latest_s or loop.time() + PACE_GRACE_S
        try:
            async with asyncio.timeout_at(self._latest_s + self._octets / PACE_OCTETS_S) as limit:
                async for piece in self._pieces:
                    self._octets += len(piece)
                    limit.reschedule(self._latest_s + self._octets / PACE_OCTETS_S)
                    take(piece)
        except TimeoutError:
            raise _SlowError from None

    async def drain(self) -> None:
        """Let go of all that is left. Errors: _EndlessError."""
        await self.read(self._let_go)

    def _let_go(self, piece: bytes) -> None:
        self._drained_octets += len(piece)
        if self._drained_octets > DRAINED_OCTETS_MAX:
            raise _EndlessError


def _bare(text: str) -> str:
    """Give an address without the brackets that some write."""
    text = text.strip()
    return text[1:-1] if text.startswith("<") and text.endswith(">") else text


def _answer(error: MailsteadError) -> Response:
    if isinstance(error, errors.MessageTooLarge):
        return _refused("552 Message exceeds maximum size", 413, "too-large")
    if error.is_temporary:
        return _refused(f"451 4.3.0 {error.public_text}", 503, type(error).__name__)
    code = next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), "554 5.0.0")
    if told := str(error.log_fields.get("enhanced_code") or ""):
        code = f"{code[:3]} {told}"
    return _refused(f"{code} {error.public_text}", 400, type(error).__name__)


def _refused(text: str, status: int, reason: str, *, is_last: bool = False) -> Response:
    """`is_last`: the connection is closed, as more of the message may be on its way."""
    metrics.refused("mxdeliv", str(status), reason)
    _log.info("refused", service="mxdeliv", reason=reason)
    return PlainTextResponse(text, status, {"connection": "close"} if is_last else None)
