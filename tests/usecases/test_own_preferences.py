"""Preferences: of accounts and of users without one, within limits, and nobody else's."""

from dataclasses import replace

import pytest

from mailstead.model.envelope import Actor
from mailstead.model.errors import LimitReached, NotAllowed, PolicyRefused
from mailstead.model.people import ObjectId, UserId
from mailstead.model.preferences import Density, IdentityText, Preferences, Theme, WeekStart
from mailstead.usecases.own_preferences import OwnPreferences

USER = Actor(None, None, user_id=UserId(ObjectId("1" * 24)))


@pytest.fixture
def preferences(storage):
    return OwnPreferences(storage)


async def test_accounts_and_users_have_their_own(preferences, alice, bob, actor_of):
    await preferences.change(actor_of(alice), lambda there: replace(there, theme=Theme.DARK, time_zone="Asia/Seoul"))
    await preferences.change(USER, lambda there: replace(there, density=Density.COMPACT, language="ru"))
    assert await preferences.get(actor_of(alice)) == Preferences(theme=Theme.DARK, time_zone="Asia/Seoul")
    assert await preferences.get(USER) == Preferences(density=Density.COMPACT, language="ru")
    assert await preferences.get(actor_of(bob)) == Preferences()


async def test_keys_are_on_until_somebody_turns_them_off(preferences, alice, actor_of):
    actor = actor_of(alice)
    before = await preferences.get(actor)
    assert (before.has_shortcuts, before.week_start, before.writes_formatted) == (True, WeekStart.LANGUAGE, False)
    await preferences.change(
        actor,
        lambda there: replace(there, has_shortcuts=False, week_start=WeekStart.SUNDAY, writes_formatted=True),
    )
    after = await preferences.get(actor)
    assert (after.has_shortcuts, after.week_start, after.writes_formatted) == (False, WeekStart.SUNDAY, True)


async def test_attack_092_nobody_has_none(preferences, admin):
    with pytest.raises(NotAllowed):
        await preferences.get(admin)
    with pytest.raises(NotAllowed):
        await preferences.change(admin, lambda there: there)


@pytest.mark.parametrize(
    "wrong",
    [
        {"language": "english!"},
        {"time_zone": "../../etc/passwd"},
        {"time_zone": "Mars/Olympus"},
        {"undo_s": 31},
        {"undo_s": -1},
        {"display_name": "two\nlines"},
        {"display_name": "x" * 201},
        {"signature": "x" * 10_001},
        {"signature": "a\0b"},
        {"default_identity": "@example.test"},
        {"identities": {"nobody": IdentityText()}},
        {"identities": {"a@example.test": IdentityText("a\r\nBcc: b@example.test")}},
        {"image_senders": ("nobody",)},
    ],
)
async def test_attack_098_what_may_not_stand_there_changes_nothing(preferences, alice, actor_of, wrong):
    actor = actor_of(alice)
    await preferences.change(actor, lambda there: replace(there, undo_s=7))
    with pytest.raises(PolicyRefused):
        await preferences.change(actor, lambda there: replace(there, theme=Theme.DARK, **wrong))
    assert await preferences.get(actor) == Preferences(undo_s=7)


@pytest.mark.parametrize(
    "much",
    [
        {"identities": {f"a{number}@example.test": IdentityText() for number in range(201)}},
        {"image_senders": tuple(f"a{number}@example.test" for number in range(1001))},
    ],
)
async def test_attack_098_there_are_limits(preferences, much):
    with pytest.raises(LimitReached):
        await preferences.change(USER, lambda there: replace(there, **much))


async def test_attack_087_images_are_shown_of_those_alone_who_were_named(preferences):
    assert not await preferences.shows_images_of(USER, "news@example.net")
    await preferences.show_images_of(USER, "News@Example.NET")
    await preferences.show_images_of(USER, "@example.org")
    assert await preferences.shows_images_of(USER, "news@EXAMPLE.net")
    assert await preferences.shows_images_of(USER, "anybody@example.org")
    assert not await preferences.shows_images_of(USER, "other@example.net")
    assert not await preferences.shows_images_of(USER, "x@sub.example.org")
    assert not await preferences.shows_images_of(USER, "no address")
    await preferences.show_images_of(USER, "news@example.net", are_shown=False)
    assert (await preferences.get(USER)).image_senders == ("@example.org",)


async def test_addresses_are_kept_in_one_form(preferences):
    texts = {"Shop@Example.TEST": IdentityText("Shop", "Bye")}
    kept = await preferences.change(
        USER, lambda there: replace(there, identities=texts, default_identity="Shop@example.test")
    )
    assert kept.identities == {"shop@example.test": IdentityText("Shop", "Bye")}
    assert kept.default_identity == "shop@example.test"
