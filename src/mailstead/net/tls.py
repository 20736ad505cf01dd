"""TLS as one more byte layer between socket and connection: `SSLObject` over two memory buffers.

One mechanism serves implicit TLS, STARTTLS and a PROXY header in the same packet as the hello. Why ours and not the
event loop's: docs/adr/0008-tls-layer.md.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path
from typing import Final

# A memory BIO keeps the largest size it ever had (OpenSSL's BUF_MEM grows by a third and never shrinks), and an idle
# connection would carry that for hours. So both are filled in slices. Measured per 64 KiB, 8 KiB against 16 KiB: out no
# difference, in 39 against 34 us.
INCOMING_SLICE_OCTETS: Final = 8192
OUTGOING_SLICE_OCTETS: Final = 8192


class TlsFailed(Exception):  # it is a fact about the peer, like the words of model.errors
    """The peer's TLS is broken or refused; nothing more can be said on this connection."""

    def __init__(self, reason: str, verify_code: int = 0) -> None:
        self.reason = reason
        self.verify_code = verify_code
        """What OpenSSL found wrong with the certificate (X509_V_ERR_…); 0: it was not the certificate."""
        super().__init__(reason)


def server_context(certificate_file: Path, key_file: Path) -> ssl.SSLContext:
    """Give a context for our side of connections. Errors: ssl.SSLError, OSError."""
    context = bare_server_context()
    context.load_cert_chain(certificate_file, key_file)
    return context


def bare_server_context() -> ssl.SSLContext:
    """Give one that has no certificate yet: TLS 1.2 or newer, session tickets, no compression.

    Spec: RFC 8314 §4.1, RFC 9325 §3.1.1 (versions), §3.4 (tickets), §3.3 (no compression).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    # RFC 9325 §4.2: TLS 1.2 only with forward secrecy and authenticated encryption; 1.3 has nothing else.
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    # One ticket resumes one connection; OpenSSL's two would be a second packet's worth of work per handshake.
    context.num_tickets = 1
    return context


class TlsLayer:
    """One side of one TLS connection: the server's, unless a name of the server is given to verify or ask for.

    Octets in, octets out; no sockets, no waiting.
    """

    __slots__ = ("_incoming", "_object", "_outgoing", "_scratch", "is_eof", "is_ready")

    def __init__(
        self,
        context: ssl.SSLContext,
        scratch: memoryview,
        server_hostname: str | None = None,
        session: ssl.SSLSession | None = None,
    ) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_hostname is None,
            server_hostname=server_hostname,
            session=session,
        )
        self._scratch = scratch
        """A buffer that may be shared, as it is not used between calls."""
        self.is_ready = False
        """The handshake is done."""
        self.is_eof = False
        """The peer has said that it will send nothing more (close_notify)."""

    @property
    def version(self) -> str | None:
        """``TLSv1.3`` and the like."""
        return self._object.version()

    @property
    def cipher(self) -> str | None:
        """Name of the cipher suite."""
        cipher = self._object.cipher()
        return cipher[0] if cipher else None

    def receive(self, data: memoryview) -> bytes:
        """Take octets from the socket, give what they mean; the handshake goes on by itself.

        After each call `take_output` may have something to send.
        Errors: TlsFailed; then, too, `take_output` may have the alert.
        """
        pieces: list[bytes] = []
        try:
            if len(data) <= INCOMING_SLICE_OCTETS:
                self._incoming.write(data)
                self._read(pieces)
            else:
                for start in range(0, len(data), INCOMING_SLICE_OCTETS):
                    self._incoming.write(data[start : start + INCOMING_SLICE_OCTETS])
                    self._read(pieces)
        except ssl.SSLCertVerificationError as error:
            raise TlsFailed(error.verify_message, error.verify_code) from None
        except ssl.SSLError as error:
            raise TlsFailed(error.reason or "tls") from None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read(self, pieces: list[bytes]) -> None:
        """Advance the handshake, then decrypt what has come."""
        if not self.is_ready:
            try:
                self._object.do_handshake()
            except ssl.SSLWantReadError:
                return
            self.is_ready = True
        incoming, scratch, read = self._incoming, self._scratch, self._object.read
        # `pending` is asked first, as an exception for each read would cost more than the decryption of a command.
        while not self.is_eof and (incoming.pending or self._object.pending()):
            try:
                count: int = read(len(scratch), scratch)  # type: ignore[assignment]  # typeshed knows this form with bytearray only
            except ssl.SSLWantReadError:
                return
            except ssl.SSLZeroReturnError:
                count = 0
            if count:
                pieces.append(bytes(scratch[:count]))
            else:
                self.is_eof = True

    def take_output(self) -> bytes:
        """Take what is to be sent to the socket by now."""
        return self._outgoing.read() if self._outgoing.pending else b""

    def send(self, data: bytes) -> bytes:
        """Give the encrypted form of `data`, after whatever waited before."""
        if len(data) <= OUTGOING_SLICE_OCTETS:
            self._object.write(data)
            return self._outgoing.read()
        view = memoryview(data)
        pieces = []
        for start in range(0, len(data), OUTGOING_SLICE_OCTETS):
            self._object.write(view[start : start + OUTGOING_SLICE_OCTETS])
            pieces.append(self._outgoing.read())
        return b"".join(pieces)

    def close(self) -> bytes:
        """Give the close_notify that lets the peer know it has heard everything. Spec: RFC 8446 §6.1."""
        if not self.is_ready:
            return b""
        # SSLWantRead: ours is written, we do not wait for theirs; others: there is nobody left to tell.
        with suppress(ssl.SSLError):
            self._object.unwrap()
        return self.take_output()
