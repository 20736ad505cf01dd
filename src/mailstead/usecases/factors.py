"""Second factors: who has any, and whether what somebody shows is one.

Codes of a device (TOTP) can be guessed, so tries are counted by owner, wherever they come from: five are free, then the
wait doubles, through the one counter of failed log-ins. Who guesses codes knows the password, so nobody else is held
up. Recovery codes and passkeys cannot be guessed, and always get their owner in. Turning them on and off is
`usecases.factor_settings`.

Spec: RFC 6238 (TOTP), RFC 4226 §7 (throttling, resynchronization); attack row 95.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Final

from mailstead.model.envelope import Peer
from mailstead.model.errors import AuthenticationFailed, FactorNeeded, TooManyFailures
from mailstead.model.people import Factor, FactorKind
from mailstead.model.secret import Secret
from mailstead.policy.failures import Failures
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.telemetry import log, metrics
from mailstead.usecases.passwords import APP_PASSWORD_ALPHABET

STEP_S: Final = 30
"""Spec: RFC 6238 §4.1 (X)."""
STEPS_ASIDE: Final = 1
"""Steps before and after the present one that are taken, for clocks that go wrong. Spec: RFC 6238 §5.2."""
DIGITS: Final = 6
RECOVERY_LETTERS: Final = 22
"""22 times 5 bits."""
STRONG_FOR: Final = timedelta(minutes=15)
"""For so long after a second factor was shown, its owner may change what protects the account."""

_log = log.get("accounts")


@dataclass(frozen=True, slots=True)
class Shown:
    """What somebody has shown."""

    kind: FactorKind
    left_count: int = 0
    """Recovery codes that are left."""


class SecondFactors:
    """Asks for second factors, by owner (`model.people.owner_of`)."""

    def __init__(self, storage: Storage, clock: Clock, failures: Failures) -> None:
        self._factors = storage.factors
        self._clock = clock
        self._failures = failures

    async def needed(self, owner: str) -> bool:
        """Whether a password alone is not enough."""
        return bool(await self.kinds(owner))

    async def must_be_shown(self, owner: str, strong_at: datetime | None) -> None:
        """Errors: FactorNeeded, where one is on and was not shown lately; `strong_at`: when it was, if at all."""
        if await self.needed(owner) and (strong_at is None or self._clock.now() - strong_at > STRONG_FOR):
            raise FactorNeeded

    async def kinds(self, owner: str) -> frozenset[FactorKind]:
        """Which kinds may be shown: none without a device or a passkey."""
        return kinds_of(await self._factors.factors(owner))

    async def passkeys(self, owner: str) -> list[Factor]:
        """The passkeys of an owner."""
        return [each for each in await self._factors.factors(owner) if each.kind is FactorKind.PASSKEY]

    async def check(self, owner: str, code: Secret, peer: Peer, service: str) -> Shown:
        """Take a code of a device, or a recovery code, which is used up.

        Errors: AuthenticationFailed; TooManyFailures, also for a right code while its owner has to wait.
        """
        octets = recovery_octets(code)
        there = await self._factors.factors(owner)
        if octets is not None:
            left = await self._use_recovery(owner, there, octets)
            if left is not None:
                self._succeeded(owner, service)
                return Shown(FactorKind.RECOVERY, left)
        devices = [each for each in there if each.kind is FactorKind.TOTP and each.is_confirmed]
        await self._use_code(owner, devices, code, peer, service)
        return Shown(FactorKind.TOTP)

    async def confirm(self, device: Factor, code: Secret, peer: Peer) -> None:
        """Take a first code of a device, which is then confirmed. Errors: AuthenticationFailed, TooManyFailures."""
        await self._use_code(device.owner, [device], code, peer, "web")

    async def _use_code(self, owner: str, devices: Sequence[Factor], code: Secret, peer: Peer, service: str) -> None:
        """Take a code of one of the devices; no step is taken twice. Errors: AuthenticationFailed, TooManyFailures."""
        counter, now_s = f"second factor of {owner}", self._clock.monotonic_s()
        judgement = self._failures.judge(counter, owner, now_s)
        if judgement.refused_s:
            metrics.LOG_INS.labels(service, "refused").inc()
            raise TooManyFailures(owner=owner, service=service, refused_s=round(judgement.refused_s, 1))
        # Counted before it is looked at: of many tries at once, each sees those before it.
        self._failures.failed(counter, owner, now_s)
        now = self._clock.now()
        for device in devices:
            step = step_of(device, code, int(now.timestamp()))
            if step is not None and await self._factors.use_factor(device.factor_id, device.counter, step, now):
                self._succeeded(owner, service)
                return
        self._failures.failed(peer.address, owner, now_s)
        metrics.LOG_INS.labels(service, "failed").inc()
        _log.info("second factor failed", service=service, owner=owner, peer=peer.address)
        raise AuthenticationFailed(service=service, peer=peer.address, factor="code")

    def _succeeded(self, owner: str, service: str) -> None:
        self._failures.succeeded(f"second factor of {owner}", owner, self._clock.monotonic_s())
        _log.info("second factor shown", service=service, owner=owner)

    async def _use_recovery(self, owner: str, there: Sequence[Factor], octets: bytes) -> int | None:
        """Give how many are left, if it was one."""
        hashed = sha256(octets).digest()
        codes = [each for each in there if each.kind is FactorKind.RECOVERY]
        for each in codes:
            if compare_digest(each.secret, hashed):
                removed = await self._factors.remove_factors(owner, [each.factor_id], FactorKind.RECOVERY)
                return len(codes) - 1 if removed else None
        return None


def kinds_of(factors: Sequence[Factor]) -> frozenset[FactorKind]:
    """Give the kinds that may be shown; recovery codes alone are no second factor."""
    kinds = frozenset(each.kind for each in factors if each.is_confirmed)
    return kinds if kinds & {FactorKind.TOTP, FactorKind.PASSKEY} else frozenset()


def step_of(factor: Factor, code: Secret, now_s: int) -> int | None:
    """Give the step that a code is of, if it is later than the last one used. Spec: RFC 6238 §5.2."""
    from pyotp import TOTP

    digits = code.reveal().replace(" ", "")
    if len(digits) != DIGITS or not (digits.isascii() and digits.isdigit()):
        return None
    totp = TOTP(base64.b32encode(factor.secret).decode(), digits=DIGITS, interval=STEP_S)
    present, found = now_s // STEP_S, None
    for step in range(present - STEPS_ASIDE, present + STEPS_ASIDE + 1):
        if compare_digest(totp.generate_otp(step), digits) and step > factor.counter:
            found = step
    return found


def recovery_octets(code: Secret) -> bytes | None:
    """Give what is hashed of a recovery code, however it was typed; None for what is none."""
    letters = code.reveal().lower().replace("-", "").replace(" ", "")
    if len(letters) != RECOVERY_LETTERS or not all(letter in APP_PASSWORD_ALPHABET for letter in letters):
        return None
    return letters.encode()
