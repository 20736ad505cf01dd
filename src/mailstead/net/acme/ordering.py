"""The task that keeps the ordered pair: looks whether it is due, orders, and puts the new one in place.

Theory of operation. The pair lies in tls/acme of the data folder, self-signed until the first order succeeds; whoever
serves it watches the files (`net.certificates`). The key stays when the certificate changes, as DANE records name it,
so that a renewal is one rename. Of several processes the one that gets the lock orders. How an order has failed stands
in a file, so that neither a restart nor another process asks an authority again that wants to be left alone.

Spec: RFC 8555 §7.4; RFC 7671 §8.1 (DANE-EE: a key that stays).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mailstead.model.errors import MailsteadError
from mailstead.net.acme.client import AcmeClient, PrivateKey, Prover
from mailstead.net.acme.jws import AccountKey, pem_of
from mailstead.net.acme.problems import AcmeFailed
from mailstead.net.acme.renewal import Held, back_off, covers, due_at
from mailstead.net.certificates import open_lock, write_whole
from mailstead.ports.clock import Clock
from mailstead.telemetry import log, metrics

_log = log.get("net")

LOOK_MAX_S: Final = 3600.0
"""How long nothing is looked at: names may be wanted that were not before."""
LOOK_MIN_S: Final = 60.0

Wanted = Callable[[frozenset[str]], Awaitable[tuple[str, ...]]]
"""Gives the names that a certificate is wanted for, and is told those that the present one has."""


class Failure(NamedTuple):
    """How the last order has failed."""

    in_row_count: int
    again_at: datetime
    reason: str
    mark: str
    """Of what was ordered and where: with other settings a new try is worth it at once."""


class _Busy(AcmeFailed):
    """Another process is ordering."""


class Ordering:
    """Orders for one data folder."""

    def __init__(
        self,
        folder: Path,
        client: Callable[[AccountKey], AcmeClient],
        prover: Prover,
        wanted: Wanted,
        clock: Clock,
        *,
        mark: str,
        chance: float,
    ) -> None:
        """`mark` names the settings that an order depends on; `chance` spreads renewals (see `renewal.renew_at`)."""
        self._folder = folder
        self._client = client
        self._prover = prover
        self._wanted = wanted
        self._clock = clock
        self._mark = mark
        self._chance = chance
        self.certificate_file: Final = folder / "certificate.pem"
        self.key_file: Final = folder / "key.pem"

    async def run(self) -> None:
        """Order whenever it is due, until cancelled."""
        while True:  # noqa: ASYNC110  # no event tells of a date, nor of a file that another process writes
            await asyncio.sleep(await self._look())  # until the next date, within LOOK_MIN_S and LOOK_MAX_S

    async def order(self) -> Held:
        """Order now, due or not, and put the new pair in place; the old one stays where that fails.

        Errors: AcmeFailed, BadSettings; OSError where the data folder cannot be written; what `wanted` raises.
        """
        with self._locked():
            held = read_held(self.certificate_file)
            return await self._order(await self._wanted(held.names if held else frozenset()))

    async def _look(self) -> float:
        """Order if it is due; give after how many seconds to look again."""
        try:
            with self._locked():
                held = read_held(self.certificate_file)
                wanted = await self._wanted(held.names if held else frozenset())
                now = self._clock.now()
                at = due_at(held, wanted, now, self._chance)
                failed = read_failure(self._folder)
                if failed is not None and failed.mark == self._mark_of(wanted):
                    at = max(at, failed.again_at)
                if at <= now:
                    held = await self._order(wanted)
                    at = due_at(held, wanted, self._clock.now(), self._chance)
        except _Busy:
            return LOOK_MIN_S
        except (MailsteadError, OSError) as error:
            failed = read_failure(self._folder)
            _log.error(
                "no certificate could be ordered, the one in place stays",
                reason=_reason(error),
                again_at=failed.again_at.isoformat() if failed else "",
            )
            at = failed.again_at if failed else self._clock.now() + back_off(1)
        except Exception as error:  # noqa: BLE001  # whatever it is: mail must not stop for want of a new certificate
            metrics.BUGS.labels("acme").inc()
            _log.error("ordering a certificate failed", exc_info=error)
            return LOOK_MAX_S
        return min(max((at - self._clock.now()).total_seconds(), LOOK_MIN_S), LOOK_MAX_S)

    async def _order(self, names: tuple[str, ...]) -> Held:
        """Order, check, put in place, and keep note of a failure. The lock is ours."""
        try:
            for left in (self._folder / "challenges").glob("*"):
                left.unlink(missing_ok=True)  # of an order that was cut off
            account = AccountKey.open(self._folder / "account-key.pem")
            key, is_new = _key_of(self.key_file)
            chain = await self._client(account).obtain(names, key, self._prover)
            held = _judged(chain, key, names, self._clock.now())
            if is_new:
                write_whole(self.key_file, _pem(key), 0o600)
            write_whole(self.certificate_file, chain, 0o644)
        except (MailsteadError, OSError) as error:
            self._note(error, self._mark_of(names))
            raise
        (self._folder / "failure.json").unlink(missing_ok=True)
        _log.info("certificate ordered", names=sorted(held.names), not_after=held.not_after.isoformat())
        return held

    def _note(self, error: Exception, mark: str) -> None:
        before = read_failure(self._folder)
        count = before.in_row_count + 1 if before and before.mark == mark else 1
        wait = back_off(count)
        asked_s = error.retry_after_s if isinstance(error, AcmeFailed) else None
        if asked_s is not None:
            wait = max(wait, timedelta(seconds=min(asked_s, 30 * 86400.0)))
        note = {
            "count": count,
            "again_at": (self._clock.now() + wait).isoformat(),
            "reason": _reason(error),
            "mark": mark,
        }
        with contextlib.suppress(OSError):  # the order's own error is the one to tell
            write_whole(self._folder / "failure.json", json.dumps(note).encode(), 0o600)

    def _mark_of(self, names: tuple[str, ...]) -> str:
        return " ".join((self._mark, *sorted(names)))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Errors: _Busy, OSError."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open_lock(self._folder / ".order.lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise _Busy("Another process is ordering a certificate just now; try again in a minute") from None
            yield


def read_held(certificate_file: Path) -> Held | None:
    """Give what renewal asks of the certificate in place; None where there is none that can be read."""
    try:
        return _facts(x509.load_pem_x509_certificates(certificate_file.read_bytes())[0])
    except (OSError, ValueError):
        return None


def read_failure(folder: Path) -> Failure | None:
    """Give how the last order has failed; None if it has not."""
    try:
        note: dict[str, Any] = json.loads((folder / "failure.json").read_bytes())
        again_at = datetime.fromisoformat(note["again_at"])
        return Failure(int(note["count"]), again_at, str(note["reason"]), str(note["mark"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _facts(leaf: x509.Certificate) -> Held:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = frozenset(name.lower() for name in found.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        names = frozenset()
    return Held(names, leaf.not_valid_before_utc, leaf.not_valid_after_utc, leaf.issuer == leaf.subject)


def _key_of(key_file: Path) -> tuple[PrivateKey, bool]:
    """Give the key in place, or a new one where there is none that serves; and whether it is new."""
    try:
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        return key, False
    return ec.generate_private_key(ec.SECP256R1()), True


def _pem(key: PrivateKey) -> bytes:
    assert isinstance(key, ec.EllipticCurvePrivateKey)  # only keys that we have made are written
    return pem_of(key)


def _judged(chain: bytes, key: PrivateKey, names: tuple[str, ...], now: datetime) -> Held:
    """Refuse a chain that could not serve, before it takes the place of one that does. Errors: AcmeFailed."""
    try:
        leaf = x509.load_pem_x509_certificates(chain)[0]
        is_ours = leaf.public_key() == key.public_key()
        held = _facts(leaf)
    except (ValueError, UnsupportedAlgorithm):
        raise AcmeFailed("The certificate authority gives something that is no certificate") from None
    if not is_ours:
        raise AcmeFailed("The certificate authority gives a certificate for another key than ours")
    if not covers(held.names, names):
        raise AcmeFailed("The certificate authority gives a certificate that lacks names we have ordered")
    if held.not_after <= now:
        raise AcmeFailed("The certificate that was had is past its end already; is the clock of this server right?")
    return held


def _reason(error: Exception) -> str:
    return error.public_text if isinstance(error, MailsteadError) else f"The data folder cannot be written: {error}"
