"""Second factors: codes, recovery codes, passkeys; and what turning them on means to mail programs."""

import asyncio
import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import (
    AppPasswordNeeded,
    AuthenticationFailed,
    FactorExists,
    FactorNeeded,
    NoSuchFactor,
    NoSuchUser,
    NotAllowed,
    PolicyRefused,
    TooManyFailures,
)
from mailstead.model.people import FactorKind, Listing, owner_of
from mailstead.model.secret import Secret
from mailstead.policy.failures import PAIR_FREE_COUNT
from mailstead.services.imap.errors import reply_for
from mailstead.usecases import passwords
from mailstead.usecases.factor_settings import MailPrograms
from mailstead.usecases.factors import STRONG_FOR
from mailstead.usecases.passkeys import LIFE, Purpose
from usecases.coming_in import ALICE, PEER, PROGRAM, RIGHT, STEP_S, WRONG, SecurityKey, open_coming_in
from usecases.conftest import ROOT_PASSWORD

ELSEWHERE = Peer("203.0.113.7", 4711, tls_version="TLSv1.3")


@pytest.fixture
async def web(storage, bus, clock, domains):
    async with open_coming_in(storage, bus, clock) as web:
        yield web


@pytest.fixture
async def alice(web, admin):
    return await web.accounts.create(admin, Address.parse(ALICE), RIGHT)


@pytest.fixture
async def actor(web, alice):
    return await web.actor()


async def strong(web, device):
    """Alice's session, with the second factor just shown."""
    asked = await web.sessions.start(ALICE, RIGHT, PEER, PROGRAM)
    return (await web.sessions.finish(asked.token, device.code(), PEER, PROGRAM)).actor


# turning on


async def test_a_device_is_turned_on_by_its_first_code_and_gives_recovery_codes_once(web, alice, actor):
    owner = owner_of(None, alice.account_id)
    enrolment = await web.settings.enrol_totp(actor, RIGHT, "phone")
    uri = urlsplit(enrolment.uri.reveal())
    said = parse_qs(uri.query)
    assert (uri.scheme, uri.netloc, said["secret"]) == ("otpauth", "totp", [enrolment.secret.reveal()])
    assert said["issuer"] == ["mail.example.test"]
    assert "alice%40example.test" in uri.path
    assert ET.fromstring(enrolment.qr_svg.reveal()).tag.endswith("svg")
    assert enrolment.secret.reveal() not in repr(enrolment)
    assert not await web.second_factors.needed(owner)  # nothing is on before a code was shown
    device, codes = await web.turn_on_totp(actor)
    assert await web.second_factors.kinds(owner) == {FactorKind.TOTP, FactorKind.RECOVERY}
    assert len({code.reveal() for code in codes}) == 10
    listed = await web.settings.list(await strong(web, device))
    assert [each.label for each in listed if each.kind is FactorKind.TOTP] == ["phone"]
    assert not any(code.reveal() in repr(listed) for code in codes)


async def test_a_beginning_that_was_not_finished_is_replaced_and_counts_for_nothing(web, actor):
    first = await web.settings.enrol_totp(actor, RIGHT)
    await web.settings.enrol_totp(actor, RIGHT)
    with pytest.raises(NoSuchFactor):
        await web.settings.confirm_totp(actor, first.factor_id, Secret("000000"), MailPrograms.NONE)


async def test_attack_095_a_factor_is_not_turned_on_without_the_password(web, actor):
    for begin in (web.settings.enrol_totp, web.settings.begin_passkey):
        with pytest.raises(AuthenticationFailed):
            await begin(actor, WRONG)


async def test_attack_095_programs_turn_nothing_on(web, alice, actor, admin):
    made = await web.accounts.add_app_password(actor, alice.address, "phone")
    program = await web.accounts.log_in(ALICE, made.secret, PEER, "api")
    user = await web.users.create(admin, alice.address)
    token = replace(actor, user_id=user.user_id, token_id=user.user_id)
    for who in (program, token, Actor(None, None, is_admin=True)):
        with pytest.raises(NotAllowed):
            await web.settings.enrol_totp(who, RIGHT)
        with pytest.raises(NotAllowed):
            await web.settings.list(who)


async def test_the_owner_says_first_what_becomes_of_mail_programs(web, alice, actor):
    enrolment = await web.settings.enrol_totp(actor, RIGHT)
    with pytest.raises(PolicyRefused, match="There are 0 app passwords now"):
        await web.settings.confirm_totp(actor, enrolment.factor_id, Secret("000000"))
    with pytest.raises(PolicyRefused, match="no app password yet"):
        await web.settings.begin_passkey(actor, RIGHT, MailPrograms.APP_PASSWORDS)
    made = await web.accounts.add_app_password(actor, alice.address, "phone")
    outlook = await web.settings.outlook(actor)
    assert (outlook.is_on, outlook.has_mailbox) == (False, True)
    assert [each.label for each in outlook.app_passwords] == ["phone"]
    await web.turn_on_totp(actor, mail_programs=MailPrograms.APP_PASSWORDS)
    assert (await web.settings.outlook(actor)).is_on
    assert (await web.accounts.log_in(ALICE, made.secret, PEER, "imap")).app_password_id is not None


# what it means to mail programs


@pytest.mark.parametrize("service", ["imap", "smtp", "pop3", "sieve", "dav", "api"])
async def test_attack_095_the_main_password_logs_in_no_mail_program_any_more(web, alice, actor, service, audit):
    made = await web.accounts.add_app_password(actor, alice.address, "phone")
    assert (await web.accounts.log_in(ALICE, RIGHT, PEER, service)).app_password_id is None
    await web.turn_on_totp(actor)
    with pytest.raises(AppPasswordNeeded) as right:
        await web.accounts.log_in(ALICE, RIGHT, PEER, service)
    with pytest.raises(AuthenticationFailed) as wrong:
        await web.accounts.log_in(ALICE, WRONG, PEER, service)
    assert reply_for(right.value) == reply_for(wrong.value)  # on the wire nobody sees which it was
    assert right.value.public_text == wrong.value.public_text
    assert (await web.accounts.log_in(ALICE, made.secret, PEER, service)).app_password_id is not None
    await web.audit.settle()
    entries = await web.audit.list(actor, Listing(), verb="log-in.refused", is_own=True)
    assert [(entry.details["service"], entry.details["reason"]) for entry in entries.items] == [
        (service, "app password needed")
    ]


async def test_attack_095_nor_by_scram(web, alice, actor):
    await web.turn_on_totp(actor)
    lookup = await web.accounts.scram_start(ALICE, PEER, "imap")
    with pytest.raises(AppPasswordNeeded):
        await web.accounts.scram_finish(lookup, lookup.verifiers[-1])


async def test_attack_095_a_right_password_that_does_not_let_in_counts_and_costs_as_a_wrong_one(
    web, alice, actor, monkeypatch
):
    await web.turn_on_totp(actor)
    hashed = []

    fits = passwords._fits
    monkeypatch.setattr(passwords, "_fits", lambda octets, phc: hashed.append(phc) or fits(octets, phc))
    works = []
    for password in (RIGHT, RIGHT, WRONG):  # the second time, too, though it was right a moment ago
        hashed.clear()
        with pytest.raises(AuthenticationFailed):
            await web.accounts.log_in(ALICE, password, ELSEWHERE, "imap")
        works.append(len(hashed))
    assert works == [1, 1, 1]
    for _ in range(PAIR_FREE_COUNT - 3):
        with pytest.raises(AppPasswordNeeded):
            await web.accounts.log_in(ALICE, RIGHT, ELSEWHERE, "imap")
    with pytest.raises(TooManyFailures):
        await web.accounts.log_in(ALICE, RIGHT, ELSEWHERE, "imap")


# codes


async def test_a_code_is_good_one_step_to_each_side_and_never_twice(web, alice, actor, clock):
    device, _ = await web.turn_on_totp(actor)
    owner = owner_of(None, alice.account_id)
    clock.passed_s += 10 * STEP_S
    for steps in (-2, 2):
        with pytest.raises(AuthenticationFailed):
            await web.second_factors.check(owner, device.code(steps), PEER, "web")
    early, now, late = (device.code(steps) for steps in (-1, 0, 1))
    await web.second_factors.check(owner, early, PEER, "web")
    await web.second_factors.check(owner, now, PEER, "web")
    for used in (early, now):
        with pytest.raises(AuthenticationFailed):
            await web.second_factors.check(owner, used, PEER, "web")
    await web.second_factors.check(owner, late, PEER, "web")


async def test_attack_095_of_two_with_the_same_code_at_once_one_comes_in(web, alice, actor, clock):
    device, _ = await web.turn_on_totp(actor)
    owner, code = owner_of(None, alice.account_id), device.code()
    outcomes = await asyncio.gather(
        *(web.second_factors.check(owner, code, PEER, "web") for _ in range(4)), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in outcomes) == ["AuthenticationFailed"] * 3 + ["Shown"]


async def test_attack_095_codes_cannot_be_tried_out_from_wherever_they_come(web, alice, actor, clock):
    device, _ = await web.turn_on_totp(actor)
    owner = owner_of(None, alice.account_id)
    waits = []
    for number in range(30):
        peer = Peer(f"198.51.100.{number}", 1, tls_version="TLSv1.3")
        try:
            await web.second_factors.check(owner, Secret("no code"), peer, "web")
        except TooManyFailures as error:
            waits.append(error.log_fields["refused_s"])
            clock.passed_s += error.log_fields["refused_s"] + 0.1
        except AuthenticationFailed:
            pass
    assert waits[:5] == [1.0, 2.0, 4.0, 8.0, 16.0]
    with pytest.raises(AuthenticationFailed):
        await web.second_factors.check(owner, Secret("no code"), PEER, "web")
    with pytest.raises(TooManyFailures):  # not even the right one, while it is to wait
        await web.second_factors.check(owner, device.code(), PEER, "web")


async def test_attack_095_tries_at_once_are_counted_before_they_are_looked_at(web, alice, actor):
    await web.turn_on_totp(actor)
    owner = owner_of(None, alice.account_id)
    outcomes = await asyncio.gather(
        *(web.second_factors.check(owner, Secret(f"{number:06}"), PEER, "web") for number in range(100)),
        return_exceptions=True,
    )
    assert sum(not isinstance(each, TooManyFailures) for each in outcomes) <= PAIR_FREE_COUNT


@pytest.mark.parametrize("code", ["", "12345", "1234567", "12345a", "١٢٣٤٥٦", "x" * 10_000, "\0" * 6, "-12345"])
async def test_attack_100_what_is_no_code_is_refused(web, alice, actor, code):
    await web.turn_on_totp(actor)
    with pytest.raises(AuthenticationFailed):
        await web.second_factors.check(owner_of(None, alice.account_id), Secret(code), PEER, "web")


# recovery codes


async def test_recovery_codes_are_used_up_and_taken_however_they_are_typed(web, alice, actor):
    _, codes = await web.turn_on_totp(actor)
    owner = owner_of(None, alice.account_id)
    typed = Secret(f" {codes[0].reveal().upper().replace('-', ' ')} ")
    shown = await web.second_factors.check(owner, typed, PEER, "web")
    assert (shown.kind, shown.left_count) == (FactorKind.RECOVERY, 9)
    with pytest.raises(AuthenticationFailed):
        await web.second_factors.check(owner, codes[0], PEER, "web")


async def test_a_recovery_code_gets_in_while_codes_have_to_wait(web, alice, actor):
    device, codes = await web.turn_on_totp(actor)
    owner = owner_of(None, alice.account_id)
    for _ in range(PAIR_FREE_COUNT):
        with pytest.raises(AuthenticationFailed):
            await web.second_factors.check(owner, Secret("000000"), ELSEWHERE, "web")
    with pytest.raises(TooManyFailures):
        await web.second_factors.check(owner, device.code(), PEER, "web")
    assert (await web.second_factors.check(owner, codes[3], PEER, "web")).left_count == 9


async def test_new_recovery_codes_replace_the_old_ones(web, alice, actor):
    with pytest.raises(NoSuchFactor):  # there is nothing that they could stand in for
        await web.settings.renew_recovery_codes(actor, RIGHT)
    device, codes = await web.turn_on_totp(actor)
    who = await strong(web, device)
    renewed = await web.settings.renew_recovery_codes(who, RIGHT)
    owner = owner_of(None, alice.account_id)
    with pytest.raises(AuthenticationFailed):
        await web.second_factors.check(owner, codes[0], PEER, "web")
    await web.second_factors.check(owner, renewed[0], PEER, "web")


# turning off


async def test_attack_095_changes_want_a_second_factor_shown_lately(web, actor, clock):
    device, _ = await web.turn_on_totp(actor)
    (factor,) = [each for each in await web.settings.list(actor) if each.kind is FactorKind.TOTP]
    with pytest.raises(FactorNeeded):  # the session of before, with a password alone
        await web.settings.remove(actor, factor.factor_id, RIGHT)
    who = await strong(web, device)
    with pytest.raises(AuthenticationFailed):
        await web.settings.remove(who, factor.factor_id, WRONG)
    clock.passed_s += STRONG_FOR.total_seconds() + 1
    with pytest.raises(FactorNeeded):
        await web.settings.remove(who, factor.factor_id, RIGHT)


async def test_with_the_last_factor_the_recovery_codes_go_and_the_password_is_enough(web, alice, actor):
    device, _ = await web.turn_on_totp(actor)
    who = await strong(web, device)
    (factor,) = [each for each in await web.settings.list(who) if each.kind is FactorKind.TOTP]
    await web.settings.remove(who, factor.factor_id, RIGHT)
    assert await web.settings.list(who) == []
    assert (await web.accounts.log_in(ALICE, RIGHT, PEER, "imap")).account_id == alice.account_id
    with pytest.raises(NoSuchFactor):
        await web.settings.remove(who, factor.factor_id, RIGHT)


async def test_one_of_several_factors_goes_and_the_others_stay(web, alice, actor):
    device, _ = await web.turn_on_totp(actor)
    who = await strong(web, device)
    await web.turn_on_passkey(who, SecurityKey(), mail_programs=None)
    (factor,) = [each for each in await web.settings.list(who) if each.kind is FactorKind.TOTP]
    await web.settings.remove(who, factor.factor_id, RIGHT)
    assert await web.second_factors.kinds(owner_of(None, alice.account_id)) == {
        FactorKind.PASSKEY,
        FactorKind.RECOVERY,
    }


async def test_attack_092_nobody_removes_anothers_factor(web, actor, admin):
    await web.turn_on_totp(actor)
    (factor,) = [each for each in await web.settings.list(actor) if each.kind is FactorKind.TOTP]
    bob = Secret("pw-never-in-a-log-bob")
    await web.accounts.create(admin, Address.parse("bob@example.test"), bob)
    with pytest.raises(NoSuchFactor):
        await web.settings.remove(await web.actor("bob@example.test", bob), factor.factor_id, bob)
    with pytest.raises(NotAllowed):
        await web.settings.remove_all(actor, Address.parse("bob@example.test"))


async def test_the_administrator_is_the_way_out_when_the_telephone_is_lost(web, alice, actor, admin, clock):
    await web.turn_on_totp(actor)
    assert len(await web.settings.list_of(admin, alice.address)) == 11
    assert await web.settings.remove_all(admin, alice.address) == 11
    assert (await web.sessions.start(ALICE, RIGHT, PEER, PROGRAM)).actor.account_id == alice.account_id
    await web.audit.settle()
    (entry,) = (await web.audit.list(admin, Listing(), verb="factor.remove-all")).items
    assert (entry.actor, entry.object, entry.details) == ("command line", ALICE, {"count": "11"})
    with pytest.raises(NoSuchUser):
        await web.settings.remove_all(admin, Address.parse("nobody@example.test"))


# passkeys


async def test_a_passkey_alone_logs_in(web, alice, actor):
    key = SecurityKey()
    assert len(await web.turn_on_passkey(actor, key)) == 10
    begun = await web.sessions.start_with_passkey(key.sign(web.sessions.passkey_options(PEER)), PEER, PROGRAM)
    assert begun.actor.account_id == alice.account_id
    assert begun.session.strong_at is not None


async def test_passkey_options_say_what_the_device_is_to_do(web, alice, actor):
    key = SecurityKey()
    asked = json.loads(await web.settings.begin_passkey(actor, RIGHT, MailPrograms.NONE))
    assert asked["rp"]["id"] == "mail.example.test"
    assert asked["authenticatorSelection"]["residentKey"] == "required"
    assert asked["authenticatorSelection"]["userVerification"] == "required"
    assert ALICE.encode().hex() not in asked["user"]["id"]
    await web.turn_on_passkey(actor, key)
    again = json.loads(web.passkeys.registration_options("a:x", ALICE, await web.settings.list(actor)))
    assert len(again["excludeCredentials"]) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"origin": "https://mail.example.test.evil.test"},
        {"origin": "http://mail.example.test"},
        {"origin": "https://mail.example.test:8443"},
        {"rp_id": "evil.test"},
        {"is_verifying": False},
        {"is_in_frame": True},
    ],
    ids=str,
)
async def test_attack_095_a_passkey_shown_to_another_site_or_by_nobody_is_refused(web, alice, actor, wrong):
    key = SecurityKey()
    with pytest.raises(PolicyRefused, match="not accepted"):
        await web.turn_on_passkey(actor, SecurityKey(**wrong))
    await web.turn_on_passkey(actor, key)
    honest = replace(key)
    for name, value in wrong.items():
        setattr(key, name, value)
    with pytest.raises(AuthenticationFailed):
        await web.sessions.start_with_passkey(key.sign(web.sessions.passkey_options(PEER)), PEER, PROGRAM)
    honest.counter = key.counter
    await web.sessions.start_with_passkey(honest.sign(web.sessions.passkey_options(PEER)), PEER, PROGRAM)


async def test_attack_095_an_answer_is_taken_once(web, alice, actor):
    key = SecurityKey()
    options = await web.settings.begin_passkey(actor, RIGHT, MailPrograms.NONE)
    answer = key.register(options)
    await web.settings.add_passkey(actor, answer, "key", MailPrograms.NONE)
    with pytest.raises((PolicyRefused, FactorExists)):
        await web.settings.add_passkey(actor, answer, "key", MailPrograms.NONE)
    answer = key.sign(web.sessions.passkey_options(PEER))
    await web.sessions.start_with_passkey(answer, PEER, PROGRAM)
    with pytest.raises(AuthenticationFailed):
        await web.sessions.start_with_passkey(answer, PEER, PROGRAM)


async def test_attack_095_a_challenge_runs_out_and_is_good_where_it_was_asked_for_only(web, alice, actor, clock):
    key = SecurityKey()
    await web.turn_on_passkey(actor, key)
    answer = key.sign(web.sessions.passkey_options(PEER))
    with pytest.raises(AuthenticationFailed):
        await web.sessions.start_with_passkey(answer, ELSEWHERE, PROGRAM)
    clock.passed_s += LIFE.total_seconds() + 1
    with pytest.raises(AuthenticationFailed):
        await web.sessions.start_with_passkey(answer, PEER, PROGRAM)


async def test_attack_095_a_challenge_for_one_thing_does_not_do_for_another(web, alice, actor, admin):
    key = SecurityKey()
    await web.turn_on_passkey(actor, key)
    asked = await web.sessions.start(ALICE, RIGHT, PEER, PROGRAM)
    answer = key.sign(asked.passkey_options)
    with pytest.raises(AuthenticationFailed):
        await web.sessions.start_with_passkey(answer, PEER, PROGRAM)
    other = await web.sessions.start(ALICE, RIGHT, PEER, PROGRAM)
    with pytest.raises(AuthenticationFailed):
        await web.sessions.finish_with_passkey(other.token, answer, PEER, PROGRAM)
    await web.sessions.finish_with_passkey(asked.token, answer, PEER, PROGRAM)


async def test_attack_095_a_counter_that_does_not_ascend_is_a_copied_key(web, alice, actor):
    key = SecurityKey()
    await web.turn_on_passkey(actor, key)
    copy = SecurityKey(counter=key.counter, keys=key.keys)
    await web.sessions.start_with_passkey(key.sign(web.sessions.passkey_options(PEER)), PEER, PROGRAM)
    with pytest.raises(AuthenticationFailed):
        await web.sessions.start_with_passkey(copy.sign(web.sessions.passkey_options(PEER)), PEER, PROGRAM)


async def test_attack_095_anothers_passkey_is_not_my_second_factor(web, alice, actor, admin):
    bob = Secret("pw-never-in-a-log-bob")
    await web.accounts.create(admin, Address.parse("bob@example.test"), bob)
    mine, his = SecurityKey(), SecurityKey()
    await web.turn_on_passkey(actor, mine)
    await web.turn_on_passkey(await web.actor("bob@example.test", bob), his, password=bob)
    asked = await web.sessions.start(ALICE, RIGHT, PEER, PROGRAM)
    said = json.loads(asked.passkey_options)
    said["allowCredentials"] = []
    with pytest.raises(AuthenticationFailed):
        await web.sessions.finish_with_passkey(asked.token, his.sign(json.dumps(said)), PEER, PROGRAM)
    # the same key under another's handle
    ((credential_id, (private, _)),) = his.keys.items()
    ((_, (_, handle)),) = mine.keys.items()
    forged = SecurityKey(counter=his.counter, keys={credential_id: (private, handle)})
    with pytest.raises(AuthenticationFailed):
        await web.sessions.start_with_passkey(forged.sign(web.sessions.passkey_options(PEER)), PEER, PROGRAM)
    with pytest.raises(AuthenticationFailed):  # who it is must be said where nobody is known yet
        await web.sessions.start_with_passkey(
            his.sign(web.sessions.passkey_options(PEER), with_handle=False), PEER, PROGRAM
        )


@pytest.mark.parametrize(
    "response",
    [
        "",
        "{}",
        "[]",
        "null",
        "[" * 50_000,
        '{"response": {"clientDataJSON": 1}}',
        '{"response": {"clientDataJSON": "AA"}}',
        '{"id": "\\ud800", "response": {"clientDataJSON": "e30"}}',
        "\0",
        "x" * 100_000,
    ],
    ids=range(10),
)
async def test_attack_100_what_is_no_answer_of_a_passkey_is_refused(web, actor, response):
    with pytest.raises(AuthenticationFailed):
        await web.passkeys.shown(Purpose("log-in", "x"), response)
    with pytest.raises(PolicyRefused):
        await web.settings.add_passkey(actor, response, "key", MailPrograms.NONE)


async def test_a_user_with_a_password_of_his_own_has_factors_too(web, users, root, clock):

    actor = await web.actor(root.address, ROOT_PASSWORD)
    device, _ = await web.turn_on_totp(actor, ROOT_PASSWORD, mail_programs=None)  # there is no mail to care for
    assert not (await web.settings.outlook(actor)).has_mailbox
    with pytest.raises(FactorNeeded):
        await web.users.log_in(root.address, ROOT_PASSWORD, PEER)
    asked = await web.sessions.start(root.address, ROOT_PASSWORD, PEER, PROGRAM)
    begun = await web.sessions.finish(asked.token, device.code(), PEER, PROGRAM)
    assert begun.actor.is_admin
