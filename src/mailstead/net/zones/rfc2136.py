"""Zones of a name server that takes signed updates.

The zone is not a setting: the server is asked for the nearest SOA above the name.

Spec: RFC 2136 §2 (message), §2.5.1, §2.5.4 (add, delete a record), §3.4.2.2 (CNAME), §3.8 (codes); RFC 8945.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from secrets import randbelow
from typing import Final

from mailstead.model.errors import BadSettings
from mailstead.model.secret import Secret
from mailstead.net.dns_exchange import NameServer, over_tcp
from mailstead.net.dns_wire import NXDOMAIN, BadAnswer, answers, name_of, question, read, text_of
from mailstead.net.zones.rdata import KINDS, octets_of, value_of
from mailstead.net.zones.tsig import BadSignature, TsigKey, check, sign, skip_name
from mailstead.policy.zone_values import normal
from mailstead.ports.clock import Clock
from mailstead.ports.zones import NoZone, ZoneRefused

LIMIT_S: Final = 15.0

_HEADER: Final = struct.Struct("!HHHHHH")
_RECORD: Final = struct.Struct("!HHIH")
_UPDATE: Final = 0x2800
_IN: Final = 1
_NONE: Final = 254
_SOA: Final = 6

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
        raise BadSettings("dns_provider.rfc2136_key_name is not the name of a key")
    try:
        octets = base64.b64decode(key.reveal(), validate=True)
    except (binascii.Error, ValueError):
        octets = b""
    if not octets:
        raise BadSettings("dns_provider.rfc2136_key is not a key in base64, as the name server's settings have it")
    return TsigKey(wire, octets)


class Rfc2136Zones:
    """Implements `ports.zones.ZoneEditor`."""

    def __init__(self, server: NameServer, key: TsigKey, clock: Clock) -> None:
        self._server = server
        self._key = key
        self._clock = clock

    async def values(self, name: str, kind: str) -> Sequence[str]:
        """See `ZoneEditor`. A CNAME is not followed."""
        owner, known = self._owner(name), KINDS[kind]
        asked = question(randbelow(1 << 16), owner, known, wants_dnssec=False)
        async with self._limited():
            await self._zone(owner)  # of other names the server may give answers that are not its own
            octets = await over_tcp(self._server, asked)
            if not answers(octets, asked):
                raise BadAnswer("answers another question")
            answer = read(octets, owner, known)
        if answer.code not in {0, NXDOMAIN}:
            raise self._failed(_CODES.get(answer.code, f"it answers with code {answer.code}"))
        if kind != "CNAME" and answer.canonical_name != text_of(owner):
            return ()
        return [normal(kind, value_of(kind, record)) for record in answer.records]

    async def add(self, name: str, kind: str, value: str, ttl_s: int) -> None:
        """See `ZoneEditor`."""
        await self._update(name, kind, (), (value,), ttl_s)

    async def remove(self, name: str, kind: str, value: str) -> None:
        """See `ZoneEditor`."""
        await self._update(name, kind, (value,), (), 0)

    async def replace(self, name: str, kind: str, old: Sequence[str], value: str, ttl_s: int) -> None:
        """See `ZoneEditor`; in one step."""
        gone = [each for each in old if normal(kind, each) != normal(kind, value)]
        await self._update(name, kind, gone, (value,), ttl_s)

    async def settle(self) -> None:
        """See `ZoneEditor`: how far secondaries are must be asked of each."""

    async def _update(self, name: str, kind: str, gone: Sequence[str], new: Sequence[str], ttl_s: int) -> None:
        """Delete and add records, all or none. Errors: ZoneRefused, NoZone."""
        owner = self._owner(name)
        records = [_record(owner, kind, _NONE, 0, value) for value in gone]
        records += [_record(owner, kind, _IN, ttl_s, value) for value in new]
        async with self._limited():
            zone = await self._zone(owner)
            await self._send(_update_message(zone, records))

    def _owner(self, name: str) -> bytes:
        owner = name_of(name)
        if owner is None:
            raise ZoneRefused(f"{name} is no name of the DNS")
        return owner

    async def _zone(self, owner: bytes) -> bytes:
        """Ask for the zone that holds a name, from the name upwards. Errors: NoZone, OSError, EOFError."""
        zone = owner
        while len(zone) > 1:
            asked = _HEADER.pack(randbelow(1 << 16), 0, 1, 0, 0, 0) + zone + struct.pack("!HH", _SOA, _IN)
            if _is_soa(await over_tcp(self._server, asked), asked):
                return zone
            zone = zone[1 + zone[0] :]
        raise NoZone(self._failed(f"it has no zone for {text_of(owner)}").public_text)

    async def _send(self, message: bytes) -> None:
        """Errors: ZoneRefused, BadSignature, OSError, EOFError."""
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

    @asynccontextmanager
    async def _limited(self) -> AsyncIterator[None]:
        """Give a conversation its limit, and name what goes wrong in it. Errors: ZoneRefused."""
        try:
            async with asyncio.timeout(LIMIT_S):
                yield
        except TimeoutError:
            raise self._failed("it does not answer in time") from None
        except (OSError, EOFError) as error:
            raise self._failed(f"it cannot be reached ({error})") from None
        except (BadSignature, BadAnswer) as error:
            raise self._failed(str(error)) from None

    def _now_s(self) -> int:
        return int(self._clock.now().timestamp())

    def _failed(self, reason: str) -> ZoneRefused:
        at = f"{self._server.address}:{self._server.port}"
        return ZoneRefused(f"The name server {at} (dns_provider.rfc2136_server) does not take the change: {reason}")


def _record(owner: bytes, kind: str, record_class: int, ttl_s: int, value: str) -> bytes:
    """Spec: RFC 2136 §2.5.1, §2.5.4. Errors: ZoneRefused."""
    try:
        data = octets_of(kind, value)
    except ValueError:
        raise ZoneRefused(f"{value} is no value of a record of type {kind}") from None
    return owner + _RECORD.pack(KINDS[kind], record_class, ttl_s, len(data)) + data


def _update_message(zone: bytes, records: Sequence[bytes]) -> bytes:
    """Spec: RFC 2136 §2.2 to §2.5; the sections are zone, prerequisites, updates, additional."""
    head = _HEADER.pack(randbelow(1 << 16), _UPDATE, 1, 0, len(records), 0)
    return head + zone + struct.pack("!HH", _SOA, _IN) + b"".join(records)


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
