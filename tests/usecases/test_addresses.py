import pytest

from mailstead.model.address import Address
from mailstead.model.directory import Alias
from mailstead.model.envelope import Actor
from mailstead.model.errors import AliasLoop, NoSuchAddress, NotOurDomain
from mailstead.usecases import addresses as module
from mailstead.usecases.addresses import Addresses, Resolution


def address(text):
    return Address.parse(text if "@" in text else f"{text}@example.test")


@pytest.fixture
def alias(storage):
    """Put an alias into the store without the checks of `Aliases`."""

    async def put(name, *targets):
        await storage.directory.add_alias(Alias(address(name), tuple(address(target) for target in targets)))

    return put


async def test_exact_detail_and_unknown(addresses, alice):
    for text in ("alice", "ALICE@example.test", "alice+lists", "alice+a+b"):
        assert await addresses.resolve(address(text)) == Resolution((alice,))
    for text in ("nobody", "nobody+alice", "+alice", "ali", "alice%"):
        with pytest.raises(NoSuchAddress):
            await addresses.resolve(address(text))
    with pytest.raises(NotOurDomain):
        await addresses.resolve(address("alice@elsewhere.test"))


async def test_an_exact_address_goes_before_its_detail(addresses, alice, bob, alias):
    await alias("alice+work", "bob")
    assert await addresses.resolve(address("alice+work")) == Resolution((bob,))


async def test_aliases_are_followed_and_everybody_is_named_once(addresses, alice, bob, alias):
    await alias("team", "alice", "bob", "someone@elsewhere.test")
    await alias("all", "team", "alice+all", "team")
    expected = Resolution((alice, bob), (address("someone@elsewhere.test"),))
    found = await addresses.resolve(address("all"))
    assert set(found.accounts) == set(expected.accounts)
    assert found.foreign == expected.foreign
    assert await addresses.resolve(address("team+x")) == expected


async def test_targets_that_are_gone_are_left_out(addresses, alice, alias):
    await alias("team", "alice", "gone")
    await alias("empty", "gone")
    assert await addresses.resolve(address("team")) == Resolution((alice,))
    with pytest.raises(NoSuchAddress):
        await addresses.resolve(address("empty"))


async def test_loops_and_limits(addresses, alice, alias, monkeypatch):
    await alias("a", "b")
    await alias("b", "a")
    await alias("c", "c+x", "alice")
    with pytest.raises(AliasLoop):
        await addresses.resolve(address("a"))
    assert await addresses.resolve(address("c")) == Resolution((alice,))
    for number in range(15):
        await alias(f"deep{number}", f"deep{number + 1}" if number < 14 else "alice")
    with pytest.raises(AliasLoop, match="too many aliases"):
        await addresses.resolve(address("deep0"))
    assert await addresses.resolve(address("deep8")) == Resolution((alice,))
    monkeypatch.setattr(module, "RECIPIENTS_MAX", 20)
    await alias("wide", *(f"x{number}" for number in range(21)))
    with pytest.raises(AliasLoop, match="too many others"):
        await addresses.resolve(address("wide"))


async def test_catch_all(addresses, domains, admin, alice, bob):
    await domains.set_catch_all(admin, "example.test", address("alice"))
    assert await addresses.resolve(address("whoever")) == Resolution((alice,))
    assert await addresses.resolve(address("bob")) == Resolution((bob,))
    await domains.set_catch_all(admin, "example.test", address("x@elsewhere.test"))
    assert await addresses.resolve(address("whoever")) == Resolution((), (address("x@elsewhere.test"),))


async def test_catch_all_that_is_gone_does_not_loop(addresses, storage, accounts, admin, alice):
    await storage.directory.set_catch_all("example.test", address("alice"))
    await accounts.remove(admin, alice.address)
    with pytest.raises(AliasLoop):
        await addresses.resolve(address("whoever"))


async def test_postmaster_is_always_somebody(storage, bus, clock, domains, admin, addresses, alice, bob, accounts):
    assert await addresses.resolve(address("Postmaster")) == Resolution((alice,))
    named = Addresses(storage, bus, clock, postmaster=bob.address)
    assert await named.resolve(address("postmaster")) == Resolution((bob,))
    await domains.set_catch_all(admin, "example.test", bob.address)
    assert await addresses.resolve(address("postmaster")) == Resolution((bob,))
    named.close()


async def test_resolve_cached(addresses, aliases, admin, alice, bob, clock):
    assert addresses.resolve_cached(address("alice")) is None
    await addresses.resolve(address("alice"))
    assert addresses.resolve_cached(address("ALICE")) == Resolution((alice,))
    clock.passed_s += 3
    assert addresses.resolve_cached(address("alice")) is None


async def test_a_change_is_in_force_at_once(addresses, aliases, admin, alice, bob):
    await aliases.create(admin, address("info"), [alice.address])
    assert await addresses.resolve(address("info")) == Resolution((alice,))
    await aliases.remove(admin, address("info"))
    await aliases.create(admin, address("info"), [bob.address])
    assert await addresses.resolve(address("info")) == Resolution((bob,))
    await aliases.remove(admin, address("info"))
    with pytest.raises(NoSuchAddress):
        await addresses.resolve(address("info"))


async def test_memory_is_bounded(addresses, alice, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED_MAX", 5)
    for number in range(20):
        await addresses.resolve(address(f"alice+{number}"))
    assert len(addresses._remembered) == 5


async def test_may_send_as(addresses, alias, alice, bob, admin):
    actor = Actor(alice.account_id, alice.address)
    await alias("info", "alice")
    await alias("team", "alice", "bob")
    await alias("alice+bob", "bob")
    for text, may in {
        "alice": True,
        "Alice+anything": True,
        "info": True,
        "info+x": True,
        "team": False,
        "bob": False,
        "alice+bob": False,
        "nobody": False,
        "postmaster": False,
        "alice@elsewhere.test": False,
    }.items():
        assert await addresses.may_send_as(actor, address(text)) is may, text
    assert not await addresses.may_send_as(admin, alice.address)


@pytest.mark.parametrize("text", ["%", "_lice", "a*", "' OR 1=1 --", "{$ne}", "alice' --"])
async def test_attack_075_wildcards_and_operators_find_nobody(addresses, alice, text):
    with pytest.raises(NoSuchAddress):
        await addresses.resolve(Address(text, "example.test"))


async def test_attack_020_refusals_take_one_path(addresses, alice):
    """Unknown local parts of any shape: the same error, the same text, from the same memory the second time."""
    texts = []
    for text in ("nobody", "nobody+x", "alicf"):
        for _ in range(2):
            with pytest.raises(NoSuchAddress) as refused:
                await addresses.resolve(address(text))
            texts.append(refused.value.public_text)
    assert len(set(texts)) == 1
