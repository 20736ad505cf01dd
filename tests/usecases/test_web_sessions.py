"""Sessions of browsers: how they begin, go on with new tokens, and end."""

import asyncio
import base64
from dataclasses import replace
from datetime import timedelta

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Peer
from mailstead.model.errors import (
    AuthenticationFailed,
    FactorNeeded,
    NoSuchSession,
    NotAllowed,
    TooManyFailures,
)
from mailstead.model.people import FactorKind, Group, Listing, ObjectId, owner_of
from mailstead.model.secret import Secret
from mailstead.usecases.factors import STRONG_FOR
from mailstead.usecases.web_sessions import (
    IDLE,
    LIFE,
    PENDING_LIFE,
    SEEN_EVERY,
    SESSIONS_MAX,
    Begun,
    FactorAsked,
    ProofAsked,
)
from usecases.coming_in import ALICE, NEW, PEER, PROGRAM, RIGHT, STEP_S, WRONG, SecurityKey, open_coming_in
from usecases.conftest import ROOT_PASSWORD

ELSEWHERE = Peer("203.0.113.7", 4711, tls_version="TLSv1.3")


@pytest.fixture
async def web(storage, bus, clock, domains):
    async with open_coming_in(storage, bus, clock) as web:
        yield web


@pytest.fixture
async def alice(web, admin):
    return await web.accounts.create(admin, Address.parse(ALICE), RIGHT)


async def start(web, password=RIGHT, address=ALICE, peer=PEER):
    return await web.sessions.start(address, password, peer, PROGRAM)


class Revoked:
    """Counts calls, and lets a test wait for one."""

    def __init__(self):
        self.count = 0
        self.called = asyncio.Event()

    def __call__(self):
        self.count += 1
        self.called.set()

    async def wait(self):
        async with asyncio.timeout(10):
            await self.called.wait()


# beginning


async def test_a_session_begins_with_the_password_and_says_who_acts(web, alice):
    begun = await start(web)
    assert isinstance(begun, Begun)
    acting = (await web.sessions.act(begun.token, PEER)).actor
    assert (acting.account_id, acting.session_id) == (alice.account_id, begun.session.session_id)
    assert acting.strong_at is None
    (listed,) = await web.sessions.list(acting)
    assert (listed.peer, listed.program) == (PEER.address, PROGRAM)
    assert begun.token.reveal() not in repr(begun)


async def test_attack_090_tokens_have_256_bits_and_only_their_hash_is_kept(web, alice, storage):
    tokens = [(await start(web)).token.reveal() for _ in range(3)]
    assert len(set(tokens)) == 3
    for token in tokens:
        assert len(base64.urlsafe_b64decode(token.removeprefix("msw_") + "=")) == 32
    rows = await storage.directory.look_up(lambda db: db.execute("SELECT * FROM web_session").fetchall())
    assert len(rows) == 3
    cells = [cell if isinstance(cell, bytes) else str(cell).encode() for row in rows for cell in row]
    assert not any(token.encode() in cell for token in tokens for cell in cells)


async def test_wrong_passwords_unknown_names_and_app_passwords_are_refused_alike(web, alice):
    made = await web.accounts.add_app_password((await start(web)).actor, alice.address, "phone")
    for address, password in ((ALICE, WRONG), ("nobody@example.test", RIGHT), ("x", RIGHT), (ALICE, made.secret)):
        with pytest.raises(AuthenticationFailed) as refused:
            await start(web, password, address)
        assert refused.value.public_text == AuthenticationFailed().public_text


async def test_attack_061_wrong_passwords_on_the_web_count_with_those_of_all_protocols(web, alice):
    for service in ("imap", "web", "smtp", "web", "pop3"):
        with pytest.raises(AuthenticationFailed):
            if service == "web":
                await start(web, WRONG)
            else:
                await web.accounts.log_in(ALICE, WRONG, PEER, service)
    with pytest.raises(TooManyFailures):
        await start(web)


async def test_attack_100_the_name_of_a_program_is_cut_and_cannot_act_on_a_terminal(web, alice):
    begun = await web.sessions.start(ALICE, RIGHT, PEER, "a\x1b[2J\n" + "b" * 1000)
    assert begun.session.program == "a?[2J?" + "b" * 194


# with a second factor


async def test_between_password_and_factor_there_is_no_session(web, alice):
    device, _ = await web.turn_on_totp((await start(web)).actor)
    asked = await start(web)
    assert isinstance(asked, FactorAsked)
    assert asked.kinds == {FactorKind.TOTP, FactorKind.RECOVERY}
    with pytest.raises(AuthenticationFailed):
        await web.sessions.act(asked.token, PEER)
    with pytest.raises(AuthenticationFailed):
        await web.sessions.finish(asked.token, Secret("000000"), PEER, PROGRAM)
    begun = await web.sessions.finish(asked.token, device.code(), PEER, PROGRAM)
    assert begun.token.reveal() != asked.token.reveal()
    assert (await web.sessions.act(begun.token, PEER)).actor.strong_at is not None


async def test_attack_095_the_token_between_is_good_once_and_for_minutes(web, alice, clock):
    device, codes = await web.turn_on_totp((await start(web)).actor)
    asked = await start(web)
    await web.sessions.finish(asked.token, codes[0], PEER, PROGRAM)
    with pytest.raises(NoSuchSession):
        await web.sessions.finish(asked.token, codes[1], PEER, PROGRAM)
    late = await start(web)
    clock.passed_s += PENDING_LIFE.total_seconds() + 1
    with pytest.raises(NoSuchSession):
        await web.sessions.finish(late.token, device.code(), PEER, PROGRAM)
    # nothing was used up by that
    assert (await web.second_factors.check(owner_of(None, alice.account_id), codes[1], PEER, "web")).left_count == 8


async def test_attack_095_a_password_changed_meanwhile_ends_what_was_under_way(web, alice, admin):
    device, _ = await web.turn_on_totp((await start(web)).actor)
    asked = await start(web)
    await web.accounts.set_password(admin, alice.address, NEW)
    with pytest.raises(NoSuchSession):
        await web.sessions.finish(asked.token, device.code(), PEER, PROGRAM)


@pytest.mark.parametrize(
    "text", ["", "msf_", "msf_AAAA", "msf_" + "A" * 100, "msf_" + "é" * 20, "msw_x", "msf_" + "A" * 10_000]
)
async def test_attack_090_made_up_tokens_are_refused(web, alice, text):
    with pytest.raises(NoSuchSession):
        await web.sessions.finish(Secret(text), Secret("000000"), PEER, PROGRAM)
    with pytest.raises(AuthenticationFailed):
        await web.sessions.act(Secret(text), PEER)


async def test_attack_095_a_token_between_cannot_be_altered(web, alice):
    device, _ = await web.turn_on_totp((await start(web)).actor)
    text = (await start(web)).token.reveal()
    for place in range(4, len(text), 7):
        altered = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        with pytest.raises(NoSuchSession):
            await web.sessions.finish(Secret(altered), device.code(), PEER, PROGRAM)


async def test_who_is_vouched_for_elsewhere_shows_the_second_factor_all_the_same(web, alice):
    owner = owner_of(None, alice.account_id)
    begun = await web.sessions.start_for(owner, PEER, PROGRAM)
    assert isinstance(begun, Begun)
    await web.turn_on_totp(begun.actor)
    assert isinstance(await web.sessions.start_for(owner, PEER, PROGRAM), FactorAsked)


# new tokens


async def test_attack_090_each_change_of_right_gives_a_new_token_and_the_old_one_is_good_no_more(web, alice, clock):
    first = await start(web)
    enrolment_actor = first.actor
    device, _ = await web.turn_on_totp(enrolment_actor)
    second = await web.sessions.factor_added(enrolment_actor)
    third = await web.sessions.strengthen(second.token, device.code(), PEER)
    clock.passed_s += STEP_S
    fourth = await web.sessions.change_password(third.actor, RIGHT, NEW, PEER)
    tokens = [each.token for each in (first, second, third, fourth)]
    assert len({token.reveal() for token in tokens}) == 4
    assert {each.session.session_id for each in (first, second, third, fourth)} == {first.session.session_id}
    for token in tokens[:-1]:
        with pytest.raises(AuthenticationFailed):
            await web.sessions.act(token, PEER)
    assert (await web.sessions.act(fourth.token, PEER)).actor.account_id == alice.account_id


async def test_attack_090_no_token_of_anothers_choice_becomes_a_session(web, alice):
    fixed = Secret("msw_" + "A" * 43)
    with pytest.raises(AuthenticationFailed):
        await web.sessions.act(fixed, PEER)
    await start(web)
    with pytest.raises(AuthenticationFailed):
        await web.sessions.act(fixed, PEER)


async def test_attack_090_noting_a_use_does_not_bring_an_old_token_back(web, alice, clock, storage):
    begun = await start(web)
    device, _ = await web.turn_on_totp(begun.actor)
    begun = await web.sessions.factor_added(begun.actor)
    clock.passed_s += SEEN_EVERY.total_seconds()
    await web.sessions.act(begun.token, ELSEWHERE)  # notes the use behind the answer
    renewed = await web.sessions.strengthen(begun.token, device.code(), PEER)
    await web.sessions.close()
    with pytest.raises(AuthenticationFailed):
        await web.sessions.act(begun.token, PEER)
    assert (await web.sessions.act(renewed.token, PEER)).actor.strong_at is not None


async def test_where_a_session_was_used_last_is_noted(web, alice, clock):
    begun = await start(web)
    clock.passed_s += SEEN_EVERY.total_seconds()
    await web.sessions.act(begun.token, ELSEWHERE)
    await web.sessions.close()
    (listed,) = await web.sessions.list(begun.actor)
    assert (listed.peer, listed.last_seen_at) == (ELSEWHERE.address, clock.now())


async def test_a_passkey_strengthens_a_session_that_is_there(web, alice, clock):
    begun = await start(web)
    key = SecurityKey()
    await web.turn_on_passkey(begun.actor, key)
    begun = await web.sessions.factor_added(begun.actor)
    clock.passed_s += 3600
    with pytest.raises(FactorNeeded):
        web.sessions.must_be_strong((await web.sessions.act(begun.token, PEER)).actor)
    options = await web.sessions.passkey_options_of(begun.token, PEER)
    strong = await web.sessions.strengthen_with_passkey(begun.token, key.sign(options), PEER)
    web.sessions.must_be_strong(strong.actor)


# ending


@pytest.mark.parametrize("passed", [IDLE, LIFE])
async def test_a_session_ends_without_use_and_in_the_end_whatever_its_use(web, alice, clock, passed):
    begun = await start(web)
    left = passed
    while passed is LIFE and left > timedelta(days=1):
        clock.passed_s += 86400
        left -= timedelta(days=1)
        await web.sessions.act(begun.token, PEER)
        await web.sessions.close()
    clock.passed_s += left.total_seconds()
    with pytest.raises(AuthenticationFailed):
        await web.sessions.act(begun.token, PEER)
    assert begun.session.session_id not in [each.session_id for each in await web.sessions.list(begun.actor)]


async def test_attack_064_a_changed_password_ends_all_sessions_by_whatever_way(web, alice, admin):
    begun = await start(web)
    await web.accounts.set_password(admin, alice.address, NEW)
    with pytest.raises(AuthenticationFailed):
        await web.sessions.act(begun.token, PEER)


async def test_attack_064_changing_it_oneself_ends_the_others_only(web, alice):
    mine, other = await start(web), await start(web, peer=ELSEWHERE)
    with pytest.raises(AuthenticationFailed):
        await web.sessions.change_password(mine.actor, WRONG, NEW, PEER)
    begun = await web.sessions.change_password(mine.actor, RIGHT, NEW, PEER)
    await web.sessions.act(begun.token, PEER)
    with pytest.raises(AuthenticationFailed):
        await web.sessions.act(other.token, PEER)
    assert [each.session_id for each in await web.sessions.list(begun.actor)] == [mine.session.session_id]


async def test_attack_095_with_a_second_factor_the_password_is_changed_after_showing_it(web, alice):
    begun = await start(web)
    device, _ = await web.turn_on_totp(begun.actor)
    with pytest.raises(FactorNeeded):
        await web.sessions.change_password(begun.actor, RIGHT, NEW, PEER)
    asked = await start(web)
    strong = await web.sessions.finish(asked.token, device.code(), PEER, PROGRAM)
    assert await web.sessions.change_password(strong.actor, RIGHT, NEW, PEER)


async def test_programs_change_no_password(web, alice):
    begun = await start(web)
    for who in (replace(begun.actor, app_password_id=1), replace(begun.actor, token_id=ObjectId("0" * 24))):
        with pytest.raises(NotAllowed):
            await web.sessions.change_password(who, RIGHT, NEW, PEER)
        with pytest.raises(NotAllowed):
            await web.sessions.list(who)


async def test_attack_095_turning_a_factor_on_ends_sessions_that_have_shown_none(web, alice):
    mine, other = await start(web), await start(web, peer=ELSEWHERE)
    await web.turn_on_totp(mine.actor)
    with pytest.raises(AuthenticationFailed):  # even before the route says that one was added
        await web.sessions.act(other.token, PEER)
    going_on = await web.sessions.factor_added(mine.actor)
    assert [each.session_id for each in await web.sessions.list(going_on.actor)] == [mine.session.session_id]


async def test_logging_out_ends_a_session_and_twice_is_no_error(web, alice):
    begun = await start(web)
    await web.sessions.end(begun.token)
    await web.sessions.end(begun.token)
    with pytest.raises(AuthenticationFailed):
        await web.sessions.act(begun.token, PEER)


async def test_attack_092_nobody_ends_anothers_session(web, alice, admin):
    bob = Secret("pw-never-in-a-log-bob")
    await web.accounts.create(admin, Address.parse("bob@example.test"), bob)
    mine, his = await start(web), await start(web, bob, "bob@example.test")
    with pytest.raises(NoSuchSession):
        await web.sessions.revoke(mine.actor, [mine.session.session_id, his.session.session_id])
    await web.sessions.act(mine.token, PEER)
    await web.sessions.act(his.token, PEER)
    with pytest.raises(NotAllowed):
        await web.sessions.revoke_of(mine.actor, Address.parse("bob@example.test"))
    assert len(await web.sessions.list_of(admin, Address.parse("bob@example.test"))) == 1
    assert await web.sessions.revoke_of(admin, Address.parse("bob@example.test")) == 1
    with pytest.raises(AuthenticationFailed):
        await web.sessions.act(his.token, PEER)


async def test_all_other_sessions_end_at_once(web, alice):
    mine, *others = [await start(web) for _ in range(4)]
    assert await web.sessions.revoke(mine.actor) == 3
    await web.sessions.act(mine.token, PEER)
    for other in others:
        with pytest.raises(AuthenticationFailed):
            await web.sessions.act(other.token, PEER)
    await web.audit.settle()
    (entry,) = (await web.audit.list(mine.actor, Listing(), verb="session.revoke", is_own=True)).items
    assert entry.details == {"count": "3"}


async def test_an_owner_has_a_bounded_number_of_sessions(web, alice, clock):
    first = await start(web)
    for _ in range(SESSIONS_MAX):
        clock.passed_s += 1
        last = await start(web)
    assert len(await web.sessions.list(last.actor)) == SESSIONS_MAX
    with pytest.raises(AuthenticationFailed):
        await web.sessions.act(first.token, PEER)


# what is open ends, too (attack row 64)


async def test_attack_064_what_a_session_opened_ends_with_it(web, alice):
    mine, other = await start(web), await start(web)
    revoked, stays = Revoked(), Revoked()
    with web.accounts.watch_revocations(mine.actor, revoked), web.accounts.watch_revocations(other.actor, stays):
        await web.sessions.end(mine.token)
        await revoked.wait()
    assert stays.count == 0


async def test_attack_064_what_a_token_opened_ends_with_it_and_with_its_users_rights(web, admin, domains):
    user = await web.users.create(admin, Address.parse("carol@elsewhere.test"), ROOT_PASSWORD)
    carol = (await start(web, ROOT_PASSWORD, user.address)).actor
    tokens = [await web.users.tokens.create(carol, f"program {number}") for number in range(2)]
    people = web.users._people

    async def acting(number):
        return await web.users.act_with_token(tokens[number].secret, PEER)

    revoked, stays = Revoked(), Revoked()
    one, two = await acting(0), await acting(1)
    with web.accounts.watch_revocations(one, revoked), web.accounts.watch_revocations(two, stays):
        await web.users.tokens.remove(carol, one.token_id)
        await revoked.wait()
        assert stays.count == 0
        await people.set_member("example.test", user.user_id, Group.USER)  # more rights are other rights
        await stays.wait()
    two, disabled = await acting(1), Revoked()
    with web.accounts.watch_revocations(two, disabled):
        await web.users.enable(admin, user.user_id, is_enabled=False)
        await disabled.wait()


async def test_attack_064_a_users_own_password_ends_what_was_opened_by_the_old_one(web, admin, domains):
    user = await web.users.create(admin, Address.parse("carol@elsewhere.test"), ROOT_PASSWORD)
    begun, revoked = await start(web, ROOT_PASSWORD, user.address), Revoked()
    with web.accounts.watch_revocations(begun.actor, revoked):
        await web.users.set_password(admin, user.user_id, NEW)
        await revoked.wait()
    with pytest.raises(AuthenticationFailed):
        await web.sessions.act(begun.token, PEER)


async def test_attack_064_an_app_password_that_runs_out_ends_what_it_opened(web, alice, clock, monkeypatch):
    monkeypatch.setattr("mailstead.usecases.revocations.LOOK_S", 0.01)
    begun = await start(web)
    until = clock.now() + timedelta(hours=1)
    made = await web.accounts.add_app_password(begun.actor, alice.address, "phone", expires_at=until)
    actor, revoked = await web.accounts.log_in(ALICE, made.secret, PEER, "imap"), Revoked()
    with web.accounts.watch_revocations(actor, revoked):
        while not web.accounts._revocations._ending:
            await asyncio.sleep(0)
        assert revoked.count == 0
        clock.passed_s += 3600
        await revoked.wait()
    with pytest.raises(AuthenticationFailed):
        await web.accounts.log_in(ALICE, made.secret, PEER, "imap")


@pytest.mark.parametrize("kind", ["totp", "passkey"])
async def test_attack_095_turning_a_factor_on_ends_what_programs_opened_with_the_main_password(web, alice, kind):
    mine = await start(web)
    made = await web.accounts.add_app_password(mine.actor, alice.address, "phone")
    by_main = await web.accounts.log_in(ALICE, RIGHT, PEER, "imap")
    by_app = await web.accounts.log_in(ALICE, made.secret, PEER, "imap")
    ended, stays, session = Revoked(), Revoked(), Revoked()
    with (
        web.accounts.watch_revocations(by_main, ended),
        web.accounts.watch_revocations(by_app, stays),
        web.accounts.watch_revocations(mine.actor, session),
    ):
        if kind == "totp":
            await web.turn_on_totp(mine.actor)
        else:
            await web.turn_on_passkey(mine.actor, SecurityKey())
        await ended.wait()
    assert (stays.count, session.count) == (0, 0)


async def test_attack_064_an_account_switched_off_ends_its_sessions_and_its_users_tokens(web, alice, admin):
    user = await web.users.create(admin, alice.address)
    begun = await start(web)
    token = await web.users.tokens.create(begun.actor, "program")
    program = await web.users.act_with_token(token.secret, PEER)
    mail = await web.accounts.log_in(ALICE, RIGHT, PEER, "imap")
    watched = [Revoked() for _ in range(3)]
    with (
        web.accounts.watch_revocations(begun.actor, watched[0]),
        web.accounts.watch_revocations(program, watched[1]),
        web.accounts.watch_revocations(mail, watched[2]),
    ):
        await web.accounts.set_enabled(admin, alice.address, is_enabled=False)
        for each in watched:
            await each.wait()
    assert user.account_id == alice.account_id
    with pytest.raises(AuthenticationFailed):
        await web.sessions.act(begun.token, PEER)
    with pytest.raises(AuthenticationFailed):
        await web.users.act_with_token(token.secret, PEER)


# showing once more who it is


async def test_attack_090_the_password_once_more_begins_a_session_in_the_place_of_the_old_one(web, alice):
    begun = await start(web)
    web.clock.passed_s += STRONG_FOR.total_seconds() + 1
    assert not await web.sessions.is_fresh(await web.sessions.act(begun.token, PEER))
    with pytest.raises(AuthenticationFailed):
        await web.sessions.start_again(begun.token, WRONG, PEER, PROGRAM)
    there = await web.sessions.act(begun.token, PEER)  # a wrong one ends nothing
    with pytest.raises(FactorNeeded):
        await web.sessions.must_be_fresh(there)
    again = await web.sessions.start_again(begun.token, RIGHT, PEER, PROGRAM)
    assert again.session.session_id != begun.session.session_id
    await web.sessions.must_be_fresh(await web.sessions.act(again.token, PEER))
    with pytest.raises(AuthenticationFailed):
        await web.sessions.act(begun.token, PEER)
    assert len(await web.sessions.list(again.actor)) == 1


async def test_attack_095_where_a_second_factor_is_on_the_password_is_no_proof(web, alice):
    begun = await start(web)
    assert await web.sessions.proof_asked(begun.token, PEER) == ProofAsked(frozenset())
    device, _ = await web.turn_on_totp(begun.actor)
    strong = await web.sessions.factor_added(begun.actor)
    await web.sessions.must_be_fresh(strong)
    web.clock.passed_s += STRONG_FOR.total_seconds() + 1
    there = await web.sessions.act(strong.token, PEER)
    assert not await web.sessions.is_fresh(there)
    kinds = frozenset({FactorKind.TOTP, FactorKind.RECOVERY})
    assert await web.sessions.proof_asked(strong.token, PEER) == ProofAsked(kinds)
    with pytest.raises(FactorNeeded):
        await web.sessions.start_again(strong.token, RIGHT, PEER, PROGRAM)
    again = await web.sessions.strengthen(strong.token, device.code(), PEER)
    await web.sessions.must_be_fresh(again)


async def test_who_has_a_passkey_is_asked_for_it(web, alice):
    begun = await start(web)
    await web.turn_on_passkey(begun.actor, SecurityKey())
    strong = await web.sessions.factor_added(begun.actor)
    asked = await web.sessions.proof_asked(strong.token, PEER)
    assert FactorKind.PASSKEY in asked.kinds
    assert '"challenge"' in asked.passkey_options
