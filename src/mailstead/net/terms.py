"""What a listener lays down for all its conversations."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mailstead.model.envelope import Peer
from mailstead.net.admission import Admission, ServiceAdmission
from mailstead.net.line import Session
from mailstead.telemetry.transcript import Transcript


@dataclass(frozen=True, slots=True)
class Terms:
    """Who is let in, what is spoken, and how long things may take."""

    service: str
    """For metrics and log."""
    make_session: Callable[[], Session]
    admission: Admission | ServiceAdmission
    context: Callable[[], ssl.SSLContext] | None = None
    """The present certificate's context; None: this listener has no TLS."""
    is_tls_implicit: bool = False
    refusal: bytes = b""
    """What one who comes over a connection limit is told (in clear text only), with CRLF."""
    refusals: Mapping[str, bytes] = field(default_factory=dict)
    """What is told instead, by the reason that the admission gives."""
    opening_limit_s: float = 30.0
    """For PROXY header and TLS handshake, together with nothing else."""
    send_limit_s: float = 120.0
    """How long a peer may take nothing of what is sent to it."""
    octets_per_s_min: int = 32
    """Who needs longer than the time limit for one command or message has to send this fast. Spec: attack row 10."""
    make_transcript: Callable[[Peer], Transcript] | None = None
