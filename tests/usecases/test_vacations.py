"""Vacation as a setting: what may be set, and the script it stands for."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.model.envelope import Actor
from mailstead.model.errors import NotAllowed, PolicyRefused
from mailstead.sieve.budget import Budget
from mailstead.sieve.facts import Facts
from mailstead.sieve.script import compile_script
from mailstead.usecases.vacations import Vacation, Vacations, vacation_of

NOW = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture
def vacations(storage):
    return Vacations(storage)


@pytest.fixture
def actor(alice):
    return Actor(alice.account_id, alice.address)


async def test_a_vacation_is_set_and_switched_off(vacations, actor):
    assert await vacations.get(actor) is None
    vacation = Vacation("Bin weg.\nGrüße", "Abwesend", NOW, NOW + timedelta(days=14))
    await vacations.set(actor, vacation)
    assert await vacations.get(actor) == vacation
    await vacations.set(actor, Vacation("away"))
    assert await vacations.get(actor) == Vacation("away")
    await vacations.switch_off(actor)
    assert await vacations.get(actor) is None


@pytest.mark.parametrize(
    "vacation",
    [
        Vacation(" \n"),
        Vacation("x" * 20_000),
        Vacation("x", "two\r\nBcc: lines"),
        Vacation("x", "s" * 201),
        Vacation("x\0"),
        Vacation("x", start=NOW, end=NOW),
    ],
)
async def test_what_makes_no_sense_is_refused(vacations, actor, vacation):
    with pytest.raises(PolicyRefused):
        await vacations.set(actor, vacation)
    assert await vacations.get(actor) is None


async def test_it_is_the_owner_s(vacations):
    with pytest.raises(NotAllowed):
        await vacations.get(Actor(None, None, is_admin=True))


def test_it_answers_in_its_time_only():
    vacation = Vacation("x", start=NOW, end=NOW + timedelta(days=1))
    assert [vacation.is_on(NOW + timedelta(hours=hours)) for hours in (-1, 0, 23, 24)] == [False, True, True, False]
    assert Vacation("x").is_on(NOW)


def test_preferences_of_others_are_no_vacation():
    assert vacation_of({"vacation.message": b"old"}) is None
    assert vacation_of({"vacation.enabled": b"1", "vacation.message": b"m"}) == Vacation("m")


FACTS = Facts(
    b"From: bob@x.test\r\nTo: alice@example.test\r\nSubject: hi\r\n\r\nhi\r\n",
    NOW,
    "bob@x.test",
    "alice@example.test",
    own_addresses=frozenset({"alice@example.test"}),
)


@given(
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r"), min_size=1, max_size=200).filter(
        str.strip
    ),
    st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=50),
)
def test_attack_060_no_text_breaks_out_of_the_script_it_becomes(message, subject):
    message = message.strip() + '"; redirect "evil@x.test'
    outcome = compile_script(Vacation(message, subject).as_script()).run(FACTS, Budget())
    assert [type(action).__name__ for action in outcome.actions if type(action).__name__ != "Keep"] == ["Vacation"]
    (answer,) = (action for action in outcome.actions if type(action).__name__ == "Vacation")
    assert answer.text.replace("\r\n", "\n").strip() == message.strip()
