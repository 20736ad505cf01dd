"""Keys of OpenPGP are kept as they are, one under each fingerprint."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mailstead.model.errors import LimitReached
from mailstead.model.openpgp import KEYS_MAX, KeySource, LockedSecret, OpenpgpKey

NOW = datetime(2026, 11, 28, tzinfo=UTC)
BOB = OpenpgpKey("0b", "bob@else.test", ("Bob <bob@else.test>",), b"\x98\x00", NOW, KeySource.BY_HAND)
OWN = OpenpgpKey(
    "ff", "z@example.test", ("Z",), b"\x99", NOW, KeySource.MADE, True, LockedSecret(b"\x00\xff", b"salt", 2, 19456)
)


async def test_keys_come_back_as_they_were_own_ones_first(account):
    await account.openpgp.put(BOB)
    await account.openpgp.put(OWN)
    assert await account.openpgp.keys() == [OWN, BOB]


async def test_one_under_each_fingerprint(account):
    await account.openpgp.put(BOB)
    await account.openpgp.put(replace(BOB, is_verified=True))
    assert [each.is_verified for each in await account.openpgp.keys()] == [True]
    assert await account.openpgp.remove("0b")
    assert not await account.openpgp.remove("0b")
    assert await account.openpgp.keys() == []


async def test_attack_103_there_is_a_limit(account):
    for number in range(KEYS_MAX):
        await account.openpgp.put(replace(BOB, fingerprint=f"{number:04x}"))
    with pytest.raises(LimitReached):
        await account.openpgp.put(replace(BOB, fingerprint="ffff"))
    assert len(await account.openpgp.keys()) == KEYS_MAX


def test_the_secret_key_is_in_no_repr():
    assert "octets" not in repr(OWN)
    assert OWN.spaced == "FF"
    assert replace(BOB, fingerprint="0123456789ab").spaced == "0123 4567 89AB"
