"""Scripts of an owner: names, limits, checks before anything is kept."""

import pytest

from mailstead.model.envelope import Actor
from mailstead.model.errors import (
    BadScript,
    BadScriptName,
    LimitReached,
    NoSuchScript,
    NotAllowed,
    ScriptActive,
    ScriptExists,
)
from mailstead.model.filtering import SCRIPT_OCTETS_MAX, SCRIPTS_MAX
from mailstead.usecases.scripts import COMPILED_MAX, CompiledScripts, Scripts, script_name


@pytest.fixture
def scripts(storage):
    return Scripts(storage, CompiledScripts())


@pytest.fixture
def actor(alice):
    return Actor(alice.account_id, alice.address)


async def names(scripts, actor):
    return [(script.name, script.is_active) for script in await scripts.list(actor)]


async def test_the_life_of_a_script(scripts, actor):
    await scripts.put(actor, "Ferien", b"keep;\r\n")
    await scripts.put(actor, "b", b"discard;")
    await scripts.activate(actor, "Ferien")
    assert await names(scripts, actor) == [("Ferien", True), ("b", False)]
    assert await scripts.get(actor, "Ferien") == b"keep;\r\n"
    with pytest.raises(ScriptActive):
        await scripts.delete(actor, "Ferien")
    with pytest.raises(ScriptExists):
        await scripts.rename(actor, "Ferien", "b")
    await scripts.rename(actor, "Ferien", "a")
    await scripts.activate(actor, None)
    await scripts.delete(actor, "a")
    assert await names(scripts, actor) == [("b", False)]
    for verb in (scripts.get(actor, "a"), scripts.delete(actor, "a"), scripts.activate(actor, "a")):
        with pytest.raises(NoSuchScript):
            await verb


async def test_what_does_not_compile_is_not_kept(scripts, actor):
    await scripts.put(actor, "a", b"keep;")
    with pytest.raises(BadScript) as caught:
        await scripts.put(actor, "a", b"keep;\r\nnonsense;\r\n")
    assert "line 2" in caught.value.public_text
    assert await scripts.get(actor, "a") == b"keep;"
    with pytest.raises(BadScript):
        await scripts.check(b'fileinto "x";')
    await scripts.check(b"")


async def test_attack_057_scripts_are_checked_before_they_are_stored(scripts, actor):
    for octets in (b"\xff\xfe", b"keep", b"#" * (SCRIPT_OCTETS_MAX + 1), b"if " * 20_000):
        with pytest.raises((BadScript, LimitReached)):
            await scripts.put(actor, "a", octets)
    for name in ("", "a\0b", "a\nb", "\x7f", "x" * 513, "a\u2028b", "\ud800"):
        with pytest.raises(BadScriptName):
            await scripts.put(actor, name, b"keep;")
        with pytest.raises(BadScriptName):
            await scripts.check_room(actor, name, 5)
    assert await scripts.list(actor) == []
    await scripts.put(actor, "../../x", b"keep;")
    with pytest.raises(BadScriptName):
        await scripts.rename(actor, "../../x", "\r\n")
    assert await names(scripts, actor) == [("../../x", False)]


async def test_room_is_told_before(scripts, actor):
    await scripts.check_room(actor, "a", SCRIPT_OCTETS_MAX)
    with pytest.raises(LimitReached):
        await scripts.check_room(actor, "a", SCRIPT_OCTETS_MAX + 1)
    for number in range(SCRIPTS_MAX):
        await scripts.put(actor, f"s{number}", b"keep;")
    await scripts.check_room(actor, "s0", 10)
    with pytest.raises(LimitReached):
        await scripts.check_room(actor, "new", 10)


async def test_everybody_has_their_own(scripts, actor, bob):
    await scripts.put(actor, "a", b"keep;")
    other = Actor(bob.account_id, bob.address)
    assert await scripts.list(other) == []
    with pytest.raises(NoSuchScript):
        await scripts.get(other, "a")
    with pytest.raises(NotAllowed):
        await scripts.list(Actor(None, None, is_admin=True))


def test_names_have_one_form():
    assert script_name("u\u0308") == "ü"


async def test_one_text_is_compiled_once():
    compiled = CompiledScripts()
    first = await compiled.get(b"keep;")
    assert await compiled.get(b"keep;") is first
    for number in range(COMPILED_MAX):
        await compiled.get(b"keep; # %d" % number)
    assert await compiled.get(b"keep;") is not first
