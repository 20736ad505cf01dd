"""Links in invitations by mail, with which somebody answers who has no calendar program.

Nothing is stored until somebody answers: a link holds the meeting, who was invited, and its end, sealed, so that it
says nothing in the logs of the web. It is good for one answer, and only as long as the meeting is the one that it was
sent for. Looking at it changes nothing: scanners of mail look at all links.

Spec: reference 8.5; RFC 5546 §3.2.3 (what an answer is).
"""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mailstead.model.directory import Account
from mailstead.model.errors import PolicyRefused
from mailstead.model.ids import AccountId
from mailstead.pim import itip
from mailstead.pim.calendar_object import CalendarObject
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases.meetings import Meetings

LIFE: Final = timedelta(days=30)
TOKEN_CHARACTERS_MAX: Final = 2_000
ANSWERS: Final = {"accept": "ACCEPTED", "decline": "DECLINED", "tentative": "TENTATIVE"}
"""As they stand in links."""

_NONCE_OCTETS: Final = 12
_REFUSED: Final = "This link is not good, or not any more: the meeting was changed or removed, or is too long ago"
_ANSWERED: Final = "This invitation was answered before: write to the organizer, if that has changed"


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    end_s: int
    owner_id: str
    attendee: str
    sequence: int
    uid: str


@dataclass(frozen=True, slots=True)
class Invited:
    """What a link stands for."""

    owner: Account
    attendee: str
    """``mailto:`` address."""
    meeting: CalendarObject
    ends_at: datetime


class InvitationLinks:
    """Makes links and takes answers. `key` is the house's own, for nothing else; 32 octets."""

    def __init__(self, storage: Storage, meetings: Meetings, clock: Clock, key: bytes) -> None:
        self._directory = storage.directory
        self._memory = storage.memory
        self._meetings = meetings
        self._clock = clock
        self._cipher = ChaCha20Poly1305(key)

    def token(self, owner: Account, meeting: CalendarObject, attendee: str) -> str:
        """Give what stands in the links for one attendee (``mailto:`` address)."""
        end_s = int((self._clock.now() + LIFE).timestamp())
        sequence = max(map(itip.sequence_of, meeting.parts))
        sealed = _Sealed(end_s, owner.account_id, itip.person(attendee), sequence, meeting.uid)
        nonce = secrets.token_bytes(_NONCE_OCTETS)
        octets = nonce + self._cipher.encrypt(nonce, msgspec.msgpack.encode(sealed), None)
        return _written(octets)

    async def invited(self, token: str) -> Invited:
        """Give what is to be answered. Errors: PolicyRefused."""
        sealed = self._opened(token)
        end, now = datetime.fromtimestamp(sealed.end_s, UTC), self._clock.now()
        owner = await self._directory.account(AccountId(sealed.owner_id))
        if now > end or owner is None or not owner.is_enabled:
            raise PolicyRefused(_REFUSED)
        if await self._memory.recall("invitation answers", [_key(token)], now):
            raise PolicyRefused(_ANSWERED)
        meeting = await self._meetings.meeting(owner, sealed.uid)
        if (
            meeting is None
            or max(map(itip.sequence_of, meeting.parts)) > sealed.sequence
            or itip.answered(meeting, sealed.attendee, itip.NEEDS_ACTION, now) is None
        ):
            raise PolicyRefused(_REFUSED)
        return Invited(owner, sealed.attendee, meeting, end)

    async def answer(self, token: str, answer: str) -> Invited:
        """Take an answer (``ACCEPTED``, ``DECLINED``, ``TENTATIVE``); the link is used up. Errors: PolicyRefused."""
        invited = await self.invited(token)
        now = self._clock.now()
        was = await self._memory.remember_first(
            "invitation answers", _key(token), answer.encode(), now, invited.ends_at
        )
        if was is not None:
            raise PolicyRefused(_ANSWERED)
        try:
            if not await self._meetings.answer(invited.owner, invited.meeting.uid, invited.attendee, answer, now):
                raise PolicyRefused(_REFUSED)
        except BaseException:
            await self._memory.forget("invitation answers", [_key(token)])
            raise
        return invited

    def _opened(self, token: str) -> _Sealed:
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise PolicyRefused(_REFUSED)
        try:
            octets = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            if _written(octets) != token:
                raise PolicyRefused(_REFUSED)  # the same once more, with other bits where none count
            plain = self._cipher.decrypt(octets[:_NONCE_OCTETS], octets[_NONCE_OCTETS:], None)
            return msgspec.msgpack.decode(plain, type=_Sealed)
        except (binascii.Error, ValueError, InvalidTag, msgspec.DecodeError):
            raise PolicyRefused(_REFUSED) from None


def _written(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def _key(token: str) -> str:
    return sha256(token.encode()).hexdigest()
