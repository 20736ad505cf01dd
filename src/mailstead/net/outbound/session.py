"""Messages over an open conversation: one transaction after the other.

Theory of operation. Where the server knows PIPELINING, MAIL, all RCPT and DATA are one write and one wait; the message
is the second. With CHUNKING the message goes as one BDAT, as it is, but only after the answers to RCPT: a server that
refused the recipients, and did not skip the chunk, would read mail as commands. RSET is said only where a transaction
was left open, and then as part of the next group.

8-bit messages go to servers without 8BITMIME as they are. RFC 6152 §3 wants them converted or returned, and Postfix
converts; but conversion breaks the signature (DKIM), and servers that are not 8-bit clean are gone.

Spec: RFC 5321 §3.3, §4.1.1; RFC 2920 (PIPELINING); RFC 1870 (SIZE); RFC 3030 (CHUNKING, BINARYMIME); RFC 6531
(SMTPUTF8); RFC 8689 (REQUIRETLS); RFC 9422 (LIMITS).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from mailstead.model.envelope import Envelope
from mailstead.model.queue import RemoteReply
from mailstead.net.outbound.conversation import Conversation, TimeLimits
from mailstead.net.outbound.replies import RemoteHost
from mailstead.proto.smtp.types import Reply
from mailstead.proto.smtp.write import only_crlf

RECIPIENTS_PER_TRANSACTION_MAX: Final = 100
"""What every server must take (RFC 5321 §4.5.3.1.8); more recipients are several transactions."""

SLICE_OCTETS: Final = 64 * 1024
"""Larger messages are sent in slices, at the pace of the server."""


class SmtpSession:
    """Implements `ports.relay.RelaySession`."""

    def __init__(self, talk: Conversation, remote: RemoteHost, limits: TimeLimits) -> None:
        self._talk = talk
        self._client = talk.client
        self._remote = remote
        self._limits = limits
        offered = self._client.extensions
        self._pipelines = "PIPELINING" in offered
        self._chunks = "CHUNKING" in offered
        self._size_octets_max = _number(offered.get("SIZE", ""))
        stated = dict(word.partition("=")[::2] for word in offered.get("LIMITS", "").upper().split())
        self._recipients_max = min(_number(stated.get("RCPTMAX", "")) or 100, RECIPIENTS_PER_TRANSACTION_MAX)
        self._transactions_left = _number(stated.get("MAILMAX", ""))
        self._is_transaction_open = False

    @property
    def is_open(self) -> bool:
        """Whether another message may go through it."""
        return self._talk.ending is None and self._transactions_left != 0

    @property
    def offers_dsn(self) -> bool:
        """Whether the server takes over the duty to notify. Spec: RFC 3461 §5.2.2."""
        return "DSN" in self._client.extensions

    @property
    def security(self) -> str:
        """How the conversation is protected, in the words of `RemoteReply.security`."""
        return self._remote.security

    async def send(self, envelope: Envelope, octets: bytes) -> Sequence[RemoteReply]:
        """Send one message; one reply per recipient, in order. Never raises for what the peer does."""
        refusal = self._refusal(envelope, octets)
        if refusal is not None:
            return [refusal] * len(envelope.recipients)
        offered = self._client.extensions
        if self._chunks and envelope.body != "BINARYMIME":
            octets = only_crlf(octets)  # attack rows 1 and 2; DATA sees to that by itself
        is_smtputf8 = envelope.smtputf8 and "SMTPUTF8" in offered
        if envelope.size_octets != len(octets) or envelope.smtputf8 != is_smtputf8:
            envelope = replace(envelope, size_octets=len(octets), smtputf8=is_smtputf8)
        if len(envelope.recipients) <= self._recipients_max:
            return await self._transact(envelope, octets)
        replies: list[RemoteReply] = []
        for start in range(0, len(envelope.recipients), self._recipients_max):
            part = envelope.recipients[start : start + self._recipients_max]
            replies += await self._transact(replace(envelope, recipients=part), octets)
        return replies

    async def close(self) -> None:
        """Say QUIT and close."""
        self._talk.quit()

    def _refusal(self, envelope: Envelope, octets: bytes) -> RemoteReply | None:
        """What this server cannot take is not even tried."""
        offered = self._client.extensions
        told = self._remote.told
        if envelope.require_tls and not (
            "REQUIRETLS" in offered and self._remote.security not in {"none", "encrypted"}
        ):
            return told(550, "5.7.30", "The message requires TLS, and this server does not offer that (REQUIRETLS)")
        if self._size_octets_max and len(octets) > self._size_octets_max:
            text = f"The message has {len(octets)} octets, and this server takes {self._size_octets_max}"
            return told(552, "5.3.4", text)
        if envelope.body == "BINARYMIME" and not (self._chunks and "BINARYMIME" in offered):
            return told(554, "5.6.3", "The message is binary, and this server does not take that (BINARYMIME)")
        if "SMTPUTF8" not in offered and _needs_smtputf8(envelope, octets):
            return told(550, "5.6.7", "The message has international addresses, and this server does not take them")
        return None

    async def _transact(self, envelope: Envelope, octets: bytes) -> list[RemoteReply]:
        """One transaction; never more than the server takes at a time."""
        count = len(envelope.recipients)
        if not self.is_open:
            return [self._remote.heard(self._ending)] * count
        if self._transactions_left is not None:
            self._transactions_left -= 1
        answers = await self._say_envelope(envelope)
        mail = answers[0] if answers else self._ending
        is_mail_taken = _is_taken(mail)
        heard = answers[1 : 1 + count] if is_mail_taken else []
        heard += [self._ending if is_mail_taken else mail] * (count - len(heard))
        taken_count = sum(map(_is_taken, heard))
        self._is_transaction_open = is_mail_taken
        start = answers[1 + count] if len(answers) > 1 + count else None
        final: Reply | None = None
        if self._chunks and taken_count:
            final = await self._say_chunk(octets)
            self._is_transaction_open = not _is_taken(final)
        elif start is not None and start.code == 354:
            final = await self._say_message(octets if taken_count else b"")
            self._is_transaction_open = not taken_count
        elif taken_count:
            if start is not None and start.code < 400:
                self._talk.abort(f"DATA was answered by {start.code}")
                start = None
            final = start or self._ending
        return self._judged(heard, final, taken_count)

    def _judged(self, heard: list[Reply], final: Reply | None, taken_count: int) -> list[RemoteReply]:
        """Give each recipient what counts for it: its refusal, or the answer to the message."""
        last = self._remote.heard(final) if final is not None else None
        replies: list[RemoteReply] = []
        for answer in heard:
            if last is not None and _is_taken(answer):
                replies.append(last)
                continue
            reply = self._remote.heard(answer)
            if answer.code == 552 and taken_count and answer.enhanced in {"", "5.5.3"}:
                # RFC 5321 §4.5.3.1.10: old servers say so for too many recipients, and mean 452.
                reply = replace(reply, is_permanent=False)
            replies.append(reply)
        return replies

    async def _say_envelope(self, envelope: Envelope) -> list[Reply]:
        """Say MAIL, RCPT and DATA; fewer answers where the rest was not said, or not heard any more.

        Spec: RFC 2920 §3.1.
        """
        client, limit_s = self._client, self._limits.command_s
        if self._pipelines:
            is_reset = self._is_transaction_open
            if is_reset:
                client.send_rset()
            client.send_mail(envelope)
            for recipient in envelope.recipients:
                client.send_rcpt(recipient)
            if not self._chunks:
                client.send_data()
            self._talk.flush()
            answers = await self._talk.answers(client.expected_count, limit_s)
            return answers[1:] if is_reset else answers
        if self._is_transaction_open:
            client.send_rset()
            await self._talk.answer(limit_s)
        if self._talk.ending is None:
            client.send_mail(envelope)
            answers = [await self._talk.answer(limit_s)]
        else:
            return []
        for recipient in envelope.recipients if _is_taken(answers[0]) else ():
            if self._talk.ending is not None:
                return answers
            client.send_rcpt(recipient)
            answers.append(await self._talk.answer(limit_s))
        if not self._chunks and self._talk.ending is None and any(map(_is_taken, answers[1:])):
            client.send_data()
            answers.append(await self._talk.answer(self._limits.data_start_s))
        return answers

    async def _say_message(self, octets: bytes) -> Reply:
        """Send the message behind a 354; without octets: the lone dot that ends what nobody wanted.

        Spec: RFC 2920 §3.1 (a server may answer 354 although it has taken no recipient).
        """
        if len(octets) <= SLICE_OCTETS:
            self._client.send_message(octets)
        else:
            pieces = self._client.message_slices(octets, SLICE_OCTETS)
            await self._talk.stream(pieces, self._limits.data_block_s)
        return await self._talk.answer(self._limits.data_end_s)

    async def _say_chunk(self, octets: bytes) -> Reply:
        """Send the message as one chunk. Spec: RFC 3030 §2."""
        if self._talk.ending is not None:
            return self._ending
        if len(octets) <= SLICE_OCTETS:
            self._client.send_bdat(octets, is_last=True)
        else:
            self._client.send_bdat_line(len(octets), is_last=True)
            await self._talk.stream(_slices(octets), self._limits.data_block_s)
        return await self._talk.answer(self._limits.data_end_s)

    @property
    def _ending(self) -> Reply:
        return self._talk.ending or Reply(0, "4.5.0", ("This server takes no more messages in this connection",))


def _is_taken(answer: Reply) -> bool:
    return 200 <= answer.code < 300


def _needs_smtputf8(envelope: Envelope, octets: bytes) -> bool:
    """Whether the message really cannot go without; many clients ask for SMTPUTF8 always. Spec: RFC 6531 §3.2, §3.3."""
    addresses = [recipient.address for recipient in envelope.recipients]
    if envelope.mail_from is not None:
        addresses.append(envelope.mail_from)
    if not all(address.is_ascii for address in addresses):
        return True
    return envelope.smtputf8 and not octets[: octets.find(b"\r\n\r\n")].isascii()


def _number(text: str) -> int | None:
    """Read a number of an extension; None where there is none, or a 0 that stands for no limit."""
    return (int(text) or None) if text.isascii() and text.isdecimal() and len(text) <= 20 else None


def _slices(octets: bytes) -> Iterator[bytes]:
    for start in range(0, len(octets), SLICE_OCTETS):
        yield octets[start : start + SLICE_OCTETS]
