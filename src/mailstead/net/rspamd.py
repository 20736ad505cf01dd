"""An Rspamd beside us, over its HTTP protocol. One that does not answer is done without: it is advice, not a gate.

Spec: Rspamd's protocol, ``POST /checkv2`` (headers IP, Helo, From, Rcpt …; the answer's action, score and symbols).
"""

from __future__ import annotations

import json
from typing import Any, Final

from mailstead.config.settings import Rspamd as RspamdSettings
from mailstead.model.verdict import Check, Decision
from mailstead.ports.scanner import Scanned
from mailstead.telemetry import log

_log = log.get("rspamd")

NAME: Final = "rspamd"
SCORE_PART: Final = 0.5
"""How much of its score counts beside ours, where it asks for nothing."""
SCORE_MAX: Final = 4.0
_DECISIONS: Final = {
    "reject": Decision.REFUSE,
    "soft reject": Decision.DEFER,
    "add header": Decision.QUARANTINE,
    "rewrite subject": Decision.QUARANTINE,
}
"""Its ``greylist`` only adds to the score: greylisting is ours to do."""


class Rspamd:
    """Implements `ports.scanner.Scanner`."""

    def __init__(self, settings: RspamdSettings) -> None:
        self._url = settings.url.rstrip("/") + "/checkv2"
        self._password = settings.password
        self._limit_s = settings.limit_s
        self._client: Any = None

    async def scan(self, message: Scanned) -> Check:
        """Ask for its verdict."""
        import httpx2

        if self._client is None:
            self._client = httpx2.AsyncClient(trust_env=False, timeout=self._limit_s)
        try:
            answer = await self._client.post(self._url, content=bytes(message.octets), headers=self._headers(message))
            answer.raise_for_status()
            return _check(answer.json())
        except (httpx2.HTTPError, json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            _log.warning("rspamd does not answer", error=repr(error))
            return Check(NAME, reason="did not answer")

    def _headers(self, message: Scanned) -> list[tuple[str, str]]:
        headers = [
            ("IP", message.peer.address),
            ("Helo", _plain(message.helo)),
            ("From", _plain(str(message.mail_from or ""))),
            ("Queue-Id", message.queue_id),
            *(("Rcpt", _plain(str(address))) for address in message.recipients),
        ]
        if message.client_name:
            headers.append(("Hostname", _plain(message.client_name)))
        if message.peer.tls_version:
            headers.append(("TLS-Version", message.peer.tls_version))
        if self._password:
            headers.append(("Password", self._password.reveal()))
        return headers


def _plain(text: str) -> str:
    """Give a text that can stand in a header of HTTP."""
    return text.encode("ascii", "replace").decode("ascii").replace("\r", " ").replace("\n", " ")


def _check(answer: dict[str, Any]) -> Check:
    """Read an answer. Errors: KeyError, TypeError, ValueError for one that is none."""
    action, score = str(answer["action"]), float(answer["score"])
    symbols = sorted(answer.get("symbols", {}).items(), key=lambda symbol: -abs(float(symbol[1].get("score", 0))))
    telling = ", ".join(f"{name} ({float(facts.get('score', 0)):+.1f})" for name, facts in symbols[:5])
    reason = f"{action}, score {score:.1f}: {telling}"
    decision = _DECISIONS.get(action, Decision.ALLOW)
    if decision is Decision.ALLOW:
        return Check(NAME, score=max(-SCORE_MAX, min(SCORE_MAX, score * SCORE_PART)), reason=reason)
    text = "The message looks like junk" if decision is Decision.REFUSE else "Please try again later"
    return Check(NAME, decision, reason=reason, public_text=text)
