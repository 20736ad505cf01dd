"""The log-in at a smarthost: SCRAM-SHA-256, else PLAIN, else LOGIN.

Spec: RFC 4954 §4; RFC 5802, RFC 7677 (SCRAM); RFC 4616 (PLAIN).
"""

from __future__ import annotations

import asyncio
import secrets

from mailstead.net.outbound.conversation import Conversation
from mailstead.ports.relay import Smarthost
from mailstead.proto.sasl.client import ScramSha256Client, plain_response
from mailstead.proto.sasl.framing import SaslError, decode_response
from mailstead.proto.smtp.types import Reply


async def log_in(talk: Conversation, smarthost: Smarthost, limit_s: float) -> Reply:
    """Log in; give the reply that ended the exchange, or one of ours (code 0) for what we cannot accept."""
    offered = talk.client.extensions.get("AUTH", "").upper().split()
    if "SCRAM-SHA-256" in offered:
        return await _log_in_by_scram(talk, smarthost, limit_s)
    if "PLAIN" in offered:
        talk.client.send_auth("PLAIN", plain_response(smarthost.username, smarthost.password))
        return await talk.answer(limit_s)
    if "LOGIN" not in offered:
        return Reply(0, "4.7.0", ("The relay offers no log-in that we know",))
    talk.client.send_auth("LOGIN")
    answer = await talk.answer(limit_s)
    for text in (smarthost.username, smarthost.password.reveal()):
        if answer.code != 334:
            break
        talk.client.send_auth_response(text.encode())
        answer = await talk.answer(limit_s)
    return answer


async def _log_in_by_scram(talk: Conversation, smarthost: Smarthost, limit_s: float) -> Reply:
    """Both sides show that they know the password. Spec: RFC 5802 §5."""
    exchange = ScramSha256Client(smarthost.username, smarthost.password, secrets.token_urlsafe(18))
    talk.client.send_auth("SCRAM-SHA-256", exchange.first())
    answer = await talk.answer(limit_s)
    if answer.code != 334:
        return answer
    try:
        # In a thread, as the server decides how much work the proof is.
        proof = await asyncio.to_thread(exchange.final, decode_response(answer.lines[0].encode()))
        talk.client.send_auth_response(proof)
        answer = await talk.answer(limit_s)
        if answer.code == 334 and exchange.check(decode_response(answer.lines[0].encode())):
            talk.client.send_auth_response(b"")
            return await talk.answer(limit_s)
    except (SaslError, UnicodeDecodeError) as error:
        return Reply(0, "4.7.0", (f"The relay's log-in is not understood: {error}",))
    if answer.code >= 400 or answer.code == 0:
        return answer
    return Reply(0, "4.7.0", ("The relay has not shown that it knows the password (SCRAM)",))
