"""Passkeys: a key that a device keeps for us and uses when its owner has shown to be there, by finger, face or PIN.

Challenges are not stored: each is signed by the house, says for what and for whom it was made and until when, and is
used up with the first answer that fits. Our name and origin are those of the settings, whatever a request says of
itself (attack rows 91, 95).

Spec: W3C Web Authentication Level 3, §7.1 (registration), §7.2 (authentication).
"""

from __future__ import annotations

import base64
import secrets
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest, digest
from typing import TYPE_CHECKING, Final, TypeVar

from mailstead.model.errors import AuthenticationFailed, PolicyRefused
from mailstead.model.people import OBJECT_ID_OCTETS, Factor, FactorKind, ObjectId
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.telemetry import log

if TYPE_CHECKING:
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

ResultT = TypeVar("ResultT")

LIFE: Final = timedelta(minutes=5)
"""How long somebody may take to find the device."""
RESPONSE_CHARACTERS_MAX: Final = 64 * 1024
"""Of an answer in JSON; real ones have one or two thousand."""

_HEAD: Final = struct.Struct("!I16s")
_MAC_OCTETS: Final = 32
_USED: Final = "passkey challenge"
_HANDLE_OCTETS: Final = 32
_REFUSED: Final = "The passkey was not accepted; please try again"

_log = log.get("accounts")


@dataclass(frozen=True, slots=True)
class Party:
    """Who we are to browsers. Spec: W3C Web Authentication Level 3, §5.4.2, §13.4.9."""

    rp_id: str
    """Host name of our pages."""
    name: str
    origins: tuple[str, ...]
    """``https://`` and host, with the port where it is not 443."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a challenge is good for; the answer to another one does not fit."""

    verb: str
    """``register``, ``log-in`` or ``factor``."""
    binding: str
    """For whom: an owner, a log-in under way, an address."""


class Passkeys:
    """Makes what browsers are asked, and checks what they answer. `key` is the house's own, for nothing else."""

    def __init__(self, storage: Storage, clock: Clock, key: bytes, party: Party) -> None:
        self._factors = storage.factors
        self._memory = storage.memory
        self._clock = clock
        self._key = key
        self._party = party

    # registering

    def registration_options(self, owner: str, address: str, there: Sequence[Factor]) -> str:
        """Give what ``navigator.credentials.create`` is to be called with, in JSON.

        Spec: W3C Web Authentication Level 3, §5.1.8. The key stays on the device with the owner's handle, so that it
        alone can log in (§6.2.2, discoverable).
        """
        from webauthn import generate_registration_options, options_to_json
        from webauthn.helpers.structs import (
            AuthenticatorSelectionCriteria,
            ResidentKeyRequirement,
            UserVerificationRequirement,
        )

        options = generate_registration_options(
            rp_id=self._party.rp_id,
            rp_name=self._party.name,
            user_name=address,
            user_id=self._handle(owner),
            challenge=self._challenge(Purpose("register", owner)),
            timeout=int(LIFE.total_seconds() * 1000),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
            ),
            exclude_credentials=_descriptors(there),
        )
        return options_to_json(options)

    async def registered(self, owner: str, response: str, label: str) -> Factor:
        """Give the passkey that a browser has made; whoever asks adds it. Errors: PolicyRefused."""
        from webauthn import verify_registration_response

        challenge = _challenge_in(response)
        if challenge is None or not self._is_ours(challenge, Purpose("register", owner)):
            raise PolicyRefused(_REFUSED)
        verified = _or_none(
            lambda: verify_registration_response(
                credential=response,
                expected_challenge=challenge,
                expected_rp_id=self._party.rp_id,
                expected_origin=list(self._party.origins),
                require_user_verification=True,
            )
        )
        if verified is None or not await self._use_up(challenge):
            raise PolicyRefused(_REFUSED)
        return Factor(
            factor_id=new_object_id(),
            owner=owner,
            kind=FactorKind.PASSKEY,
            label=label,
            created_at=self._clock.now(),
            secret=verified.credential_id,
            public_key=verified.credential_public_key,
            counter=verified.sign_count,
        )

    # logging in

    def authentication_options(self, purpose: Purpose, passkeys: Sequence[Factor] = ()) -> str:
        """Give what ``navigator.credentials.get`` is to be called with, in JSON.

        Spec: W3C Web Authentication Level 3, §5.1.10. `passkeys`: those of an owner who is known; none: the browser
        shows which it has.
        """
        from webauthn import generate_authentication_options, options_to_json
        from webauthn.helpers.structs import UserVerificationRequirement

        options = generate_authentication_options(
            rp_id=self._party.rp_id,
            challenge=self._challenge(purpose),
            timeout=int(LIFE.total_seconds() * 1000),
            allow_credentials=_descriptors(passkeys) or None,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return options_to_json(options)

    async def shown(self, purpose: Purpose, response: str, owner: str | None = None) -> Factor:
        """Give the passkey that signed our challenge, and note its use; `owner`: it must be his.

        Errors: AuthenticationFailed, one and the same for all that is wrong.
        """
        from webauthn import verify_authentication_response
        from webauthn.helpers import parse_authentication_credential_json

        challenge = _challenge_in(response)
        credential = _or_none(lambda: parse_authentication_credential_json(response))
        if challenge is None or credential is None or not self._is_ours(challenge, purpose):
            raise AuthenticationFailed(factor="passkey", reason="not our challenge")
        passkey = await self._factors.passkey(credential.raw_id)
        if passkey is None or (owner is not None and passkey.owner != owner):
            raise AuthenticationFailed(factor="passkey", reason="unknown")
        handle = credential.response.user_handle
        if handle is None and owner is None:
            raise AuthenticationFailed(factor="passkey", reason="no user handle")
        if handle is not None and not compare_digest(handle, self._handle(passkey.owner)):
            raise AuthenticationFailed(factor="passkey", reason="another's user handle")
        verified = _or_none(
            lambda: verify_authentication_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=self._party.rp_id,
                expected_origin=list(self._party.origins),
                credential_public_key=passkey.public_key,
                credential_current_sign_count=passkey.counter,
                require_user_verification=True,
            )
        )
        if verified is None or not await self._use_up(challenge):
            raise AuthenticationFailed(factor="passkey", reason="does not fit", factor_id=passkey.factor_id)
        now = self._clock.now()
        if not await self._factors.use_factor(passkey.factor_id, passkey.counter, verified.new_sign_count, now):
            raise AuthenticationFailed(factor="passkey", reason="used elsewhere at once", factor_id=passkey.factor_id)
        return passkey

    # challenges

    def _challenge(self, purpose: Purpose) -> bytes:
        head = _HEAD.pack(int((self._clock.now() + LIFE).timestamp()), secrets.token_bytes(16))
        return head + self._mac(head, purpose)

    def _is_ours(self, challenge: bytes, purpose: Purpose) -> bool:
        head, mac = challenge[: _HEAD.size], challenge[_HEAD.size :]
        if len(mac) != _MAC_OCTETS or not compare_digest(mac, self._mac(head, purpose)):
            return False
        return int(self._clock.now().timestamp()) <= int(_HEAD.unpack(head)[0])

    async def _use_up(self, challenge: bytes) -> bool:
        """Take a challenge; of two answers at once, one gets it. What runs out with it need not be remembered."""
        until = datetime.fromtimestamp(_HEAD.unpack(challenge[: _HEAD.size])[0], UTC) + LIFE
        name = sha256(challenge).hexdigest()
        return await self._memory.remember_first(_USED, name, b"1", self._clock.now(), until) is None

    def _mac(self, head: bytes, purpose: Purpose) -> bytes:
        words = f"challenge\0{purpose.verb}\0{purpose.binding}".encode()
        return digest(self._key, head + words, "sha256")

    def _handle(self, owner: str) -> bytes:
        """Name an owner to devices, without telling who it is. Spec: W3C Web Authentication Level 3, §14.6.1."""
        return digest(self._key, f"handle\0{owner}".encode(), "sha256")[:_HANDLE_OCTETS]


def new_object_id() -> ObjectId:
    """Make a key of what the API names."""
    return ObjectId(secrets.token_hex(OBJECT_ID_OCTETS))


def _descriptors(passkeys: Sequence[Factor]) -> list[PublicKeyCredentialDescriptor]:
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

    return [PublicKeyCredentialDescriptor(id=each.secret) for each in passkeys if each.kind is FactorKind.PASSKEY]


def _challenge_in(response: str) -> bytes | None:
    """Read which challenge an answer is to; whether it is ours is asked next, the signature after that."""
    import json

    if len(response) > RESPONSE_CHARACTERS_MAX:
        return None

    def read() -> bytes | None:
        encoded = json.loads(response)["response"]["clientDataJSON"]
        client_data = json.loads(_from_base64url(encoded))
        if client_data.get("crossOrigin"):  # a frame in somebody else's page. Spec: §7.2 step 14
            return None
        return _from_base64url(client_data["challenge"])

    return _or_none(read)


def _from_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _or_none(read: Callable[[], ResultT]) -> ResultT | None:
    """Give None for whatever is wrong with octets of strangers: libraries stumble over them in many ways."""
    try:
        return read()
    except Exception as error:  # noqa: BLE001  what is not verified is refused, whatever the reason
        _log.info("passkey not accepted", cause=f"{type(error).__name__}: {error}"[:300])
        return None
