import asyncio
import statistics
import threading
import time
from datetime import UTC, datetime

import pytest

from mailstead.model.address import Address
from mailstead.model.directory import Account, AppPassword, Credentials
from mailstead.model.errors import PolicyRefused, TryAgainLater
from mailstead.model.ids import AccountId
from mailstead.model.secret import Secret
from mailstead.usecases import passwords as module
from mailstead.usecases.passwords import MAIN_COST, HashCost, Passwords, fingerprint, is_same, new_app_password

RIGHT, WRONG, SALT = Secret("pw-never-in-a-log-right"), Secret("pw-never-in-a-log-wrong"), b"0123456789abcdef"
ALICE = Account(AccountId("a" * 16), Address.parse("alice@example.test"))


@pytest.fixture
async def passwords(clock):
    passwords = Passwords(clock, HashCost(1, 8))
    yield passwords
    passwords.close()


async def credentials_of(passwords, secret=RIGHT, app_secrets=()):
    verifiers = [await passwords.make_app_verifier(app, SALT, 4096) for app in app_secrets]
    apps = tuple(
        AppPassword(number, "x", frozenset(), datetime.now(UTC), verifier) for number, verifier in enumerate(verifiers)
    )
    return Credentials(ALICE, SALT, 4096, await passwords.make_verifier(secret, SALT, 4096), apps)


async def test_right_and_wrong(passwords):
    credentials = await credentials_of(passwords)
    assert await passwords.matching(RIGHT, credentials) is credentials.password
    assert await passwords.matching(WRONG, credentials) is None
    assert await passwords.matching(Secret(""), credentials) is None
    assert await passwords.matching(Secret("a\x00b"), credentials) is None
    assert await passwords.matching(Secret("\ud800"), credentials) is None
    assert await passwords.matching(RIGHT, None) is None


async def test_phc_string_is_salted_and_says_its_cost(clock):
    passwords = Passwords(clock)
    first = await passwords.make_verifier(RIGHT, SALT, 4096)
    second = await passwords.make_verifier(RIGHT, SALT, 4096)
    assert first.argon2id.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first.argon2id != second.argon2id
    assert is_same(first, second)
    assert fingerprint(first) == fingerprint(second)
    assert (MAIN_COST.iterations, MAIN_COST.memory_kib, MAIN_COST.lanes) == (2, 19456, 1)
    passwords.close()


async def test_the_same_password_typed_otherwise(passwords):
    credentials = await credentials_of(passwords, Secret("pw-e\u0301clair\u00a0x"))
    assert await passwords.matching(Secret("pw-éclair x"), credentials)


@pytest.mark.parametrize("text", ["short", "", "x" * 1025, "control\x07char", "\u0627mixed-direction"])
async def test_bad_new_passwords_are_refused(passwords, text):
    with pytest.raises(PolicyRefused):
        await passwords.make_verifier(Secret(text), SALT, 4096)


async def test_app_passwords(passwords):
    first, second = new_app_password(), new_app_password()
    credentials = await credentials_of(passwords, app_secrets=(first, second))
    assert await passwords.matching(second, credentials) is credentials.app_passwords[1].verifier
    assert await passwords.matching(first, credentials) is credentials.app_passwords[0].verifier
    assert await passwords.matching(new_app_password(), credentials) is None
    assert await passwords.matching(RIGHT, credentials) is credentials.password
    letters = first.reveal().replace("-", "")
    assert len(letters) * 5 >= 128
    assert await passwords.matching(Secret(letters), credentials) is None  # as given, with its dashes


async def test_a_main_password_may_look_like_an_app_password(passwords):
    secret = new_app_password()
    credentials = await credentials_of(passwords, secret)
    assert await passwords.matching(secret, credentials) is credentials.password


def count_hashes(monkeypatch):
    hashes = []
    fits = module._fits

    def counted(octets, phc):
        hashes.append(phc)
        return fits(octets, phc)

    monkeypatch.setattr(module, "_fits", counted)
    return hashes


async def test_success_is_remembered_for_a_while_only(passwords, clock, monkeypatch):
    credentials = await credentials_of(passwords)
    hashes = count_hashes(monkeypatch)
    for _ in range(10):
        assert await passwords.matching(RIGHT, credentials)
    assert len(hashes) == 1
    clock.passed_s += module.REMEMBERED_S + 1
    assert await passwords.matching(RIGHT, credentials)
    assert len(hashes) == 2


async def test_attack_063_memory_knows_account_verifier_and_secret(passwords, monkeypatch):
    """Neither another account with the same password, nor the same account after a change, profits from a memory."""
    credentials, others = await credentials_of(passwords), await credentials_of(passwords)
    assert await passwords.matching(RIGHT, credentials)
    hashes = count_hashes(monkeypatch)
    assert await passwords.matching(RIGHT, others)
    assert len(hashes) == 1
    changed = await credentials_of(passwords, WRONG)
    assert await passwords.matching(RIGHT, changed) is None
    assert await passwords.matching(Secret(RIGHT.reveal() + "x"), credentials) is None
    for key in passwords._remembered:
        assert RIGHT.reveal().encode() not in key


async def test_memory_is_bounded(passwords, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED_MAX", 3)
    for _ in range(6):
        assert await passwords.matching(RIGHT, await credentials_of(passwords))
    assert len(passwords._remembered) == 3


async def test_attack_062_same_hash_work_for_unknown_and_known(passwords, monkeypatch):
    app = new_app_password()
    cases = [None, await credentials_of(passwords), await credentials_of(passwords, app_secrets=(app, app))]
    hashes = count_hashes(monkeypatch)
    for secret in (WRONG, new_app_password()):
        work = []
        for credentials in cases:
            hashes.clear()
            assert await passwords.matching(secret, credentials) is None
            work.append(sorted(phc[: phc.rindex("$") - 22] for phc in hashes))
        assert work[0] == work[1] == work[2]


async def test_attack_020_062_times_of_known_and_unknown_do_not_differ(clock):
    """Medians of interleaved samples with the real cost; a real difference would be a whole hash, many milliseconds."""
    passwords = Passwords(clock)
    known = await credentials_of(passwords)
    times = {"known": [], "unknown": []}
    for _ in range(15):
        for name, credentials in (("known", known), ("unknown", None)):
            started = time.perf_counter()
            assert await passwords.matching(WRONG, credentials) is None
            times[name].append(time.perf_counter() - started)
    ratio = statistics.median(times["known"]) / statistics.median(times["unknown"])
    assert 0.6 < ratio < 1.6
    assert statistics.median(times["unknown"]) > 0.004
    passwords.close()


async def test_the_loop_runs_on_while_hashes_are_made(clock):
    passwords = Passwords(clock)
    loop_thread, used = threading.get_ident(), set()
    real = module._fits
    module._fits = lambda octets, phc: (used.add(threading.get_ident()), real(octets, phc))[1]
    try:
        await asyncio.gather(*(passwords.matching(WRONG, None) for _ in range(4)))
    finally:
        module._fits = real
    assert used
    assert loop_thread not in used
    passwords.close()


async def test_too_many_at_once_are_told_to_wait(passwords, monkeypatch):
    monkeypatch.setattr(module, "WAITING_MAX", 5)
    results = await asyncio.gather(*(passwords.matching(WRONG, None) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(result, TryAgainLater) for result in results) == 15
    assert await passwords.matching(WRONG, None) is None


async def test_before_check_is_asked_when_the_turn_comes(passwords):
    asked = []

    def refuse_after_three():
        asked.append(1)
        if len(asked) > 3:
            raise TryAgainLater

    results = await asyncio.gather(
        *(passwords.matching(WRONG, None, refuse_after_three) for _ in range(10)), return_exceptions=True
    )
    assert results.count(None) == 3
