import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mailstead.model.directory import Alias, HostTarget, WebhookTarget
from mailstead.model.envelope import Actor
from mailstead.model.errors import (
    AddressTaken,
    AliasLoop,
    BadAddress,
    BadTarget,
    LimitReached,
    NoSuchAddress,
    NoSuchAlias,
    NoSuchDomain,
    NotAllowed,
    PolicyRefused,
)
from mailstead.policy.patterns import alias_address
from mailstead.usecases import aliases as module


def address(text):
    return alias_address(text if "@" in text else f"{text}@example.test")


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
        ("!info", ["alice"], PolicyRefused),
        ("info", [], BadTarget),
        ("*", [], BadTarget),
        ("/(/", ["alice"], BadAddress),
        ("/^(a)$/", ["$2@x.test"], BadTarget),
        ("info", ["nobody"], NoSuchAddress),
        ("info", ["info"], AliasLoop),
        ("info", ["info+x"], AliasLoop),
        ("info", [f"x{number}@elsewhere.test" for number in range(11)], LimitReached),
    ):
        with pytest.raises(error):
            await aliases.create(admin, address(name), [address(target) for target in targets])
    for attributes in ({"disabled_code": 251}, {"description": "x" * 151}, {"description": "a\nb"}):
        with pytest.raises(PolicyRefused):
            await aliases.create(admin, address("info"), [alice.address], **attributes)
    for code in (250, 550):
        with pytest.raises(PolicyRefused):
            await aliases.create(admin, address("*"), [alice.address], disabled_code=code)
    ends = datetime(2040, 1, 1, tzinfo=UTC)
    with pytest.raises(PolicyRefused):  # all mail for unknown names would vanish one day
        await aliases.add(admin, Alias(address("*"), (alice.address,), disabled_code=250, expires_at=ends))
    assert await aliases.list(admin) == []
    await aliases.add(admin, Alias(address("*"), (alice.address,), disabled_code=250))


async def test_a_domain_may_allow_more_targets(aliases, domains, admin):
    await domains.set_terms(admin, "example.test", {"targets_per_alias_max": "12"})
    many = [address(f"x{number}@elsewhere.test") for number in range(13)]
    await aliases.create(admin, address("info"), many[:12])
    with pytest.raises(LimitReached, match="targets_per_alias_max"):
        await aliases.create(admin, address("more"), many)


async def test_targets_of_every_kind(aliases, admin, alice):
    targets = (alice.address, address("*@x.test"), HostTarget("mail.test", 26), WebhookTarget("https://h.test/"))
    made = await aliases.create(admin, address("info"), [*targets, *targets], description="the shop")
    assert made == Alias(address("info"), targets, description="the shop")
    assert await aliases.get(admin, address("INFO")) == made


async def test_attack_059_patterns_are_compiled_before_they_are_saved(aliases, admin, alice, monkeypatch):
    with pytest.raises(BadAddress, match="back references"):
        await aliases.create(admin, address(r"/(a)\1/"), [alice.address])
    monkeypatch.setattr(module, "PATTERNS_MAX", 2)
    for name in ("/^a-(.+)$/", "/^b-/"):
        await aliases.create(admin, address(name), [alice.address])
    with pytest.raises(LimitReached, match="regular expressions"):
        await aliases.create(admin, address("/^c-/"), [alice.address])
    pattern = await aliases.get(admin, address("/^a-(.+)$/"))
    assert await aliases.replace(admin, replace(pattern, targets=(address("$1@x.test"),)))
    with pytest.raises(BadTarget):
        await aliases.replace(admin, replace(pattern, targets=(address("$2@x.test"),)))


async def test_a_target_may_be_somebody_by_a_pattern_or_the_catch_all(aliases, domains, admin, alice):
    with pytest.raises(NoSuchAddress):
        await aliases.create(admin, address("info"), [address("p-1")])
    await aliases.create(admin, address("/^p-/"), [alice.address])
    await aliases.create(admin, address("info"), [address("p-1")])
    with pytest.raises(NoSuchAddress):
        await aliases.create(admin, address("*"), [address("q-1")])
    await domains.add(admin, "dns.test")
    await domains.set_terms(admin, "dns.test", {"uses_dns_rules": "yes"})
    await aliases.create(admin, address("*"), [address("somebody@dns.test")])
    await aliases.create(admin, address("more"), [address("q-1")])


async def test_change_switch_off_and_on(aliases, admin, alice, bob):
    made = await aliases.create(admin, address("info"), [alice.address], disabled_code=421)
    assert (made.is_enabled, made.disabled_code) == (False, 421)
    assert (await aliases.enable(admin, address("info"))).is_enabled
    assert await aliases.disable(admin, address("info"), 250) == replace(made, disabled_code=250)
    ends = datetime(2030, 1, 1, tzinfo=UTC)
    changed = await aliases.replace(admin, replace(made, targets=(bob.address,), is_enabled=True, expires_at=ends))
    assert await aliases.get(admin, address("info")) == changed
    await aliases.create(admin, address("*"), [alice.address])
    with pytest.raises(PolicyRefused, match="remove it"):
        await aliases.disable(admin, address("*"))
    with pytest.raises(PolicyRefused):
        await aliases.disable(admin, address("info"), 451)
    await aliases.create(admin, address("empty"), [], disabled_code=250)
    with pytest.raises(BadTarget):
        await aliases.enable(admin, address("empty"))
    for call in (
        aliases.get(admin, address("nobody")),
        aliases.enable(admin, alice.address),
        aliases.disable(admin, address("/^x/")),
        aliases.replace(admin, replace(made, address=address("nobody"))),
    ):
        with pytest.raises(NoSuchAlias):
            await call


async def test_the_catch_all_is_the_alias_named_with_an_asterisk(aliases, admin, alice, bob):
    assert await aliases.set_catch_all(admin, "example.test", []) is None
    made = await aliases.set_catch_all(admin, "Example.test", [alice.address])
    assert await aliases.list(admin) == [made] == [Alias(address("*"), (alice.address,))]
    changed = await aliases.set_catch_all(admin, "example.test", [bob.address])
    assert await aliases.get(admin, address("*")) == changed
    with pytest.raises(NoSuchAddress):
        await aliases.set_catch_all(admin, "example.test", [address("nobody")])
    assert await aliases.set_catch_all(admin, "example.test", []) is None
    assert await aliases.list(admin) == []
    with pytest.raises(NoSuchDomain):
        await aliases.set_catch_all(admin, "other.test", [alice.address])


async def test_masked_aliases_can_be_read_out(aliases, admin, alice, monkeypatch):
    made = [await aliases.mask(admin, "example.test", [alice.address], description="shop") for _ in range(20)]
    assert len({alias.address.key for alias in made}) == 20
    assert all(re.fullmatch(r"[a-z]{6}-[a-z]{6}\d\d", alias.address.local_part) for alias in made)
    assert all(alias.is_masked and alias.description == "shop" for alias in made)
    names = iter([made[0].address.local_part, "free"] + [made[0].address.local_part] * 9)
    monkeypatch.setattr(module, "_made_up", lambda: next(names))
    assert (await aliases.mask(admin, "example.test", [alice.address])).address == address("free")
    with pytest.raises(AddressTaken):
        await aliases.mask(admin, "example.test", [alice.address])


async def test_a_table_is_imported_line_by_line(aliases, admin, alice):
    rows = [
        Alias(address("first"), (address("second"),)),  # needs the next one
        Alias(address("second"), (alice.address,)),
        Alias(address("lost"), (address("nobody"),)),
        Alias(alice.address, (address("x@elsewhere.test"),)),
    ]
    outcomes = {alias.address.local_part: error for alias, error in await aliases.import_table(admin, rows)}
    assert {name: type(error) for name, error in outcomes.items()} == {
        "first": type(None),
        "second": type(None),
        "lost": NoSuchAddress,
        "alice": AddressTaken,
    }
    changed = Alias(address("second"), (address("x@elsewhere.test"),), is_enabled=False)
    [(_, error)] = await aliases.import_table(admin, [changed])
    assert isinstance(error, AddressTaken)
    assert await aliases.import_table(admin, [changed], replaces=True) == [(changed, None)]
    assert await aliases.get(admin, address("second")) == changed
    [(_, error)] = await aliases.import_table(admin, [rows[3]], replaces=True)  # an account is never replaced
    assert isinstance(error, NoSuchAlias)


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
        aliases.add(actor, Alias(address("info"), (alice.address,))),
        aliases.get(actor, address("info")),
        aliases.replace(actor, Alias(address("info"), (alice.address,))),
        aliases.enable(actor, address("info")),
        aliases.disable(actor, address("info")),
        aliases.mask(actor, "example.test", [alice.address]),
        aliases.set_catch_all(actor, "example.test", [alice.address]),
    ):
        with pytest.raises((NotAllowed, NoSuchDomain, NoSuchAlias)):  # which of them: test_rights
            await call
    ((_, error),) = await aliases.import_table(actor, [Alias(address("info"), (alice.address,))])
    assert isinstance(error, NoSuchDomain)
