"""App passwords: where, until when and for what they are good, and the day of their last use."""

from datetime import UTC, datetime, timedelta

import pytest

from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import AuthenticationFailed, LimitReached, NotAllowed, PolicyRefused, TooManyFailures
from mailstead.model.people import Group, Listing
from mailstead.model.secret import Secret
from mailstead.policy.failures import PAIR_FREE_COUNT
from mailstead.usecases.app_passwords import NETWORKS_MAX, SERVICES, is_within
from mailstead.usecases.passwords import APP_PASSWORDS_MAX
from usecases.coming_in import RIGHT, WRONG
from usecases.test_accounts import log_in, scram

HOME = Peer("192.0.2.77", 4711, tls_version="TLSv1.3")
AWAY = Peer("203.0.113.7", 4711, tls_version="TLSv1.3")


@pytest.fixture
def owner(alice):
    return Actor(alice.account_id, alice.address)


async def make(accounts, owner, **limits):
    return await accounts.add_app_password(owner, owner.address, "phone", **limits)


@pytest.mark.parametrize("come_in", [log_in, scram])
async def test_an_app_password_of_a_network_is_taken_from_there_only(accounts, owner, come_in):
    made = await make(accounts, owner, networks=["192.0.2.0/24", "2001:db8::/32"])
    for address in ("192.0.2.77", "2001:db8:1::1", "::ffff:192.0.2.9"):
        peer = Peer(address, 1, tls_version="TLSv1.3")
        assert (await come_in(accounts, peer, made.secret)).app_password_id == made.app_password.app_password_id
    for address in ("192.0.3.1", "2001:db9::1", "::ffff:203.0.113.1", "", "nonsense", "fe80::1%eth0"):
        with pytest.raises(AuthenticationFailed):
            await come_in(accounts, Peer(address, 1, tls_version="TLSv1.3"), made.secret)


@pytest.mark.parametrize("come_in", [log_in, scram])
async def test_an_app_password_runs_out(accounts, owner, clock, come_in):
    made = await make(accounts, owner, expires_at=clock.now() + timedelta(hours=1))
    await come_in(accounts, HOME, made.secret)
    clock.passed_s += 3600
    with pytest.raises(AuthenticationFailed) as refused:
        await come_in(accounts, HOME, made.secret)
    with pytest.raises(AuthenticationFailed) as wrong:
        await come_in(accounts, HOME, WRONG)
    assert refused.value.public_text == wrong.value.public_text


@pytest.mark.parametrize("service", sorted(SERVICES))
async def test_an_app_password_is_good_for_its_services_only_and_never_for_the_web(accounts, owner, service):
    made = await make(accounts, owner, scopes=frozenset({service}))
    assert (await log_in(accounts, HOME, made.secret, service=service)).scopes == {service}
    with pytest.raises(AuthenticationFailed):
        await log_in(accounts, HOME, made.secret, service=next(iter(SERVICES - {service})))
    anything = await make(accounts, owner)
    await log_in(accounts, HOME, anything.secret, service=service)
    with pytest.raises(AuthenticationFailed):
        await log_in(accounts, AWAY, anything.secret, service="web")


async def test_the_owner_reads_why_a_program_was_refused(accounts, owner, audit):
    made = await make(accounts, owner, networks=["192.0.2.0/24"])
    for _ in range(2):
        with pytest.raises(AuthenticationFailed):
            await log_in(accounts, AWAY, made.secret)
    await accounts._audit.settle()
    (entry,) = (await audit.list(owner, Listing(), verb="log-in.refused", is_own=True)).items
    assert (entry.peer, entry.details["reason"]) == (AWAY.address, "app password from another network")


async def test_the_day_of_the_last_use_is_noted_once_a_day(accounts, owner, clock, storage, monkeypatch):
    made = await make(accounts, owner)
    notes = []
    note = storage.directory.note_app_password_use
    monkeypatch.setattr(
        storage.directory, "note_app_password_use", lambda numbers, day: notes.append(day) or note(numbers, day)
    )
    for day in ("2026-01-01", "2026-01-02"):
        for come_in in (log_in, scram, log_in):
            await come_in(accounts, HOME, made.secret)
        await accounts._uses.close()
        (listed,) = await accounts.list_app_passwords(owner, owner.address)
        assert listed.last_used_on == day
        clock.passed_s += 86400
    assert notes == ["2026-01-01", "2026-01-02"]


@pytest.mark.parametrize(
    "limits",
    [
        {"networks": ["home"]},
        {"networks": ["192.0.2.0/33"]},
        {"networks": ["192.0.2.0/24"] * (NETWORKS_MAX + 1)},
        {"expires_at": datetime(2025, 1, 1, tzinfo=UTC)},
        {"scopes": frozenset({"web"})},
        {"scopes": frozenset({"ftp"})},
    ],
    ids=str,
)
async def test_limits_that_cannot_be_are_refused(accounts, owner, limits):
    with pytest.raises(PolicyRefused):
        await make(accounts, owner, **limits)
    assert await accounts.list_app_passwords(owner, owner.address) == ()


@pytest.mark.parametrize("label", ["", " ", "x" * 101, "a\x1b[2J", "a\nb"])
async def test_attack_100_labels_that_act_on_a_terminal_are_refused(accounts, owner, label):
    with pytest.raises(PolicyRefused):
        await accounts.add_app_password(owner, owner.address, label)


async def test_an_account_has_a_bounded_number(accounts, owner):
    for _ in range(APP_PASSWORDS_MAX):
        await make(accounts, owner)
    with pytest.raises(LimitReached):
        await make(accounts, owner)


def test_networks_are_compared_as_addresses():
    assert is_within("10.1.2.3", ["10.0.0.0/8"])
    assert not is_within("11.1.2.3", ["10.0.0.0/8"])
    assert not is_within("::1", ["0.0.0.0/0"])
    assert is_within("2001:db8::1", ["2001:db8::1/128"])


async def test_attack_095_a_token_makes_no_way_into_its_own_users_mail(accounts, users, admin, alice, bob, storage):
    """Or an API token, for which no second factor is asked, would be worth a log-in."""
    user = await users.create(admin, alice.address)
    await storage.people.set_member("example.test", user.user_id, Group.ADMIN)
    made = await users.tokens.create(admin, "program", user=user)
    program = await users.act_with_token(made.secret, HOME)
    for call in (
        accounts.add_app_password(program, alice.address, "phone"),
        accounts.set_password(program, alice.address, Secret("pw-never-in-a-log-new")),
        accounts.list_app_passwords(program, alice.address),
        accounts.remove_app_password(program, alice.address, 1),
    ):
        with pytest.raises(NotAllowed):
            await call
    await accounts.add_app_password(program, bob.address, "phone")  # whom its user looks after


async def test_attack_061_guesses_from_its_network_do_not_keep_a_mail_program_out(accounts, owner):
    """An app password cannot be guessed, so it is taken where others are refused; nothing is learned by it."""
    made = await make(accounts, owner, scopes=frozenset({"imap"}))
    for _ in range(PAIR_FREE_COUNT + 5):
        with pytest.raises((AuthenticationFailed, TooManyFailures)):
            await log_in(accounts, AWAY, WRONG)
    with pytest.raises(TooManyFailures):
        await log_in(accounts, AWAY, RIGHT)
    for come_in in (log_in, scram):
        assert (await come_in(accounts, AWAY, made.secret)).app_password_id == made.app_password.app_password_id
    with pytest.raises(TooManyFailures):  # a right one for another service is as any other
        await log_in(accounts, AWAY, made.secret, service="smtp")
    with pytest.raises(TooManyFailures):
        await log_in(accounts, AWAY, Secret("aaaaaa-aaaaaa-aaaaaa-aaaaaaaa"))
