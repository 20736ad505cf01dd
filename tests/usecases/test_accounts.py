import asyncio
from contextlib import ExitStack
from dataclasses import replace

import pytest

from mailstead.model.address import Address
from mailstead.model.directory import HostTarget
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import (
    AddressTaken,
    AuthenticationFailed,
    LimitReached,
    NoSuchAccount,
    NoSuchAddress,
    NoSuchDomain,
    NotAllowed,
    PolicyRefused,
    StorageUnavailable,
    TooManyFailures,
)
from mailstead.model.mailbox import DEFAULT_MAILBOXES
from mailstead.model.secret import Secret
from mailstead.proto.sasl import Challenge, NeedsVerifier, ProofGiven, mechanism
from mailstead.proto.sasl.client import ScramSha256Client

ALICE = "alice@example.test"
RIGHT, WRONG = Secret("pw-never-in-a-log-alice"), Secret("pw-never-in-a-log-wrong")
NEW = Secret("pw-never-in-a-log-new")


def address(text):
    return Address.parse(text)


async def log_in(accounts, peer, secret=RIGHT, username=ALICE, service="imap"):
    return await accounts.log_in(username, secret, peer, service)


async def scram(accounts, peer, secret=RIGHT, username=ALICE, service="imap"):
    """What a session does, see the docstring of `proto.sasl`."""
    client, server = ScramSha256Client(username, secret, "clientnonce"), mechanism("SCRAM-SHA-256", "servernonce")
    step = server.step(client.first())
    assert isinstance(step, NeedsVerifier)
    lookup = await accounts.scram_start(step.username, peer, service)
    step = server.step(client.final(server.offer(lookup.salt, lookup.iteration_count, lookup.verifiers).octets))
    if isinstance(step, Challenge):
        assert client.check(step.octets)
        step = server.step(b"")
    assert isinstance(step, ProofGiven)
    return await accounts.scram_finish(lookup, step.verifier)


async def test_log_in(accounts, alice, peer):
    for username in (ALICE, "ALICE@Example.TEST"):
        actor = await log_in(accounts, peer, username=username)
        assert actor == Actor(alice.account_id, alice.address)


async def test_scram_log_in(accounts, alice, peer):
    assert await scram(accounts, peer) == Actor(alice.account_id, alice.address)
    with pytest.raises(AuthenticationFailed):
        await scram(accounts, peer, WRONG)
    with pytest.raises(AuthenticationFailed):
        await scram(accounts, peer, username="nobody@example.test")


@pytest.mark.parametrize(
    "username", ["alice", "nobody@example.test", "info@example.test", "alice@other.test", "", "@", "\0"]
)
async def test_one_answer_for_all_who_may_not_come_in(accounts, alice, aliases, admin, peer, username):
    await aliases.create(admin, address("info@example.test"), [alice.address])
    with pytest.raises(AuthenticationFailed) as refused:
        await log_in(accounts, peer, username=username)
    assert refused.value.public_text == AuthenticationFailed.default_text


async def test_attack_062_scram_shows_unknown_users_a_steady_salt(accounts, alice, peer):
    known = await accounts.scram_start(ALICE, peer, "imap")
    unknown = [await accounts.scram_start("nobody@example.test", peer, "imap") for _ in range(3)]
    other = await accounts.scram_start("other@example.test", peer, "imap")
    assert len({lookup.salt for lookup in unknown}) == 1
    assert other.salt != unknown[0].salt
    assert len(unknown[0].salt) == len(known.salt)
    assert unknown[0].iteration_count == known.iteration_count


async def test_attack_061_guessing_over_all_protocols_in_turn(accounts, alice, peer, clock):
    refused = 0
    for number in range(30):
        try:
            if number % 4 == 3:
                await scram(accounts, peer, WRONG)
            else:
                await log_in(accounts, peer, WRONG, service=("imap", "smtp", "pop3")[number % 3])
        except TooManyFailures:
            refused += 1
        except AuthenticationFailed:
            pass
    assert refused >= 24
    with pytest.raises(TooManyFailures):
        await log_in(accounts, peer)
    clock.passed_s += 700
    await log_in(accounts, peer)


async def test_attack_061_guesses_sent_at_once_are_judged_one_by_one(accounts, alice, peer):
    results = await asyncio.gather(*(log_in(accounts, peer, WRONG) for _ in range(100)), return_exceptions=True)
    assert sum(isinstance(result, AuthenticationFailed) for result in results) <= 8
    assert all(isinstance(result, AuthenticationFailed | TooManyFailures) for result in results)


async def test_ten_connections_at_once_come_in(accounts, alice, peer):
    actors = await asyncio.gather(*(log_in(accounts, peer) for _ in range(50)))
    assert len(actors) == 50


async def test_attack_061_an_account_under_attack_is_slow_for_strangers_and_open_for_its_owner(
    accounts, alice, peer, slept
):
    await log_in(accounts, peer)
    for number in range(50):
        with pytest.raises(AuthenticationFailed):
            await log_in(accounts, Peer(f"198.51.100.{number}", 1), WRONG)
    assert max(slept) == 8
    slept.clear()
    await log_in(accounts, peer)
    assert slept == []
    await log_in(accounts, Peer("203.0.113.1", 1))
    assert slept == [8]


async def test_create_makes_store_and_mailboxes(accounts, storage, alice):
    mailboxes = await storage.accounts.of(alice.account_id).mailboxes()
    assert {(mailbox.name, mailbox.special_use) for mailbox in mailboxes} == set(DEFAULT_MAILBOXES)
    assert all(mailbox.is_subscribed for mailbox in mailboxes)


async def test_create_refuses(accounts, admin, alice):
    with pytest.raises(AddressTaken):
        await accounts.create(admin, address("ALICE@example.test"), NEW)
    with pytest.raises(NoSuchDomain):
        await accounts.create(admin, address("alice@other.test"), NEW)
    with pytest.raises(PolicyRefused):
        await accounts.create(admin, address("mailer-daemon@example.test"), NEW)
    with pytest.raises(PolicyRefused):
        await accounts.create(admin, address("bob@example.test"), Secret("short"))
    with pytest.raises(NoSuchDomain):
        await accounts.create(Actor(alice.account_id, alice.address), address("bob@example.test"), NEW)
    assert await accounts.list(admin) == [alice]


def account_files(tmp_path):
    return sorted(file.stem for file in (tmp_path / "data" / "accounts").rglob("*.db"))


async def test_of_two_creations_the_loser_leaves_nothing(accounts, admin, storage, tmp_path):
    results = await asyncio.gather(
        *(accounts.create(admin, address("carol@example.test"), NEW) for _ in range(5)), return_exceptions=True
    )
    winners = [result for result in results if not isinstance(result, Exception)]
    assert len(winners) == 1
    assert sum(isinstance(result, AddressTaken) for result in results) == 4
    assert account_files(tmp_path) == [winners[0].account_id]
    assert [file.stem for file in (tmp_path / "data" / "keys").rglob("*.key")] == [winners[0].account_id]


async def test_an_error_that_hides_a_commit_keeps_the_store(accounts, admin, storage, monkeypatch, tmp_path):
    directory = storage.directory
    add = directory.add_account

    async def add_and_fail(*arguments):
        await add(*arguments)
        raise StorageUnavailable

    monkeypatch.setattr(directory, "add_account", add_and_fail)
    with pytest.raises(StorageUnavailable):
        await accounts.create(admin, address("carol@example.test"), NEW)
    found = await directory.find(address("carol@example.test"))
    assert account_files(tmp_path) == [found.account_id]


async def test_remove(accounts, admin, alice, peer, tmp_path):
    await accounts.remove(admin, alice.address)
    assert account_files(tmp_path) == []
    with pytest.raises(AuthenticationFailed):
        await log_in(accounts, peer)
    with pytest.raises(NoSuchAccount):
        await accounts.remove(admin, alice.address)
    again = await accounts.create(admin, alice.address, NEW)
    assert again.account_id != alice.account_id


async def test_quota_in_directory_and_store(accounts, admin, alice, storage):
    await accounts.set_quota(admin, alice.address, 12345)
    assert (await storage.directory.account(alice.account_id)).quota_octets == 12345
    assert (await storage.accounts.of(alice.account_id).usage()).quota_octets == 12345


async def test_set_password_by_the_owner(accounts, alice, bob, peer):
    actor = await log_in(accounts, peer)
    await accounts.set_password(actor, alice.address, NEW)
    with pytest.raises(AuthenticationFailed):
        await log_in(accounts, peer)
    await log_in(accounts, peer, NEW)
    await scram(accounts, peer, NEW)
    with pytest.raises(NoSuchAccount):
        await accounts.set_password(actor, bob.address, NEW)


async def test_attack_053_others_are_refused_alike_whether_they_exist_or_not(accounts, alice, bob, peer):
    actor = await log_in(accounts, peer)
    answers = []
    for other in (bob.address, address("nobody@example.test"), address("x@elsewhere.test")):
        for call in (
            accounts.set_password(actor, other, NEW),
            accounts.add_app_password(actor, other, "x"),
            accounts.list_app_passwords(actor, other),
            accounts.remove_app_password(actor, other, 1),
            accounts.remove(actor, other),
            accounts.set_quota(actor, other, 1),
        ):
            with pytest.raises(NoSuchAccount) as refused:
                await call
            answers.append(refused.value.public_text)
    assert len(set(answers)) == 1


async def test_app_passwords(accounts, alice, peer):
    owner = await log_in(accounts, peer)
    made = await accounts.add_app_password(owner, alice.address, "phone", frozenset({"imap"}))
    for come_in in (log_in, scram):
        actor = await come_in(accounts, peer, made.secret)
        assert actor.app_password_id == made.app_password.app_password_id
        assert actor.scopes == {"imap"}
        with pytest.raises(AuthenticationFailed):
            await come_in(accounts, peer, made.secret, service="smtp")
    with pytest.raises(NotAllowed):  # an app password manages nothing
        await accounts.set_password(actor, alice.address, NEW)
    # they stay usable, with SCRAM too, when the main password changes
    await accounts.set_password(owner, alice.address, NEW)
    await scram(accounts, peer, made.secret)
    await scram(accounts, peer, NEW)
    (left,) = await accounts.list_app_passwords(owner, alice.address)
    assert replace(left, last_used_on="") == made.app_password
    await accounts.remove_app_password(owner, alice.address, made.app_password.app_password_id)
    with pytest.raises(AuthenticationFailed):
        await log_in(accounts, peer, made.secret)
    assert made.secret.reveal() not in repr(made)


async def test_app_passwords_have_limits(accounts, admin, alice):
    for label, scopes in (
        ("", frozenset()),
        ("x" * 101, frozenset()),
        ("a\nb", frozenset()),
        ("x", frozenset({"root"})),
    ):
        with pytest.raises(PolicyRefused):
            await accounts.add_app_password(admin, alice.address, label, scopes)
    with pytest.raises(LimitReached):
        for number in range(30):
            await accounts.add_app_password(admin, alice.address, str(number))


class Revoked:
    def __init__(self):
        self.event, self.count = asyncio.Event(), 0

    def __call__(self):
        self.count += 1
        self.event.set()

    async def wait(self):
        async with asyncio.timeout(10):
            await self.event.wait()


async def settled(accounts):
    """Let the revocation task finish what is under way."""
    for _ in range(200):
        await asyncio.sleep(0)
    await accounts._directory.credential_changes(0)
    for _ in range(50):
        await asyncio.sleep(0)


async def test_attack_064_changing_the_password_ends_the_sessions_of_it_only(accounts, alice, bob, admin, peer):
    main = await log_in(accounts, peer)
    made = await accounts.add_app_password(main, alice.address, "phone")
    app = await log_in(accounts, peer, made.secret)
    other = await log_in(accounts, peer, Secret("pw-never-in-a-log-bob"), "bob@example.test")
    watched = {name: Revoked() for name in ("main", "main 2", "app", "other")}
    with ExitStack() as scopes:
        for name, actor in (("main", main), ("main 2", main), ("app", app), ("other", other)):
            scopes.enter_context(accounts.watch_revocations(actor, watched[name]))
        await settled(accounts)
        assert [one.count for one in watched.values()] == [0, 0, 0, 0]
        await accounts.set_password(admin, alice.address, NEW)
        await watched["main"].wait()
        await watched["main 2"].wait()
        assert [one.count for one in watched.values()] == [1, 1, 0, 0]
        await accounts.remove_app_password(admin, alice.address, made.app_password.app_password_id)
        await watched["app"].wait()
        await accounts.remove(admin, bob.address)
        await watched["other"].wait()
        assert [one.count for one in watched.values()] == [1, 1, 1, 1]


async def test_attack_064_a_change_between_log_in_and_watch_is_noticed(accounts, alice, admin, peer):
    actor = await log_in(accounts, peer)
    await accounts.set_password(admin, alice.address, NEW)
    revoked = Revoked()
    with accounts.watch_revocations(actor, revoked):
        await revoked.wait()


async def test_attack_064_the_same_password_again_ends_sessions_too(accounts, alice, admin, peer):
    actor, revoked = await log_in(accounts, peer), Revoked()
    with accounts.watch_revocations(actor, revoked):
        await accounts.set_password(admin, alice.address, RIGHT)
        await revoked.wait()


async def test_attack_064_scram_with_a_password_changed_meanwhile(accounts, alice, admin, peer):
    lookup = await accounts.scram_start(ALICE, peer, "imap")
    await accounts.set_password(admin, alice.address, NEW)
    with pytest.raises(AuthenticationFailed):
        await accounts.scram_finish(lookup, lookup.verifiers[0])


async def test_who_stopped_watching_is_not_called(accounts, alice, admin, peer):
    actor, gone, there = await log_in(accounts, peer), Revoked(), Revoked()
    with accounts.watch_revocations(actor, there):
        with accounts.watch_revocations(actor, gone):
            pass
        await accounts.set_password(admin, alice.address, NEW)
        await there.wait()
    assert gone.count == 0
    with accounts.watch_revocations(admin, gone):
        pass


async def test_forwarding(accounts, admin, alice, bob, storage):
    targets = [bob.address, HostTarget("mail.test", 26), Address("x", "elsewhere.test"), bob.address]
    changed = await accounts.set_forwarding(admin, alice.address, targets, keeps_copy=False)
    assert (changed.forward_to, changed.keeps_copy) == (tuple(targets[:3]), False)
    assert await storage.directory.find(alice.address) == changed
    off = await accounts.set_forwarding(admin, alice.address, [], keeps_copy=False)
    assert off == alice  # with nowhere to go, mail is kept
    with pytest.raises(NoSuchAddress):
        await accounts.set_forwarding(admin, alice.address, [Address("nobody", "example.test")], keeps_copy=True)
    await accounts.set_forwarding(admin, alice.address, [Address("bob+x", "example.test")], keeps_copy=True)
    with pytest.raises(LimitReached):
        many = [Address(f"x{number}", "elsewhere.test") for number in range(11)]
        await accounts.set_forwarding(admin, alice.address, many, keeps_copy=True)
    with pytest.raises(NoSuchAccount):
        await accounts.set_forwarding(admin, Address("nobody", "example.test"), [], keeps_copy=True)


async def test_sending_limit(accounts, admin, alice, storage):
    await accounts.set_sending_limit(admin, alice.address, 20)
    assert (await storage.directory.find(alice.address)).sending_limit == 20
    await accounts.set_sending_limit(admin, alice.address, None)
    assert await storage.directory.find(alice.address) == alice
    with pytest.raises(NoSuchAccount):
        await accounts.set_sending_limit(admin, Address("nobody", "example.test"), 1)


async def test_attack_053_limits_are_set_by_administrators_only(accounts, alice):
    actor = Actor(alice.account_id, alice.address)
    for call in (
        lambda: accounts.set_quota(actor, alice.address, 1),
        lambda: accounts.set_sending_limit(actor, alice.address, 1),
        lambda: accounts.remove(actor, alice.address),
        lambda: accounts.list(actor, "example.test"),
    ):
        with pytest.raises(NotAllowed):
            await call()


async def test_owners_forward_if_the_domain_allows(accounts, domains, admin, alice, bob, storage):
    owner, elsewhere = Actor(alice.account_id, alice.address), Address("a", "elsewhere.test")
    made = await accounts.set_forwarding(owner, alice.address, [elsewhere], keeps_copy=False)
    assert await storage.directory.find(alice.address) == made
    with pytest.raises(NoSuchAccount):
        await accounts.set_forwarding(owner, bob.address, [elsewhere], keeps_copy=True)
    with pytest.raises(NotAllowed):
        await accounts.set_forwarding(replace(owner, app_password_id=1), alice.address, [], keeps_copy=True)
    await domains.set_terms(admin, "example.test", {"owners_forward": "no"})
    with pytest.raises(NotAllowed, match="ask its administrator"):
        await accounts.set_forwarding(owner, alice.address, [], keeps_copy=True)
    assert (await accounts.set_forwarding(admin, alice.address, [], keeps_copy=True)).forward_to == ()


@pytest.mark.parametrize("text", ["*", "/^x/", "!x"])
async def test_an_account_is_no_pattern(accounts, admin, domains, text):
    with pytest.raises(PolicyRefused):
        await accounts.create(admin, Address(text, "example.test"), Secret("pw-never-in-a-log"))
