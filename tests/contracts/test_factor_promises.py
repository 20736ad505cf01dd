"""What the directory promises of second factors and sessions of browsers, whatever holds them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mailstead.model.errors import Conflict, FactorExists, LimitReached
from mailstead.model.people import Factor, FactorKind, ObjectId, WebSession, owner_of

OWNER = owner_of(None, "0123456789abcdef")
OTHER = owner_of(ObjectId("f" * 24), None)
NOW = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)


def factor(number, owner=OWNER, kind=FactorKind.TOTP, **more):
    return Factor(
        ObjectId(f"{number:024x}"), owner, kind, f"number {number}", NOW, secret=number.to_bytes(20, "big"), **more
    )


def session(number, owner=OWNER, **more):
    times = {"created_at": NOW, "expires_at": NOW + timedelta(days=30), "last_seen_at": NOW}
    made = WebSession(ObjectId(f"{number:024x}"), owner, **times, peer="192.0.2.1", program="Browser", fingerprint=b"f")
    return replace(made, **more)


@pytest.fixture
async def both(house):
    """Two faces of one directory, as two processes have them."""
    return [(await house.open()).factors for _ in range(2)]


@pytest.fixture
async def factors(both):
    return both[0]


async def test_what_one_process_writes_another_reads_at_once(both):
    here, there = both
    assert await there.factors(OWNER) == []
    made = factor(1, is_confirmed=False)
    await here.add_factors([made])
    assert await there.factors(OWNER) == [made]
    assert await there.use_factor(made.factor_id, 0, 7, NOW)
    assert await here.factors(OWNER) == [replace(made, counter=7, is_confirmed=True, last_used_at=NOW)]
    assert await here.remove_factors(OWNER, None, None) == 1
    assert await there.factors(OWNER) == []


async def test_a_counter_is_moved_by_one_of_two_only(both):
    here, there = both
    await here.add_factors([factor(1, counter=3)])
    assert [await each.use_factor(factor(1).factor_id, 3, 4, NOW) for each in (here, there)] == [True, False]
    assert not await here.use_factor(factor(9).factor_id, 0, 1, NOW)


async def test_factors_are_added_all_or_none(factors):
    await factors.add_factors([factor(1, kind=FactorKind.PASSKEY)])
    with pytest.raises(FactorExists):  # the same credential, for somebody else
        await factors.add_factors(
            [factor(2), replace(factor(1, OTHER, FactorKind.PASSKEY), factor_id=factor(3).factor_id)]
        )
    assert [each.factor_id for each in await factors.factors(OWNER)] == [factor(1).factor_id]
    with pytest.raises(LimitReached):
        await factors.add_factors([factor(number) for number in range(10, 111)])
    assert len(await factors.factors(OWNER)) == 1


async def test_factors_are_removed_of_their_owner_only_by_id_and_kind(factors):
    await factors.add_factors([factor(1), factor(2, kind=FactorKind.RECOVERY), factor(3, OTHER)])
    assert await factors.remove_factors(OWNER, [factor(3).factor_id], None) == 0
    assert await factors.remove_factors(OWNER, [factor(1).factor_id], FactorKind.RECOVERY) == 0
    assert await factors.remove_factors(OWNER, [factor(2).factor_id], FactorKind.RECOVERY) == 1
    assert await factors.remove_factors(OWNER, [factor(2).factor_id], FactorKind.RECOVERY) == 0
    assert await factors.remove_factors(OWNER, [], None) == 0
    assert [each.factor_id for each in await factors.factors(OWNER)] == [factor(1).factor_id]
    assert len(await factors.factors(OTHER)) == 1


async def test_a_passkey_is_found_by_its_credential_whoever_asks(factors):
    made = factor(1, kind=FactorKind.PASSKEY, public_key=b"key")
    await factors.add_factors([made, factor(2)])
    assert await factors.passkey(made.secret) == made
    assert await factors.passkey(factor(2).secret) is None


async def test_attack_090_a_new_token_replaces_the_old_one_in_all_processes(both):
    here, there = both
    await here.put_session(session(1), b"first")
    assert await there.session(b"first") == session(1)
    strong = session(1, strong_at=NOW)
    await here.put_session(strong, b"second")
    for each in both:
        assert await each.session(b"first") is None
        assert await each.session(b"second") == strong
    assert await here.sessions(OWNER) == [strong]


async def test_attack_090_nobody_takes_over_anothers_session(factors):
    await factors.put_session(session(1), b"mine")
    await factors.put_session(session(1, OTHER), b"his")
    assert await factors.session(b"his") is None
    assert (await factors.session(b"mine")).owner == OWNER


async def test_attack_090_a_use_is_noted_of_the_token_that_was_used_only(factors):
    await factors.put_session(session(1), b"first")
    await factors.put_session(session(1, strong_at=NOW), b"second")
    later = NOW + timedelta(hours=1)
    await factors.note_session_use(session(1).session_id, b"first", later, "203.0.113.7")
    assert (await factors.session(b"second")).peer == "192.0.2.1"
    await factors.note_session_use(session(1).session_id, b"second", later, "203.0.113.7")
    found = await factors.session(b"second")
    assert (found.last_seen_at, found.peer, found.strong_at) == (later, "203.0.113.7", NOW)
    await factors.note_session_use(session(2).session_id, b"none", later, "")  # gone: nothing happens


async def test_sessions_run_out_and_are_swept_away(house, factors):
    await factors.put_session(session(1, expires_at=NOW + timedelta(hours=1)), b"short")
    await factors.put_session(session(2), b"long")
    assert await factors.expire_sessions(NOW) == 0
    house.clock.move(3600)
    assert await factors.session(b"short") is None
    assert [each.session_id for each in await factors.sessions(OWNER)] == [session(2).session_id]
    assert await factors.expire_sessions(house.clock.now()) == 1


async def test_sessions_end_of_their_owner_only(factors):
    for number in (1, 2, 3):
        await factors.put_session(session(number), b"%d" % number)
    await factors.put_session(session(4, OTHER), b"4")
    await factors.remove_sessions(OWNER, [session(1).session_id, session(4).session_id])
    assert [await factors.session(b"%d" % number) is None for number in (1, 2, 3, 4)] == [True, False, False, False]
    await factors.remove_sessions(OWNER, [])
    assert len(await factors.sessions(OWNER)) == 2
    await factors.remove_sessions(OWNER)
    assert await factors.sessions(OWNER) == []
    assert len(await factors.sessions(OTHER)) == 1


async def test_attack_064_what_ends_is_told_to_who_holds_something_open(house, factors):
    storage = await house.open()
    seen = (await storage.directory.credential_changes(0)).latest
    await factors.put_session(session(1), b"1")
    await factors.put_session(session(2, OTHER), b"2")
    assert (await storage.directory.credential_changes(seen)).account_ids == set()
    await factors.remove_sessions(OWNER)
    await factors.remove_sessions(OTHER)
    assert (await storage.directory.credential_changes(seen)).account_ids == {OWNER.removeprefix("a:"), OTHER}


async def test_attack_095_a_factor_that_is_turned_on_is_told_too(house, factors):
    storage = await house.open()
    await factors.add_factors([factor(1, is_confirmed=False)])
    seen = (await storage.directory.credential_changes(0)).latest
    await factors.use_factor(factor(1).factor_id, 0, 1, NOW)
    changes = await storage.directory.credential_changes(seen)
    assert changes.account_ids == {OWNER.removeprefix("a:")}
    await factors.use_factor(factor(1).factor_id, 1, 2, NOW)  # a log-in as any other
    assert (await storage.directory.credential_changes(changes.latest)).account_ids == set()


async def test_identities_of_a_provider_belong_to_one_owner(both):
    here, there = both
    await here.link_oidc("https://id.test", "7", OWNER, NOW)
    await there.link_oidc("https://id.test", "7", OWNER, NOW)  # again is no error
    assert await there.oidc_owner("https://id.test", "7") == OWNER
    for subject, owner in (("7", OTHER), ("8", OWNER)):
        with pytest.raises(Conflict):
            await here.link_oidc("https://id.test", subject, owner, NOW)
    assert [(each.issuer, each.subject) for each in await here.oidc_links(OWNER)] == [("https://id.test", "7")]
    await here.unlink_oidc(OWNER, "https://id.test")
    assert await there.oidc_owner("https://id.test", "7") is None
    assert await here.oidc_links(OWNER) == []
