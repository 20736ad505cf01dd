"""The client's side of TLS: how certificates are judged, and what a handshake has shown.

Spec: RFC 9325 §3.1.1 (versions), RFC 7672 §3 (what DANE compares), RFC 8461 §4.2 (what MTA-STS verifies).
"""

from __future__ import annotations

import _ssl
import ssl
from typing import Any, Final, cast

from mailstead.net.tls import TlsLayer


def encrypting_context() -> ssl.SSLContext:
    """Give a context that encrypts and believes any certificate: for DANE, which looks itself, and for no policy."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Where clear text would be the alternative, an old server's 1024-bit key is still better.
    context.set_ciphers("DEFAULT:@SECLEVEL=1")
    return _with_versions(context)


def verifying_context(ca_file: str) -> ssl.SSLContext:
    """Give a context that takes only certificates of believed authorities with the name of the server.

    Errors: OSError, ssl.SSLError for a file of authorities that cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file:
        context.load_verify_locations(ca_file)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return _with_versions(context)


def _with_versions(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


class ClientTls(TlsLayer):
    """The client's side of one TLS connection."""

    __slots__ = ()

    def __init__(
        self,
        context: ssl.SSLContext,
        scratch: memoryview,
        server_hostname: str,
        session: ssl.SSLSession | None = None,
    ) -> None:
        super().__init__(context, scratch, server_hostname, session)

    def hello(self) -> bytes:
        """Begin the handshake: give the first octets to send."""
        self.receive(memoryview(b""))
        return self.take_output()

    @property
    def session(self) -> ssl.SSLSession | None:
        """What makes the next handshake shorter; TLS 1.3 has it only after the server's first octets."""
        return self._object.session

    @property
    def chain(self) -> list[bytes]:
        """The certificates that the server has shown, as DER, its own first."""
        public = getattr(self._object, "get_unverified_chain", None)  # Python 3.13
        if public is not None:
            return list(public())
        private = cast("Any", self._object)._sslobj.get_unverified_chain()  # noqa: SLF001  # before there is no other way
        return [certificate.public_bytes(_ENCODING_DER) for certificate in private or ()]


_ENCODING_DER: Final[int] = cast("Any", _ssl).ENCODING_DER
