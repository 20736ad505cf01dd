"""Webhooks: mail posted as JSON to where an alias leads.

The body and its signature are those that programs written for Forward Email expect (reference §5.11): only a 200 counts
as delivered, everything else waits in the queue and is tried again; what can never work is said at once.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from mailstead.mailauth.results import own_results
from mailstead.mime.header import header_end
from mailstead.mime.parsed import parsed_message
from mailstead.model.errors import WebFailed, WebRefused
from mailstead.model.queue import QueueItem, RemoteReply
from mailstead.ports.clock import Clock
from mailstead.ports.web import WebClient
from mailstead.usecases.routes import Routes

LIMIT_S: Final = 60.0


class Webhooks:
    """Posts items of the queue."""

    def __init__(self, web: WebClient, routes: Routes, clock: Clock, *, hostname: str) -> None:
        self._web = web
        self._routes = routes
        self._clock = clock
        self._hostname = hostname

    async def post(self, item: QueueItem, octets: bytes) -> Sequence[RemoteReply]:
        """Post once to each address of the web that occurs; give an answer for each recipient."""
        by_url: dict[str, list[int]] = {}
        for number, recipient in enumerate(item.recipients):
            by_url.setdefault(recipient.url, []).append(number)
        replies = [RemoteReply()] * len(item.recipients)
        for url, numbers in by_url.items():
            recipients = [str(item.recipients[number].recipient.address) for number in numbers]
            via = item.recipients[numbers[0]].via
            domain = via.domain if via else item.domain
            reply = await self._post_to(url, recipients, domain, item, octets)
            for number in numbers:
                replies[number] = reply
        return replies

    async def _post_to(
        self, url: str, recipients: list[str], domain: str, item: QueueItem, octets: bytes
    ) -> RemoteReply:
        host = urlsplit(url).hostname or ""
        if item.require_tls and urlsplit(url).scheme != "https":
            # RFC 8689 §4.2.1: better not at all than in clear text.
            text = "The message requires TLS, and the web address has none (REQUIRETLS)"
            return RemoteReply(550, "5.7.30", text, host, is_permanent=True)
        key = (await self._routes.domain_terms(domain)).webhook_key
        if not key:  # nobody could tell whether it comes from us
            return RemoteReply(0, "5.3.0", f"{domain} is not served here any more", host, is_permanent=True)
        body = await asyncio.to_thread(self._body, url, recipients, item, octets)
        headers = {
            "Content-Type": "application/json",
            "X-Webhook-Signature": hmac.digest(key.encode(), body, "sha256").hex(),
        }
        try:
            answer = await self._web.post(url, body, headers, octets_max=4096, limit_s=LIMIT_S)
        except WebRefused as error:
            return RemoteReply(0, "5.7.1", error.public_text, host, is_permanent=True)
        except WebFailed as error:
            return RemoteReply(0, "4.4.2", error.public_text, host)
        if answer.status == 200:
            return RemoteReply(250, "2.0.0", "200", host)
        is_gone = answer.status == 410
        return RemoteReply(0, "5.3.0" if is_gone else "4.3.0", f"HTTP {answer.status}", host, is_permanent=is_gone)

    def _body(self, url: str, recipients: list[str], item: QueueItem, octets: bytes) -> bytes:
        flags = parse_qs(urlsplit(url).query)
        found = parsed_message(
            octets,
            has_attachments=flags.get("attachments", ["true"])[-1] != "false",
            has_raw=flags.get("raw", ["true"])[-1] != "false",
        )
        found["recipients"] = recipients
        found |= self._authentication(octets)
        found["session"] = {
            "recipient": recipients[0],
            "sender": str(item.mail_from or ""),
            "mta": self._hostname,
            "arrivalDate": item.accepted_at.isoformat().replace("+00:00", "Z"),
            "arrivalTime": int(item.accepted_at.timestamp() * 1000),
        }
        return msgspec.json.encode(found)

    def _authentication(self, octets: bytes) -> dict[str, Any]:
        """Give what our own checks have found, as the topmost Authentication-Results says it."""
        told = own_results(octets[: header_end(octets)], self._hostname)
        return {
            method: {"status": {"result": result, "comment": text}}
            for method, (result, text) in told.items()
            if method in {"spf", "dkim", "dmarc", "arc"}
        }
