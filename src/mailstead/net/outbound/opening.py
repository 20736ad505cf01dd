"""From an address to a conversation in which mail can be said: connect, greeting, EHLO, TLS, log-in.

Spec: RFC 5321 §3.1, §3.2 (session and client initiation), RFC 3207 (STARTTLS), RFC 8689 §4.2.1 (REQUIRETLS).
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from dataclasses import dataclass
from ssl import SSLContext, SSLSession
from typing import Final

from mailstead.mailauth import dane
from mailstead.model.queue import RemoteReply
from mailstead.net.outbound.conversation import Buffers, Conversation, TimeLimits
from mailstead.net.outbound.login import log_in
from mailstead.net.outbound.replies import RemoteHost
from mailstead.net.outbound.security import (
    REQUIRETLS_TEXT,
    HostRefused,
    Manner,
    Protection,
    TlsRefused,
    result_type_of,
)
from mailstead.net.outbound.session import SmtpSession
from mailstead.net.outbound.tls import ClientTls, encrypting_context, verifying_context
from mailstead.net.tls import TlsFailed
from mailstead.ports.relay import Smarthost
from mailstead.proto.smtp.types import Reply

TLS_SESSIONS_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Target:
    """One address of one host, and how it is spoken to."""

    host: str
    address: str
    port: int
    protection: Protection
    source_address: str = ""
    smarthost: Smarthost | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """What an opening gave."""

    session: SmtpSession
    sending_address: str
    """The address that we connected from."""
    tls_refusal: TlsRefused | None
    """Why it is in clear text, where that was allowed."""


class Opener:
    """Opens conversations; one object for all of a relay."""

    def __init__(self, hostname: str, ca_file: str, limits: TimeLimits) -> None:
        self._hostname = hostname
        self._ca_file = ca_file
        self._limits = limits
        self._buffers = Buffers()
        self._encrypting = encrypting_context()
        self._verifying: SSLContext | None = None
        self._tls_sessions: OrderedDict[tuple[str, int], SSLSession] = OrderedDict()

    async def open(self, target: Target, manner: Manner, *, may_be_clear: bool) -> Opened:
        """Open a conversation in that manner.

        `may_be_clear`: where STARTTLS is not to be had, the same connection goes on in clear text.
        Errors: TlsRefused, HostRefused.
        """
        talk = await self._connected(target)
        try:
            return await self._opened(talk, target, manner, may_be_clear=may_be_clear)
        except TlsRefused as refusal:
            refusal.sending_address = talk.local_address
            talk.quit()
            raise
        except BaseException:
            talk.quit()
            raise

    async def _connected(self, target: Target) -> Conversation:
        loop = asyncio.get_running_loop()
        local_address = (target.source_address, 0) if target.source_address else None
        try:
            async with asyncio.timeout(self._limits.connect_s):
                _, talk = await loop.create_connection(
                    lambda: Conversation(self._buffers), target.address, target.port, local_addr=local_address
                )
        except TimeoutError:
            text = f"No connection to {target.address} port {target.port} in {self._limits.connect_s:g} s"
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            text = f"No connection to {target.address} port {target.port}: {reason}"
        else:
            return talk
        raise HostRefused(RemoteReply(0, "4.4.1", text, target.host, target.address), is_unreached=True) from None

    async def _opened(self, talk: Conversation, target: Target, manner: Manner, *, may_be_clear: bool) -> Opened:
        protection, limits = target.protection, self._limits
        remote = RemoteHost(target.host, target.address, Manner.CLEAR.value)
        if protection.is_tls_implicit:
            await self._secure(talk, target, manner, remote)
        greeting = await talk.answer(limits.command_s)
        if greeting.code != 220:
            raise _refused(remote, greeting)
        await self._introduce(talk, remote)
        tls_refusal: TlsRefused | None = None
        if manner is not Manner.CLEAR and talk.tls is None:
            tls_refusal = await self._start_tls(talk, target, manner, remote)
            if tls_refusal is None:
                await self._introduce_under_tls(talk, remote)
                self._remember_tls(talk, target, manner)
            elif not may_be_clear or talk.ending is not None:
                raise tls_refusal
        if tls_refusal is None:
            remote = RemoteHost(target.host, target.address, protection.word(manner))
        if protection.requires_tls and "REQUIRETLS" not in talk.client.extensions:
            raise TlsRefused(remote.told(550, "5.7.30", REQUIRETLS_TEXT), "validation-failure")
        if target.smarthost is not None and target.smarthost.username:
            await self._log_in(talk, target.smarthost, remote)
        return Opened(SmtpSession(talk, remote, limits), talk.local_address, tls_refusal)

    async def _introduce(self, talk: Conversation, remote: RemoteHost) -> None:
        """EHLO, or HELO for a server that knows only that. Spec: RFC 5321 §3.2, §4.1.4."""
        talk.client.send_ehlo(self._hostname)
        answer = await talk.answer(self._limits.command_s)
        if 500 <= answer.code < 600 and talk.ending is None and talk.tls is None:
            talk.client.send_helo(self._hostname)
            answer = await talk.answer(self._limits.command_s)
        if answer.code != 250:
            raise _refused(remote, answer)

    async def _introduce_under_tls(self, talk: Conversation, remote: RemoteHost) -> None:
        """EHLO anew. With TLS 1.3 the server's verdict on the handshake may come only now. Spec: RFC 3207 §4.2."""
        try:
            await self._introduce(talk, remote)
        except HostRefused as refusal:
            if talk.ending is None or talk.ending.code:
                raise
            raise TlsRefused(refusal.reply, "validation-failure") from None

    async def _start_tls(
        self, talk: Conversation, target: Target, manner: Manner, remote: RemoteHost
    ) -> TlsRefused | None:
        """STARTTLS; a refusal is given back where the conversation could go on without.

        Spec: RFC 3207 §4, §4.1.
        Errors: TlsRefused.
        """
        if "STARTTLS" not in talk.client.extensions:
            reply = remote.told(0, "4.7.4", "The server offers no TLS, which is required")
            if target.protection.requires_tls:
                reply = remote.told(550, "5.7.30", REQUIRETLS_TEXT)
            return TlsRefused(reply, "starttls-not-supported")
        talk.client.send_starttls()
        answer = await talk.answer(self._limits.command_s)
        if answer.code != 220:
            text = f"STARTTLS was refused: {answer.code or ''} {answer.text}"
            return TlsRefused(remote.told(0, "4.7.4", text), "starttls-not-supported")
        await self._secure(talk, target, manner, remote)
        return None

    async def _secure(self, talk: Conversation, target: Target, manner: Manner, remote: RemoteHost) -> None:
        """Shake hands and judge the certificate. Errors: TlsRefused."""
        context = self._verifying_context() if manner is Manner.VERIFIED else self._encrypting
        # Resumed only where the certificate does not matter, so that there is never a question whose it was. Each
        # ticket once (RFC 8446 §C.4).
        is_resumable = manner is Manner.ENCRYPTED
        known = self._tls_sessions.pop((target.host, target.port), None) if is_resumable else None
        records = target.protection.records if manner is Manner.DANE else None
        assert (records is not None) == (manner is Manner.DANE)
        # RFC 7672 §8.1: the name that the records were found at, which is another one if the host is an alias.
        name = records.names[0] if records is not None else target.host
        tls = ClientTls(context, self._buffers.plain, name, known)
        try:
            await talk.start_tls(tls, self._limits.handshake_s)
        except TlsFailed as failure:
            raise TlsRefused(
                remote.told(0, "4.7.5", f"TLS cannot be established: {failure.reason}"), result_type_of(failure)
            ) from None
        if records is not None and not dane.matches(records, tls.chain):
            text = f"The certificate of {target.host} is not the one that DNS names (DANE)"
            raise TlsRefused(remote.told(0, "4.7.5", text), "validation-failure")

    def _remember_tls(self, talk: Conversation, target: Target, manner: Manner) -> None:
        """Keep what makes the next handshake with that host shorter; with TLS 1.3 it comes behind the handshake."""
        session = talk.tls.session if talk.tls is not None and manner is Manner.ENCRYPTED else None
        if session is not None:
            self._tls_sessions[target.host, target.port] = session
            if len(self._tls_sessions) > TLS_SESSIONS_MAX:
                self._tls_sessions.popitem(last=False)

    def _verifying_context(self) -> SSLContext:
        if self._verifying is None:
            # Made when first needed: reading all authorities takes tens of milliseconds.
            self._verifying = verifying_context(self._ca_file)
        return self._verifying

    async def _log_in(self, talk: Conversation, smarthost: Smarthost, remote: RemoteHost) -> None:
        """Errors: HostRefused, temporary: a wrong password is for an administrator to put right."""
        answer = await log_in(talk, smarthost, self._limits.command_s)
        if answer.code != 235:
            reply = remote.heard(answer)
            raise HostRefused(
                remote.told(
                    reply.code, reply.enhanced, f"The log-in at the relay has failed: {reply.text}", is_final=False
                )
            )


def _refused(remote: RemoteHost, answer: Reply) -> HostRefused:
    """Judge a greeting, or an answer to EHLO, that is none.

    Only 521 and 556 are permanent (RFC 7504 §3); a 554 often means our address of today, and other hosts or later
    attempts may fare better.
    """
    heard = remote.heard(answer)
    is_final = answer.code in {521, 556}
    return HostRefused(remote.told(heard.code, heard.enhanced, heard.text, is_final=is_final))
