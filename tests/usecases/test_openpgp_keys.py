"""Keys of an account: made, taken over, unlocked for a session, published, revoked; and those of others."""

from datetime import timedelta

import pytest

from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchAddress, NotAllowed, PolicyRefused, RateLimited
from mailstead.model.openpgp import KeySource
from mailstead.model.secret import Secret
from mailstead.policy.web_key import key_digest
from mailstead.usecases import openpgp_engine as engine
from mailstead.usecases import openpgp_keys
from mailstead.usecases.openpgp_keys import PASSPHRASE_CHARACTERS_MIN, UNLOCKED_S
from mailstead.usecases.web_keys import WebKeys
from usecases.openpgp_home import PASSPHRASE, Directory, in_session, make_bob, make_keys, make_mailboxes

HOUR = timedelta(hours=1)


@pytest.fixture
def directory():
    return Directory()


@pytest.fixture
def ring(storage, bus, clock, directory):
    return make_keys(storage, make_mailboxes(storage, bus, clock), clock, directory)


@pytest.fixture
def actor(alice, actor_of):
    return in_session(actor_of(alice))


@pytest.fixture
async def own(ring, actor):
    return await ring.make(actor, "Alice <x>", actor.address, PASSPHRASE)


@pytest.fixture(scope="module")
def bob():
    return make_bob()


async def test_a_key_that_was_made_is_unlocked_in_this_session_alone(ring, actor, own, clock):
    assert own.user_ids == ("Alice x <alice@example.test>",)
    assert (own.address, own.is_verified, own.source) == ("alice@example.test", True, KeySource.MADE)
    assert (await ring.find(actor)).unlocked == {own.fingerprint}
    other = in_session(actor, "s2")
    assert ring.unlocked(other) == []
    with pytest.raises(PolicyRefused, match="another"):
        await ring.unlock(other, Secret("wrong-passphrase"))
    assert await ring.unlock(other, PASSPHRASE) == 1
    ring.lock(other)
    assert ring.unlocked(other) == []
    clock.passed_s += UNLOCKED_S - 1
    assert len(ring.unlocked(actor)) == 1  # a use, from which it counts anew
    clock.passed_s += UNLOCKED_S
    assert ring.unlocked(actor) == []


async def test_attack_090_who_holds_a_session_does_not_guess_the_passphrase(
    ring, actor, own, clock, storage, bus, directory, monkeypatch
):
    monkeypatch.setattr(openpgp_keys, "PASSPHRASES_PER_DAY_MAX", 3)
    other = make_keys(storage, make_mailboxes(storage, bus, clock), clock, directory)  # as of another process
    for each in (ring, other):
        with pytest.raises(PolicyRefused, match="another"):
            await each.unlock(in_session(actor, "s2"), Secret("wrong-passphrase"))
    with pytest.raises(PolicyRefused):
        await ring.secret_text(actor, own.fingerprint, Secret("wrong-passphrase"))
    for each in (ring, other):
        with pytest.raises(RateLimited):
            await each.unlock(in_session(actor, "s3"), PASSPHRASE)
    with pytest.raises(RateLimited):
        await ring.secret_text(actor, own.fingerprint, PASSPHRASE)
    clock.passed_s += HOUR.total_seconds() * 24
    assert await ring.unlock(in_session(actor, "s3"), PASSPHRASE) == 1


async def test_the_secret_key_is_nowhere_in_the_clear(ring, actor, own, tmp_path, storage):
    (kept,) = await storage.accounts.of(actor.account_id).openpgp.keys()
    text = await ring.secret_text(actor, own.fingerprint, PASSPHRASE)
    assert PASSPHRASE.reveal() not in text
    with pytest.raises(PolicyRefused):
        await ring.secret_text(actor, own.fingerprint, Secret("wrong-passphrase"))
    assert "PRIVATE KEY" in text
    assert kept.secret.octets not in text.encode()
    assert "secret=LockedSecret" in repr(kept)
    assert "octets" not in repr(kept)


async def test_what_is_taken_along_can_be_taken_over_elsewhere(ring, actor, own):
    text = await ring.secret_text(actor, own.fingerprint, PASSPHRASE)
    await ring.remove(actor, own.fingerprint)
    assert (await ring.find(actor)).own == []
    with pytest.raises(PolicyRefused):
        await ring.take_secret(actor, text, Secret("wrong-passphrase"))
    again = await ring.take_secret(actor, text, PASSPHRASE)
    assert again.fingerprint == own.fingerprint
    assert await ring.unlock(in_session(actor, "s3"), PASSPHRASE) == 1


@pytest.mark.parametrize("text", ["", "junk", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nAAAA\n-----END"])
async def test_what_is_no_secret_key_is_told(ring, actor, text):
    with pytest.raises(PolicyRefused):
        await ring.take_secret(actor, text, PASSPHRASE)


async def test_a_short_passphrase_is_refused(ring, actor):
    with pytest.raises(PolicyRefused, match="characters"):
        await ring.make(actor, "", actor.address, Secret("x" * (PASSPHRASE_CHARACTERS_MIN - 1)))


async def test_a_key_is_published_revoked_and_taken_away(ring, actor, own, storage, clock):
    web_keys = WebKeys(storage, clock)

    async def found():
        return await web_keys.find("example.test", key_digest("alice"), "alice")

    assert await found() is None
    await ring.publish(actor, own.fingerprint)
    assert (await ring.find(actor)).published == own.fingerprint
    assert engine.public_keys(await found())[0].fingerprint == own.fingerprint
    await ring.revoke(actor, own.fingerprint)
    assert engine.public_keys(await found())[0].is_revoked
    keys = await ring.find(actor)
    assert keys.unusable == {own.fingerprint}
    assert await ring.own(actor) is None
    ring.lock(actor)
    with pytest.raises(PolicyRefused, match="Unlock"):
        await ring.revoke(actor, own.fingerprint)
    await ring.remove(actor, own.fingerprint)
    assert await found() is None


async def test_a_key_of_another_cannot_be_published_as_ones_own(ring, actor, own, bob):
    await ring.take(actor, bob.public, KeySource.BY_HAND)
    with pytest.raises(PolicyRefused):
        await ring.publish(actor, bob.fingerprint)
    stranger = await ring.take_secret(
        actor, engine.armored_secret(engine.make_secret("Eve <eve@else.test>")), PASSPHRASE
    )
    with pytest.raises(PolicyRefused, match="does not name"):
        await ring.publish(actor, stranger.fingerprint)


async def test_attack_103_a_second_key_for_an_address_takes_nobodys_place(ring, actor, bob, clock):
    await ring.take(actor, bob.public, KeySource.BY_HAND)
    clock.passed_s += 10
    eve = make_bob()
    await ring.take(actor, eve.public, KeySource.MESSAGE, "bob@else.test")
    keys = await ring.find(actor)
    assert keys.doubled == {"bob@else.test"}

    async def chosen():
        return (await ring.usable_for(actor, ["Bob@else.test"]))["bob@else.test"].fingerprint

    assert await chosen() == bob.fingerprint
    await ring.verify(actor, eve.fingerprint)
    assert await chosen() == eve.fingerprint
    await ring.verify(actor, eve.fingerprint, is_verified=False)
    assert await chosen() == bob.fingerprint


async def test_a_copy_adds_a_revocation_and_changes_nothing_else(ring, actor, bob):
    await ring.take(actor, bob.public, KeySource.BY_HAND)
    await ring.verify(actor, bob.fingerprint)
    (changed,) = await ring.take(actor, bob.revoked(), KeySource.DIRECTORY)
    assert (changed.is_verified, changed.source) == (True, KeySource.BY_HAND)
    assert await ring.usable_for(actor, ["bob@else.test"]) == {}
    (again,) = await ring.take(actor, bob.public, KeySource.DIRECTORY)  # an older copy takes it back not
    assert engine.public_keys(again.public)[0].is_revoked


async def test_attack_103_a_message_gives_no_secret_key_and_none_of_another_address(ring, actor, own, bob):
    with pytest.raises(PolicyRefused, match="names eve"):
        await ring.take(actor, bob.public, KeySource.MESSAGE, "eve@else.test")
    (copy,) = await ring.take(actor, own.public, KeySource.MESSAGE)
    assert copy.is_own  # its secret part stays


async def test_the_directory_of_a_domain_is_asked(ring, actor, bob, directory):
    digest = key_digest("bob")
    place = f"https://else.test/.well-known/openpgpkey/hu/{digest}?l=bob"
    with pytest.raises(PolicyRefused, match="Nothing is published"):
        await ring.look_up(actor, "bob@else.test")
    assert directory.asked[0] == (f"https://openpgpkey.else.test/.well-known/openpgpkey/else.test/hu/{digest}?l=bob")
    directory.pages[place] = bob.public
    (found,) = await ring.look_up(actor, " bob@else.test ")
    assert (found.source, found.is_verified) == (KeySource.DIRECTORY, False)
    directory.pages[f"https://else.test/.well-known/openpgpkey/hu/{key_digest('eve')}?l=eve"] = bob.public
    with pytest.raises(PolicyRefused, match="names eve"):
        await ring.look_up(actor, "eve@else.test")


async def test_attack_092_keys_of_others_are_not_there(ring, actor, own, bob, accounts, admin, actor_of):
    from mailstead.model.address import Address

    other = in_session(
        actor_of(await accounts.create(admin, Address.parse("bob@example.test"), Secret("pw-never-in-a-log-bob")))
    )
    assert (await ring.find(other)).own == []
    assert ring.unlocked(other) == []
    for verb in (ring.public_text(other, own.fingerprint), ring.remove(other, own.fingerprint)):
        with pytest.raises(NoSuchAddress):
            await verb
    for nobody in (Actor(None, None), Actor(None, None, is_admin=True)):
        with pytest.raises(NotAllowed):
            await ring.find(nobody)
