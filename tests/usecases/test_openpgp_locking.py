"""Secret keys under a passphrase."""

import pytest

from mailstead.mime.openpgp import Flaw
from mailstead.model.secret import Secret
from mailstead.usecases import openpgp_engine as engine
from mailstead.usecases.openpgp_locking import for_export, locked, opened
from mailstead.usecases.passwords import HashCost

COST = HashCost(1, 8)
PASSPHRASE = Secret("pp-never-in-a-log")


def test_what_is_kept_opens_with_its_passphrase_alone():
    octets = engine.make_secret("Alice <alice@example.test>")
    kept = locked(octets, PASSPHRASE, COST)
    assert octets[10:40] not in kept.octets
    assert opened(kept, PASSPHRASE) == octets
    with pytest.raises(Flaw, match="another"):
        opened(kept, Secret("x"))


def test_what_is_taken_along_is_locked_and_unlocks():
    octets = engine.make_secret("Alice <alice@example.test>")
    taken = for_export(octets, PASSPHRASE)
    with pytest.raises(Flaw):
        engine.unlocked(taken, "another")
    again = engine.unlocked(taken, PASSPHRASE.reveal())
    plain = engine.unlocked(octets, "")
    assert again.decrypt(engine.encrypted(b"x", [plain.public])).octets == b"x"
    assert for_export(taken, Secret("y")) == taken  # locked already
