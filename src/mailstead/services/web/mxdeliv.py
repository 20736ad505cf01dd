"""Mail that other relays bring over HTTPS: the same reception as over SMTP, in one request.

The answer's body is what SMTP would have said. A server that gets a temporary failure (503) brings the message by SMTP.

Spec: reference chatmail, sections 5.4 and 5.8.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from mailstead.model import errors
from mailstead.model.address import Address
from mailstead.model.envelope import Envelope, Peer, Recipient
from mailstead.model.errors import BadAddress, MailsteadError, NotOurDomain
from mailstead.telemetry import log, metrics
from mailstead.usecases.publications import Publications
from mailstead.usecases.receptions import Reception, Receptions

PATH: Final = "/mxdeliv"
RECIPIENTS_MAX: Final = 1000
_CODES: Final[dict[type[MailsteadError], str]] = {
    errors.EncryptionNeeded: "523 5.7.10",
    errors.WrongAuthor: "500 5.7.1",
    errors.SignatureNeeded: "554 5.7.1",
    errors.NotOurDomain: "554 5.7.1",
    errors.NoSuchAddress: "550 5.1.1",
    errors.OverQuota: "552 5.2.2",
    errors.MessageTooLarge: "552 5.3.4",
}
"""For what a relay tells apart; all else is 451 or 554."""

_log = log.get("web")


class Mxdeliv:
    """The route."""

    def __init__(self, receptions: Receptions, publications: Publications) -> None:
        self._receptions = receptions
        self._publications = publications

    async def take(self, request: Request) -> Response:
        """Take one message: 200 when it is on stable storage, 400 with the reason, 413, or 503 to come again."""
        if request.method != "POST":
            return PlainTextResponse("Mail is brought by POST\n", 405, {"allow": "POST"})
        if request.scope.get("scheme") != "https":
            return _refused("530 5.7.0 Must be brought over TLS", 400, "clear-text")
        try:
            mail_from, recipients = _envelope(request)
        except BadAddress as error:
            return _refused(f"501 5.1.3 {error.public_text}", 400, "address")
        client = request.client
        peer = Peer(client.host if client else "", client.port if client else 0, tls_version="TLS")
        helo = mail_from.domain if mail_from else "localhost"
        reception = self._receptions.begin(peer, helo, Envelope(mail_from, body="8BITMIME"))
        try:
            for each in recipients:
                await self._add(reception, each)
            await _read(request, reception)
            await reception.accept()
        except ClientDisconnect:
            return Response(status_code=400)
        except MailsteadError as error:
            return _answer(error)
        finally:
            reception.abandon()
        metrics.DELIVERED.labels("mxdeliv").inc(reception.account_count)
        return PlainTextResponse("250 OK")

    async def _add(self, reception: Reception, address: Address) -> None:
        """Errors: as of receptions; NotOurDomain for a domain that takes nothing this way."""
        if not await self._publications.takes_mxdeliv(address.domain):
            raise NotOurDomain("Relay access denied")
        more = reception.add_recipient(Recipient(address))
        if more is not None:
            await more


def _envelope(request: Request) -> tuple[Address | None, list[Address]]:
    """Errors: BadAddress."""
    senders = request.headers.getlist("x-mail-from")
    named = request.headers.getlist("x-mail-to")
    if len(senders) != 1 or not 0 < len(named) <= RECIPIENTS_MAX:
        raise BadAddress("One X-MAIL-FROM and one X-MAIL-TO for each recipient are needed")
    text = _bare(senders[0])
    return Address.parse(text) if text else None, [Address.parse(_bare(each)) for each in named]


async def _read(request: Request, reception: Reception) -> None:
    """Stage the message. One that is too large is read to its end all the same, or the bringer would not hear why.

    Errors: as of `Reception.write`.
    """
    failure: MailsteadError | None = None
    async for piece in request.stream():
        if failure is None:
            try:
                reception.write(piece)
            except MailsteadError as error:
                failure = error
                reception.abandon()
    if failure is not None:
        raise failure


def _bare(text: str) -> str:
    """Give an address without the brackets that some write."""
    text = text.strip()
    return text[1:-1] if text.startswith("<") and text.endswith(">") else text


def _answer(error: MailsteadError) -> Response:
    if isinstance(error, errors.MessageTooLarge):
        return _refused("552 Message exceeds maximum size", 413, "too-large")
    if error.is_temporary:
        return _refused(f"451 4.3.0 {error.public_text}", 503, "temporary")
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), "554 5.7.1")
    return _refused(f"{code} {error.public_text}", 400, type(error).__name__)


def _refused(text: str, status: int, reason: str) -> Response:
    metrics.refused("mxdeliv", str(status), reason)
    _log.info("refused", service="mxdeliv", reason=reason)
    return PlainTextResponse(text, status)
