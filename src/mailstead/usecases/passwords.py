"""Hashing and checking passwords: slow by design, hence in two threads of their own, and remembered for a while.

Main passwords are chosen by people: argon2id with t=2, m=19 MiB, p=1, about 18 ms of one core. App passwords are
chosen by us with 130 bits of chance, so a hash that costs nothing is safe, and an account with many is not slower.

No answer tells by its time whether an account exists (attack row 62): a check against nobody does the work of a check
against somebody.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import pbkdf2_hmac, sha256
from hmac import compare_digest, digest
from typing import Final, TypeVar

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from mailstead.model.directory import AppPassword, Credentials, Verifier
from mailstead.model.errors import PolicyRefused, TryAgainLater
from mailstead.model.saslprep import NotPreparable, saslprep
from mailstead.model.secret import Secret
from mailstead.ports.clock import Clock

ResultT = TypeVar("ResultT")

ARGON2ID_SALT_OCTETS: Final = 16
ARGON2ID_OCTETS: Final = 32
PASSWORD_OCTETS_MAX: Final = 1024
PASSWORD_CHARACTERS_MIN: Final = 8

APP_PASSWORD_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"  # noqa: S105  letters, not a password
"""32 letters, without those that look alike."""
APP_PASSWORD_LETTERS: Final = 26
"""26 times 5 bits."""
APP_PASSWORDS_MAX: Final = 25
"""As many as an account may have are always checked, so that time does not tell how many there are."""

_UNSET_KEY: Final = bytes(32)
"""No HMAC gives that."""

SHA512_CRYPT: Final = "$6$"
_CRYPT: Final = re.compile(r"\$6\$(?:rounds=[1-9][0-9]{3,5}\$)?[./0-9A-Za-z]{1,16}\$[./0-9A-Za-z]{86}")
"""Up to 999,999 rounds, about a second: more would let guessers keep our threads busy."""

_PHC: Final = re.compile(r"\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$")

THREAD_COUNT: Final = 2
WAITING_MAX: Final = 256
"""Checks that may wait for a thread; about two seconds of work."""
REMEMBERED_MAX: Final = 10_000
REMEMBERED_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class HashCost:
    """What one argon2id hash costs. Spec: RFC 9106 §3.1."""

    iterations: int
    memory_kib: int
    lanes: int = 1


COST_MIN_KIB: Final = 35 * 1024
"""Memory times iterations of the cheapest cost for main passwords."""
MAIN_COST: Final = HashCost(iterations=2, memory_kib=19 * 1024)
APP_COST: Final = HashCost(iterations=1, memory_kib=8)


class Passwords:
    """Makes and checks verifiers. `close` ends its threads."""

    def __init__(self, clock: Clock, cost: HashCost = MAIN_COST) -> None:
        self._clock = clock
        self._cost = cost
        self._threads = ThreadPoolExecutor(THREAD_COUNT, "passwords")
        self._free_threads = asyncio.Semaphore(THREAD_COUNT)
        self._waiting_count = 0
        self._remembered: OrderedDict[bytes, float] = OrderedDict()
        self._remembering_key = secrets.token_bytes(32)
        self._nobody = _argon2id(secrets.token_bytes(16), cost)
        self._no_app = _argon2id(secrets.token_bytes(16), APP_COST)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    async def make_verifier(
        self, secret: Secret, salt: bytes, iteration_count: int, cost: HashCost | None = None
    ) -> Verifier:
        """Give what is kept of a password.

        Spec: RFC 9106; RFC 5802 §3 and RFC 7677 for the SCRAM keys.
        Errors: PolicyRefused for passwords that are too short, too long or hold control characters; TryAgainLater.
        """
        octets = _prepared(secret)
        if octets is None or len(octets) > PASSWORD_OCTETS_MAX:
            raise PolicyRefused("The password is too long or has control characters")
        if len(secret.reveal()) < PASSWORD_CHARACTERS_MIN:
            raise PolicyRefused(f"The password has fewer than {PASSWORD_CHARACTERS_MIN} characters")
        return await self._in_thread(lambda: _verifier(octets, salt, iteration_count, cost or self._cost))

    def unset_verifier(self) -> Verifier:
        """Give what stands for a password that was never set: nothing fits it, after the usual work (`is_unset`)."""
        return Verifier(self._nobody, secrets.token_bytes(32), _UNSET_KEY)

    async def make_adopted_verifier(self, secret: Secret, salt: bytes, iteration_count: int) -> Verifier | None:
        """Give what is kept of a password that is in use already, however short; None where we can keep none of it.

        Errors: TryAgainLater.
        """
        octets = _prepared(secret)
        if octets is None:
            return None
        return await self._in_thread(lambda: _verifier(octets, salt, iteration_count, self._cost))

    async def make_app_verifier(self, secret: Secret, salt: bytes, iteration_count: int) -> Verifier:
        """Give what is kept of an app password made by `new_app_password`."""
        return await self.make_verifier(secret, salt, iteration_count, APP_COST)

    async def make_sealed_verifier(self, secret: Secret, salt: bytes, iteration_count: int) -> Verifier:
        """Give what is kept of the main password of a sealed account: no SCRAM keys, whose hash is the cheaper one.

        A proof by SCRAM fits nothing then. Errors: as `make_verifier`.
        """
        verifier = await self.make_verifier(secret, salt, iteration_count)
        return replace(verifier, scram_stored_key=secrets.token_bytes(32), scram_server_key=secrets.token_bytes(32))

    async def derived_key(self, secret: Secret, salt: bytes, cost: HashCost) -> bytes:
        """Derive 32 octets from a password by argon2id. Spec: RFC 9106. Errors: TryAgainLater."""
        octets = _prepared(secret) or b""
        return await self._in_thread(
            lambda: Argon2id(
                salt=salt, length=32, iterations=cost.iterations, lanes=cost.lanes, memory_cost=cost.memory_kib
            ).derive(octets)
        )

    async def client_key(self, secret: Secret, salt: bytes, iteration_count: int) -> bytes:
        """Give the key that SCRAM proves. Spec: RFC 5802 §3. Errors: TryAgainLater."""
        octets = _prepared(secret) or b""
        return await self._in_thread(
            lambda: digest(pbkdf2_hmac("sha256", octets, salt, iteration_count), b"Client Key", "sha256")
        )

    @property
    def cost(self) -> HashCost:
        """What hashes of main passwords cost."""
        return self._cost

    def has_other_cost(self, verifier: Verifier) -> bool:
        """Whether the hash of a main password costs other than those made now (memory, iterations or lanes)."""
        cost = cost_of(verifier.argon2id)
        return cost is not None and cost != self._cost

    async def with_present_cost(self, secret: Secret, verifier: Verifier) -> Verifier:
        """Give a verifier of the same password, which was just checked, hashed at the present cost.

        The SCRAM keys stay, and with them what sessions know the password by. Errors: TryAgainLater.
        """
        octets = _prepared(secret) or b""
        return await self._in_thread(lambda: replace(verifier, argon2id=_argon2id(octets, self._cost)))

    async def matching_app(self, secret: Secret, credentials: Credentials | None) -> Verifier | None:
        """Give the verifier of an app password made by us that the secret fits: no slow hash is made, however it ends.

        Errors: TryAgainLater.
        """
        octets = _prepared(secret) or b""
        if not _is_app_shaped(octets):
            return None
        app_passwords = [each for each in credentials.app_passwords if not each.is_chosen] if credentials else []
        for app_password in app_passwords:
            if self._is_remembered(octets, app_password.verifier):
                return app_password.verifier
        found = await self._in_thread(lambda: self._check_apps(octets, app_passwords))
        if found:
            self._remember(octets, found)
        return found

    async def matching(
        self,
        secret: Secret,
        credentials: Credentials | None,
        before_check: Callable[[], None] = lambda: None,
        *,
        remembers_main: bool = True,
    ) -> Verifier | None:
        """Give the verifier, of the main or an app password, that the secret fits; None if there is none.

        `credentials` None stands for an account that does not exist, and takes the same time. `before_check` is called
        when a thread is free, just before the work, and may raise: of many guesses sent at once, each is judged with
        the result of those before it. `remembers_main`: a main password is checked by its hash each time without it.
        Errors: TryAgainLater, when too many checks wait already; what `before_check` raises.
        """
        octets, as_typed = _prepared(secret) or b"", secret.reveal().encode("utf-8", "replace")
        app_passwords = credentials.app_passwords if credentials else ()
        main = credentials.password if credentials else None
        is_app_shaped = _is_app_shaped(octets)
        chosen = [password.verifier for password in app_passwords if password.is_chosen]
        known = [password.verifier for password in app_passwords] if is_app_shaped else chosen[:]
        if main and remembers_main:
            known.append(main)
        for verifier in known:
            if self._is_remembered(as_typed if is_foreign(verifier) else octets, verifier):
                return verifier
        apps = app_passwords if is_app_shaped else None
        found = await self._in_thread(lambda: self._check(octets, as_typed, main, apps, chosen), before_check)
        if found and (remembers_main or found is not main):
            self._remember(as_typed if is_foreign(found) else octets, found)
        return found

    def _check_apps(self, octets: bytes, app_passwords: Sequence[AppPassword]) -> Verifier | None:
        """Run in a thread: always the work of as many as there may be."""
        found: Verifier | None = None
        for app_password in app_passwords:
            if _fits(octets, app_password.verifier.argon2id):
                found = app_password.verifier
        for _ in range(APP_PASSWORDS_MAX - len(app_passwords)):
            _fits(octets, self._no_app)
        return found

    def _check(
        self,
        octets: bytes,
        as_typed: bytes,
        main: Verifier | None,
        app_passwords: Sequence[AppPassword] | None,
        chosen: Sequence[Verifier] = (),
    ) -> Verifier | None:
        """Run in a thread. `app_passwords` None: the secret does not look like one."""
        for verifier in chosen:
            if _fits(octets, verifier.argon2id):
                return verifier
        found: Verifier | None = None
        if app_passwords is not None:
            for app_password in app_passwords:
                if not app_password.is_chosen and _fits(octets, app_password.verifier.argon2id):
                    found = app_password.verifier
            for _ in range(APP_PASSWORDS_MAX - len(app_passwords)):
                _fits(octets, self._no_app)
            if found:
                return found
        if main and is_foreign(main):
            return main if _fits_crypt(as_typed, main.argon2id) else None
        if _fits(octets, main.argon2id if main else self._nobody) and main:
            return main
        if main and (rest := self._rest(main)) is not None:
            _argon2id(octets, rest)
        return None

    def _rest(self, verifier: Verifier) -> HashCost | None:
        """Give what is missing where a hash of earlier was cheaper: its account would answer quicker than none.

        Not of those that are cheap on purpose (`usecases.openings`).
        """
        cost = cost_of(verifier.argon2id)
        if cost is None or cost == self._cost or (work := cost.iterations * cost.memory_kib) < COST_MIN_KIB:
            return None
        missing = self._cost.iterations * self._cost.memory_kib - work
        return None if missing <= 0 else HashCost(self._cost.iterations, max(8, missing // self._cost.iterations))

    async def _in_thread(self, work: Callable[[], ResultT], before_work: Callable[[], None] = lambda: None) -> ResultT:
        if self._waiting_count >= WAITING_MAX:
            raise TryAgainLater("Too many log-ins at once; please try again later")
        self._waiting_count += 1
        try:
            async with self._free_threads:
                before_work()
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting_count -= 1

    def _is_remembered(self, octets: bytes, verifier: Verifier) -> bool:
        key = self._memory_key(octets, verifier)
        until_s = self._remembered.get(key)
        if until_s is None:
            return False
        if until_s < self._clock.monotonic_s():
            del self._remembered[key]
            return False
        return True

    def _remember(self, octets: bytes, verifier: Verifier) -> None:
        self._remembered[self._memory_key(octets, verifier)] = self._clock.monotonic_s() + REMEMBERED_S
        if len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)

    def _memory_key(self, octets: bytes, verifier: Verifier) -> bytes:
        # All inputs are in the key (attack row 63): another verifier, be it of another account or of the same one after
        # a change, is another key. The verifier's salted hash has a fixed length, so the parts cannot be shifted.
        return digest(self._remembering_key, sha256(verifier.argon2id.encode()).digest() + octets, "sha256")


def new_app_password() -> Secret:
    """Make a password of 130 bits, in groups that can be typed."""
    return Secret("-".join(_letters(count) for count in (6, 6, 6, 8)))


def is_unset(verifier: Verifier) -> bool:
    """Whether it stands for a password that was never set."""
    return verifier.scram_server_key == _UNSET_KEY


def fingerprint(verifier: Verifier) -> bytes:
    """Give what tells this verifier from any later one, without telling anything about the password."""
    return sha256(verifier.scram_stored_key).digest()[:16]


def is_same(left: Verifier, right: Verifier) -> bool:
    """Whether both were made of the same password with the same salt."""
    return compare_digest(left.scram_stored_key, right.scram_stored_key)


def _letters(count: int) -> str:
    return "".join(secrets.choice(APP_PASSWORD_ALPHABET) for _ in range(count))


def _is_app_shaped(octets: bytes) -> bool:
    letters = octets.decode().replace("-", "")
    return len(letters) == APP_PASSWORD_LETTERS and all(letter in APP_PASSWORD_ALPHABET for letter in letters)


def _prepared(secret: Secret) -> bytes | None:
    """Give the octets that are hashed; None for a text that cannot be a password."""
    try:
        prepared = saslprep(secret.reveal()).encode()
    except (NotPreparable, UnicodeEncodeError):
        return None
    return prepared if prepared and b"\0" not in prepared else None


def _verifier(octets: bytes, salt: bytes, iteration_count: int, cost: HashCost) -> Verifier:
    salted = pbkdf2_hmac("sha256", octets, salt, iteration_count)
    stored_key = sha256(digest(salted, b"Client Key", "sha256")).digest()
    return Verifier(_argon2id(octets, cost), stored_key, digest(salted, b"Server Key", "sha256"))


def hash_once(cost: HashCost) -> None:
    """Make a hash of nothing, to see how long it takes."""
    _argon2id(b"", cost)


def _argon2id(octets: bytes, cost: HashCost) -> str:
    return Argon2id(
        salt=secrets.token_bytes(ARGON2ID_SALT_OCTETS),
        length=ARGON2ID_OCTETS,
        iterations=cost.iterations,
        lanes=cost.lanes,
        memory_cost=cost.memory_kib,
    ).derive_phc_encoded(octets)


def cost_of(phc: str) -> HashCost | None:
    """Read what a hash costs; None for one that is not argon2id. Spec: RFC 9106; the PHC string format."""
    found = _PHC.match(phc)
    return None if found is None else HashCost(int(found[2]), int(found[1]), int(found[3]))


def is_foreign(verifier: Verifier) -> bool:
    """Whether its hash is one of another system's, to be replaced at the first log-in."""
    return verifier.argon2id.startswith(SHA512_CRYPT)


def foreign_verifier(hashed: str) -> Verifier:
    """Give what stands for a hash of another system. Errors: PolicyRefused for one that we cannot check.

    Shapes: ``$6$…`` (SHA512-CRYPT), with Dovecot's ``{SHA512-CRYPT}`` before it or not. SCRAM cannot use it: nobody
    knows a key whose hash is made up here.
    """
    text = hashed.strip().removeprefix("{SHA512-CRYPT}")
    if not _CRYPT.fullmatch(text):
        raise PolicyRefused("That is no hash that we can check: it should begin with {SHA512-CRYPT}$6$")
    return Verifier(text, sha256(b"stored" + text.encode()).digest(), sha256(b"server" + text.encode()).digest())


def _fits(octets: bytes, phc: str) -> bool:
    try:
        Argon2id.verify_phc_encoded(octets, phc)
    except InvalidKey:
        return False
    return True


def _fits_crypt(as_typed: bytes, hashed: str) -> bool:
    """Check a hash of another system, which took the password's octets as they came."""
    from passlib.exc import PasswordValueError
    from passlib.handlers.sha2_crypt import sha512_crypt  # only those who come from a relay need it

    try:
        return bool(sha512_crypt.verify(as_typed, hashed))
    except PasswordValueError:  # longer than any, or with a NUL
        return False
