import pytest

from mailstead.model.address import Address
from mailstead.model.directory import Alias
from mailstead.model.envelope import Actor
from mailstead.model.errors import (
    AddressTaken,
    AliasLoop,
    BadAddress,
    LimitReached,
    NoSuchAddress,
    NoSuchAlias,
    NoSuchDomain,
    NotAllowed,
    PolicyRefused,
)


def address(text):
    return Address.parse(text if "@" in text else f"{text}@example.test")


async def test_create_list_remove(aliases, admin, alice):
    made = await aliases.create(admin, address("info"), [alice.address, address("ALICE"), address("x@elsewhere.test")])
    assert made == Alias(address("info"), (address("ALICE"), address("x@elsewhere.test")))
    assert await aliases.list(admin) == await aliases.list(admin, "example.test") == [made]
    await aliases.remove(admin, address("info"))
    assert await aliases.list(admin) == []
    with pytest.raises(NoSuchAlias):
        await aliases.remove(admin, address("info"))


async def test_rules(aliases, admin, alice):
    for name, targets, error in (
        ("alice", ["x@elsewhere.test"], AddressTaken),
        ("info@other.test", ["alice"], NoSuchDomain),
        ("mailer-daemon", ["alice"], PolicyRefused),
        ("info", [], BadAddress),
        ("info", ["nobody"], NoSuchAddress),
        ("info", ["info"], AliasLoop),
        ("info", ["info+x"], AliasLoop),
        ("info", [f"x{number}@elsewhere.test" for number in range(501)], LimitReached),
    ):
        with pytest.raises(error):
            await aliases.create(admin, address(name), [address(target) for target in targets])
    assert await aliases.list(admin) == []


async def test_no_alias_closes_a_circle(aliases, admin, alice, storage):
    await storage.directory.add_alias(Alias(address("a"), (address("c"),)))
    await aliases.create(admin, address("b"), [address("a")])
    with pytest.raises(AliasLoop):
        await aliases.create(admin, address("c"), [alice.address, address("b")])


async def test_no_alias_is_too_deep(aliases, admin, alice):
    await aliases.create(admin, address("deep0"), [alice.address])
    with pytest.raises(AliasLoop, match="too many"):
        for number in range(1, 30):
            await aliases.create(admin, address(f"deep{number}"), [address(f"deep{number - 1}")])


async def test_attack_053_for_administrators_only(aliases, alice):
    actor = Actor(alice.account_id, alice.address)
    for call in (
        aliases.create(actor, address("info"), [alice.address]),
        aliases.list(actor),
        aliases.remove(actor, address("info")),
    ):
        with pytest.raises(NotAllowed):
            await call
