"""TXT records put into a zone and taken out of it by signed updates, to prove names by the DNS.

The zone is not a setting: the server is asked for the nearest SOA above the name.

Spec: RFC 2136 §2 (message), §2.5.1, §2.5.4 (add, delete a record), §3.8 (codes); RFC 8945; RFC 8555 §8.4.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import struct
from secrets import randbelow
from typing import Final

from mailstead.model.errors import BadSettings
from mailstead.model.secret import Secret
from mailstead.net.acme.challenges import dns_value
from mailstead.net.acme.problems import AcmeFailed
from mailstead.net.acme.secondaries import Seen, Shown
from mailstead.net.acme.tsig import BadSignature, TsigKey, check, sign, skip_name
from mailstead.net.dns_exchange import NameServer, over_tcp
from mailstead.net.dns_wire import name_of, text_of
from mailstead.ports.clock import Clock

LIMIT_S: Final = 15.0
TTL_S: Final = 0
"""A resolver that keeps the proof of one order would show it for the next."""

_HEADER: Final = struct.Struct("!HHHHHH")
_RECORD: Final = struct.Struct("!HHIH")
_UPDATE: Final = 0x2800
_IN: Final = 1
_NONE: Final = 254
_SOA: Final = 6
_TXT: Final = 16

_CODES: Final = {
    1: "it cannot read the update (FORMERR)",
    2: "it has a fault of its own (SERVFAIL)",
    4: "it takes no updates (NOTIMP)",
    5: "it does not allow this update (REFUSED): let the key update the zone",
    9: "it does not take the key, or has no authority for the zone (NOTAUTH)",
    10: "the name is not in the zone (NOTZONE)",
}


def tsig_key(name: str, key: Secret) -> TsigKey:
    """Give the key of the settings. Errors: BadSettings."""
    wire = name_of(name)
    if wire is None or not name:
        raise BadSettings("acme.rfc2136_key_name is not the name of a key")
    try:
        octets = base64.b64decode(key.reveal(), validate=True)
    except (binascii.Error, ValueError):
        octets = b""
    if not octets:
        raise BadSettings("acme.rfc2136_key is not a key in base64, as the name server's settings have it")
    return TsigKey(wire, octets)


class DnsProver:
    """Proves by a TXT record at ``_acme-challenge``. Spec: RFC 8555 §8.4."""

    kind: str = "dns-01"

    def __init__(self, server: NameServer, key: TsigKey, clock: Clock, seen: Seen) -> None:
        """`seen` waits until records are where others look."""
        self._server = server
        self._key = key
        self._clock = clock
        self._seen = seen
        self._up: list[Shown] = []

    async def prove(self, name: str, token: str, authorization: str) -> None:  # noqa: ARG002  # is in the authorization
        """See `Prover`."""
        value = dns_value(authorization)
        zone, owner = await self._update(name, _IN, TTL_S, value)
        self._up.append(Shown(zone, owner, value.encode("ascii")))

    async def settle(self) -> None:
        """See `Prover`: the zone's other servers get the records a moment later."""
        up, self._up = self._up, []
        await self._seen(self._server, up)

    async def clear(self, name: str, token: str, authorization: str) -> None:  # noqa: ARG002  # is in the authorization
        """See `Prover`."""
        await self._update(name, _NONE, 0, dns_value(authorization))

    async def _update(self, name: str, record_class: int, ttl_s: int, value: str) -> tuple[bytes, bytes]:
        """Add (class IN) or delete (NONE) one record; give its zone and its name. Errors: AcmeFailed."""
        owner = name_of(f"_acme-challenge.{name.removeprefix('*.')}")
        if owner is None:
            raise AcmeFailed(f"{name} is no name of the DNS; see acme.names")
        try:
            async with asyncio.timeout(LIMIT_S):
                zone = await self._zone(owner)
                await self._send(_update_message(zone, owner, record_class, ttl_s, value.encode("ascii")))
        except TimeoutError:
            raise self._failed("it does not answer in time") from None
        except (OSError, EOFError) as error:
            raise self._failed(f"it cannot be reached ({error})") from None
        except BadSignature as error:
            raise self._failed(str(error)) from None
        return zone, owner

    async def _zone(self, owner: bytes) -> bytes:
        """Ask for the zone that holds a name, from the name upwards. Errors: AcmeFailed, OSError, EOFError."""
        zone = owner
        while len(zone) > 1:
            asked = _HEADER.pack(randbelow(1 << 16), 0, 1, 0, 0, 0) + zone + struct.pack("!HH", _SOA, _IN)
            if _is_soa(await over_tcp(self._server, asked), asked):
                return zone
            zone = zone[1 + zone[0] :]
        raise self._failed(f"it has no zone for {text_of(owner)}")

    async def _send(self, message: bytes) -> None:
        """Errors: AcmeFailed, BadSignature, OSError, EOFError."""
        signed = sign(message, self._key, self._now_s())
        answer = await over_tcp(self._server, signed.octets)
        if len(answer) < _HEADER.size or answer[:2] != message[:2]:
            raise self._failed("its answer is to another question")
        code = answer[3] & 0xF
        if code not in {0, 9}:  # NOTAUTH says in the signature what is wrong
            raise self._failed(_CODES.get(code, f"it answers with code {code}"))
        check(answer, signed, self._key, self._now_s())
        if code:
            raise self._failed(_CODES[code])

    def _now_s(self) -> int:
        return int(self._clock.now().timestamp())

    def _failed(self, reason: str) -> AcmeFailed:
        at = f"{self._server.address}:{self._server.port}"
        return AcmeFailed(f"The name server {at} (acme.rfc2136_server) does not take the proof: {reason}")


def _update_message(zone: bytes, owner: bytes, record_class: int, ttl_s: int, text: bytes) -> bytes:
    """Spec: RFC 2136 §2.2 to §2.5; the sections are zone, prerequisites, updates, additional."""
    data = bytes((len(text),)) + text
    return (
        _HEADER.pack(randbelow(1 << 16), _UPDATE, 1, 0, 1, 0)
        + zone
        + struct.pack("!HH", _SOA, _IN)
        + owner
        + _RECORD.pack(_TXT, record_class, ttl_s, len(data))
        + data
    )


def _is_soa(answer: bytes, asked: bytes) -> bool:
    """Whether an answer says that the name asked for is the top of a zone of the server's."""
    try:
        message_id, flags, _, answer_count, *_ = _HEADER.unpack_from(answer)
        is_ours = message_id == int.from_bytes(asked[:2]) and not flags & 0xF and bool(flags & 0x0400)
        if not (is_ours and answer_count):
            return False
        at = skip_name(answer, skip_name(answer, _HEADER.size) + 4)
        return bool(_RECORD.unpack_from(answer, at)[0] == _SOA)
    except (IndexError, struct.error):
        return False
