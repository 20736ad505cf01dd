"""Sealed accounts in a whole house: who opens them by what, and what becomes of mail that comes meanwhile."""

import asyncio
from dataclasses import replace
from hashlib import pbkdf2_hmac, sha256
from hmac import digest

import pytest

from mailstead.model.address import Address
from mailstead.model.errors import (
    AccountLocked,
    AuthenticationFailed,
    NotAllowed,
    OverQuota,
    PolicyRefused,
    StorageUnavailable,
    TooManyFailures,
    TryAgainLater,
)
from mailstead.model.message import Wanted
from mailstead.model.secret import Secret
from mailstead.ports.sealed import WrapKind
from mailstead.usecases.sealed_accounts import SealedAccounts
from mailstead.usecases.unlocking import IDLE_S
from services.smtp.smtp_house import PASSWORD
from usecases.flow import ADMIN, ANN, PEER, message, open_flow

ALICE = Address("alice", "example.test")
OLD, NEW = Secret(PASSWORD), Secret("pw-never-in-a-log-new")
CLIENT = replace(PEER, tls_version="TLSv1.3")


@pytest.fixture
async def flow(tmp_path):
    async with open_flow(tmp_path) as opened:
        yield opened


@pytest.fixture
async def sealed(flow):
    """alice is sealed, and nobody has opened her account; gives the recovery key."""
    key = SealedAccounts.new_recovery_key()
    await flow.house.sealed_accounts.seal(ADMIN, ALICE, OLD, key, CLIENT)
    await lock(flow)
    return key


async def alice_id(flow):
    return (await flow.smtp.account("alice")).account_id


async def lock(flow):
    await flow.house.unlocking.lock(await alice_id(flow))
    assert not flow.storage.sealed.is_open(await alice_id(flow))


async def log_in(flow, secret=OLD, service="imap"):
    return await flow.house.accounts.log_in(str(ALICE), secret, CLIENT, service)


async def scram(flow, text, name="alice@example.test"):
    """What a client does that says SCRAM: it shows its ClientKey, never the password."""
    lookup = await flow.house.accounts.scram_start(name, CLIENT, "imap")
    salted = pbkdf2_hmac("sha256", text.encode(), lookup.salt, lookup.iteration_count)
    client_key = digest(salted, b"Client Key", "sha256")
    stored = sha256(client_key).digest()
    verifier = next((each for each in lookup.verifiers if each.scram_stored_key == stored), None)
    return await flow.house.accounts.scram_finish(lookup, verifier, client_key if verifier else b"")


async def waiting_count(flow):
    found = (await flow.storage.sealed.waiting_counts()).get(await alice_id(flow))
    return found.message_count if found else 0


def subjects(stored):
    return [next(line for line in octets.split(b"\r\n") if line.startswith(b"Subject: "))[9:] for octets in stored]


async def test_mail_for_a_locked_account_waits_and_is_there_at_the_next_log_in(flow, sealed):
    for number in range(5):
        await flow.receive("alice", octets=message(ANN, f"m{number}"))
    assert await waiting_count(flow) == 5
    with pytest.raises(AccountLocked):
        await flow.storage.accounts.of(await alice_id(flow)).usage()
    actor = await log_in(flow)
    assert actor.address == ALICE
    found = await flow.stored("alice")
    assert subjects(found) == [b"m0", b"m1", b"m2", b"m3", b"m4"]
    assert found[0].startswith(b"Return-Path: <ann@friend.test>\r\nDelivered-To: alice@example.test\r\nReceived: ")
    assert await waiting_count(flow) == 0
    await flow.receive("alice", octets=message(ANN, "m5"))
    assert subjects(await flow.stored("alice"))[-1] == b"m5", "while it is open mail goes straight in"


async def test_waiting_mail_cannot_be_read_in_the_files(flow, sealed, tmp_path):
    await flow.receive("alice", octets=message(ANN, "hello", body="a-word-nobody-else-says\r\n"))
    record = await flow.storage.sealed._file.read(lambda db: db.execute("SELECT octets FROM mail").fetchone())
    assert b"a-word-nobody-else-says" not in record[0]
    assert b"friend.test" not in record[0]


async def test_mail_keeps_the_moment_at_which_it_came(flow, sealed):
    await flow.receive("alice")
    then = flow.clock.now()
    flow.clock.advance(days=3)
    await log_in(flow)
    store = flow.storage.accounts.of(await alice_id(flow))
    snapshot = await store.snapshot("INBOX")
    (record,) = await store.fetch(snapshot.mailbox.mailbox_id, snapshot.uids, Wanted.NARROW)
    assert record.internaldate_s == int(then.timestamp())


async def test_filters_run_when_the_account_is_opened(flow):
    await flow.script(
        "alice",
        'require ["fileinto", "mailbox", "vacation", "reject", "imap4flags", "envelope"];\n'
        'if header :contains "subject" "list" { fileinto :create "Lists"; }\n'
        'elsif header :contains "subject" "spam" { discard; }\n'
        'elsif header :contains "subject" "away" { redirect "x@elsewhere.test"; }\n'
        'elsif header :contains "subject" "no" { reject "no"; }\n'
        'elsif envelope "from" "ann@friend.test" { setflag "\\\\Flagged"; vacation "I am away"; keep; }\n',
    )
    await flow.house.sealed_accounts.seal(ADMIN, ALICE, OLD, SealedAccounts.new_recovery_key(), CLIENT)
    await lock(flow)
    for subject in ("a list", "spam", "away", "no", "else"):
        await flow.receive("alice", octets=message(ANN, subject))
    assert await flow.smtp.queued() == [], "nothing is known of its filters now"
    await log_in(flow)
    assert subjects(await flow.stored("alice", "Lists")) == [b"a list"]
    assert subjects(await flow.stored("alice")) == [b"no", b"else"], "what was accepted is not rejected"
    (item,) = await flow.smtp.queued()
    assert [str(each.recipient.address) for each in item.recipients] == ["x@elsewhere.test"], "and no vacation"


async def test_a_message_for_several_waits_for_the_one_and_reaches_the_other(flow, sealed):
    await flow.receive("team", octets=message(ANN, "both"))
    assert subjects(await flow.stored("bob")) == [b"both"]
    assert await waiting_count(flow) == 1
    await log_in(flow)
    assert subjects(await flow.stored("alice")) == [b"both"]


async def test_a_delivery_that_was_decided_just_before_the_lock_waits_too(flow, monkeypatch, sealed):
    await log_in(flow)
    decide = flow.house.filters.decide

    async def decide_and_lock(incoming):
        filed = await decide(incoming)
        await lock(flow)
        return filed

    monkeypatch.setattr(flow.house.filters, "decide", decide_and_lock)
    await flow.receive("alice", octets=message(ANN, "between"))
    assert await waiting_count(flow) == 1
    await log_in(flow)
    assert subjects(await flow.stored("alice")) == [b"between"]


async def test_attack_072_a_locked_account_is_full_when_store_and_waiting_mail_are(tmp_path):
    async with open_flow(tmp_path, quotas={"alice": 6000}) as flow:
        await flow.receive("alice", octets=message(ANN, body="x" * 60 + "\r\n" * 500))
        await flow.house.sealed_accounts.seal(ADMIN, ALICE, OLD, SealedAccounts.new_recovery_key(), CLIENT)
        await lock(flow)
        await flow.receive("alice", octets=message(ANN, body="x" * 60 + "\r\n" * 800))
        with pytest.raises(OverQuota):
            await flow.receive("alice", octets=message(ANN, body="x" * 60 + "\r\n" * 1500))
        await log_in(flow)
        assert len(await flow.stored("alice")) == 2


async def test_a_process_that_dies_while_it_is_open_has_noted_how_full_it_is(flow, monkeypatch, sealed):
    noted, note_usage = asyncio.Event(), flow.storage.sealed.note_usage
    sizes = []

    async def note(account_id, size_octets):
        sizes.append(size_octets)
        await note_usage(account_id, size_octets)
        noted.set()

    monkeypatch.setattr(flow.storage.sealed, "note_usage", note)
    await flow.receive("alice")
    await log_in(flow)
    async with asyncio.timeout(10):
        await noted.wait()
    assert sizes == [(await flow.storage.accounts.of(await alice_id(flow)).usage()).size_octets]


async def test_a_wrong_password_opens_nothing(flow, sealed):
    with pytest.raises(AuthenticationFailed):
        await log_in(flow, NEW)
    assert not flow.storage.sealed.is_open(await alice_id(flow))


async def test_a_new_password_opens_it_the_old_one_does_not_and_nothing_is_written_anew(flow, sealed):
    actor = await log_in(flow)
    before = (await flow.storage.accounts.of(actor.account_id).usage()).size_octets
    await flow.house.accounts.set_password(actor, ALICE, NEW)
    await lock(flow)
    with pytest.raises(AuthenticationFailed):
        await log_in(flow, OLD)
    assert not await flow.house.unlocking.prove(await flow.smtp.account("alice"), OLD, WrapKind.PASSWORD)
    await log_in(flow, NEW)
    assert (await flow.storage.accounts.of(actor.account_id).usage()).size_octets == before


async def test_nobody_else_sets_its_password_be_it_open_or_not(flow, sealed):
    with pytest.raises(NotAllowed):
        await flow.house.accounts.set_password(ADMIN, ALICE, NEW)
    actor = await log_in(flow)
    with pytest.raises(NotAllowed):
        await flow.house.accounts.set_password(ADMIN, ALICE, NEW)
    with pytest.raises(NotAllowed):
        await flow.house.accounts.set_password(replace(actor, fingerprint=b""), ALICE, NEW)
    with pytest.raises(NotAllowed):
        await flow.house.accounts.set_password(ADMIN, ALICE, NEW, Secret("pw-never-in-a-log-wrong"))
    await lock(flow)
    await flow.house.accounts.set_password(ADMIN, ALICE, NEW, OLD)
    await lock(flow)
    await log_in(flow, NEW)


async def test_of_passwords_that_are_set_at_once_one_counts_and_opens(flow, sealed):
    actor = await log_in(flow)
    texts = [f"pw-never-in-a-log-{number}" for number in range(6)]
    tries = [flow.house.accounts.set_password(actor, ALICE, Secret(text)) for text in texts]
    done = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(each) for each in done if each is not None] == [TryAgainLater] * 5
    await lock(flow)
    await log_in(flow, Secret(texts[done.index(None)]))
    kinds = [each.kind for each in await flow.storage.sealed.wrappings(actor.account_id)]
    assert sorted(kinds) == ["password", "recovery"], "nothing stays of those that lost, and of the old one"


async def test_a_crash_while_a_password_is_changed_locks_nobody_out(flow, monkeypatch, sealed):
    actor = await log_in(flow)
    replace_password = flow.storage.directory.replace_password

    async def dies(*_):
        raise StorageUnavailable

    monkeypatch.setattr(flow.storage.directory, "replace_password", dies)
    with pytest.raises(StorageUnavailable):
        await flow.house.accounts.set_password(actor, ALICE, NEW)
    monkeypatch.setattr(flow.storage.directory, "replace_password", replace_password)
    monkeypatch.setattr(flow.storage.sealed, "remove_wrappings", dies)
    await lock(flow)
    await log_in(flow, OLD)
    with pytest.raises(StorageUnavailable):  # dies once it counts: the old way is left
        await flow.house.accounts.set_password(actor, ALICE, NEW)
    monkeypatch.undo()
    await lock(flow)
    await log_in(flow, NEW)
    kinds = [each.kind for each in await flow.storage.sealed.wrappings(actor.account_id)]
    assert sorted(kinds) == ["password", "recovery"]


async def test_a_password_that_is_set_while_it_is_being_sealed_is_refused(flow, sealed):
    """By who still takes it for one that is not: nothing would open it by that password."""
    found = await flow.storage.directory.credentials(ALICE)
    with pytest.raises(AccountLocked):
        await flow.storage.directory.set_password(
            found.account.account_id, found.scram_salt, found.scram_iteration_count, found.password
        )


async def test_the_recovery_key_sets_a_new_password(flow, sealed):
    await flow.receive("alice", octets=message(ANN, "while lost"))
    with pytest.raises(AuthenticationFailed):
        await flow.house.sealed_accounts.recover(ALICE, SealedAccounts.new_recovery_key(), NEW, CLIENT)
    typed = Secret(f" {sealed.reveal().upper().replace('-', ' ')} ")
    await flow.house.sealed_accounts.recover(ALICE, typed, NEW, CLIENT)
    await lock(flow)
    with pytest.raises(AuthenticationFailed):
        await log_in(flow, OLD)
    await log_in(flow, NEW)
    assert subjects(await flow.stored("alice")) == [b"while lost"]


async def test_attack_061_recovery_keys_are_not_guessed_at(flow, sealed):
    with pytest.raises(TooManyFailures):
        for _ in range(100):
            with pytest.raises(AuthenticationFailed):
                await flow.house.sealed_accounts.recover(ALICE, SealedAccounts.new_recovery_key(), NEW, CLIENT)


@pytest.mark.parametrize("name", ["bob", "nobody"])
async def test_attack_062_recovery_tells_nobody_who_is_sealed_or_here(flow, sealed, name):
    with pytest.raises(AuthenticationFailed) as refused:
        await flow.house.sealed_accounts.recover(Address(name, "example.test"), sealed, NEW, CLIENT)
    assert refused.value.public_text == AuthenticationFailed().public_text


async def test_another_recovery_key_takes_the_place_of_the_first(flow, sealed):
    second = SealedAccounts.new_recovery_key()
    await flow.house.sealed_accounts.replace_recovery_key(ADMIN, ALICE, OLD, second, CLIENT)
    await lock(flow)
    with pytest.raises(AuthenticationFailed):
        await flow.house.sealed_accounts.recover(ALICE, sealed, NEW, CLIENT)
    await flow.house.sealed_accounts.recover(ALICE, second, NEW, CLIENT)


async def test_app_passwords_open_it_as_text_and_by_scram(flow, sealed):
    actor = await log_in(flow)
    made = await flow.house.accounts.add_app_password(actor, ALICE, "phone")
    await lock(flow)
    await log_in(flow, made.secret)
    await flow.storage.accounts.of(actor.account_id).usage()
    await lock(flow)
    await scram(flow, made.secret.reveal())
    await flow.storage.accounts.of(actor.account_id).usage()
    await flow.house.accounts.remove_app_password(actor, ALICE, made.app_password.app_password_id)
    kinds = [each.kind for each in await flow.storage.sealed.wrappings(actor.account_id)]
    assert sorted(kinds) == ["password", "recovery"]


async def test_nobody_gives_himself_an_app_password_for_it_be_it_open_or_not(flow, sealed):
    actor = await log_in(flow)
    with pytest.raises(NotAllowed):
        await flow.house.accounts.add_app_password(ADMIN, ALICE, "mine now")
    with pytest.raises(NotAllowed):
        await flow.house.accounts.add_app_password(replace(actor, fingerprint=b""), ALICE, "by a token")
    await lock(flow)
    made = await flow.house.accounts.add_app_password(ADMIN, ALICE, "by command", password=OLD)
    await lock(flow)
    await log_in(flow, made.secret)


async def test_scram_never_takes_a_sealed_accounts_main_password(flow, sealed):
    """Its keys would be the cheaper ones to guess at: there are none."""
    with pytest.raises(AuthenticationFailed):
        await scram(flow, PASSWORD)


@pytest.mark.parametrize("by_scram", [False, True])
async def test_older_app_passwords_open_it_after_one_use_while_it_is_open(flow, by_scram):
    made = await flow.house.accounts.add_app_password(ADMIN, ALICE, "old phone")
    await flow.house.sealed_accounts.seal(ADMIN, ALICE, OLD, SealedAccounts.new_recovery_key(), CLIENT)
    await lock(flow)

    async def use():
        return await (scram(flow, made.secret.reveal()) if by_scram else log_in(flow, made.secret))

    with pytest.raises(AccountLocked, match="main password first"):
        await use()
    await log_in(flow)
    await use()
    await lock(flow)
    await use()
    assert flow.storage.sealed.is_open(await alice_id(flow))


async def test_its_key_is_forgotten_some_minutes_after_the_last_session(flow, sealed):
    actor = await log_in(flow)
    unlocking = flow.house.unlocking
    with flow.house.accounts.watch_revocations(actor, lambda: None):
        flow.clock.advance(seconds=IDLE_S * 5)
        await unlocking.lock_idle()
        assert flow.storage.sealed.is_open(actor.account_id)
    await unlocking.lock_idle()
    assert flow.storage.sealed.is_open(actor.account_id)
    flow.clock.advance(seconds=IDLE_S)
    await unlocking.lock_idle()
    assert not flow.storage.sealed.is_open(actor.account_id)


async def test_a_quota_that_was_changed_meanwhile_counts_once_it_is_open(flow, sealed):
    await flow.house.accounts.set_quota(ADMIN, ALICE, 5000)
    await log_in(flow)
    assert (await flow.storage.accounts.of(await alice_id(flow)).usage()).quota_octets == 5000


async def test_mail_that_another_process_seals_is_taken_in_by_who_has_it_open(flow, sealed):
    """As with --workers: the other process has not opened it, so it seals; the bus wakes this one."""
    await log_in(flow)
    account_id = await alice_id(flow)
    is_open, flow.storage.sealed.is_open = flow.storage.sealed.is_open, lambda _: False
    try:
        taken = asyncio.Event()
        with flow.house.bus.watch(account_id, taken.set):
            await flow.receive("alice", octets=message(ANN, "from elsewhere"))
            async with asyncio.timeout(10):
                while not await flow.stored("alice"):
                    taken.clear()
                    await taken.wait()
    finally:
        flow.storage.sealed.is_open = is_open
    assert subjects(await flow.stored("alice")) == [b"from elsewhere"]


async def test_a_crash_between_queueing_a_redirect_and_filing_loses_nothing(flow, monkeypatch):
    await flow.script("alice", 'require ["copy"]; redirect :copy "x@elsewhere.test";')
    await flow.house.sealed_accounts.seal(ADMIN, ALICE, OLD, SealedAccounts.new_recovery_key(), CLIENT)
    await lock(flow)
    await flow.receive("alice", octets=message(ANN, "on"))
    take_in = flow.storage.sealed.take_in

    async def dies(*_):
        raise AccountLocked

    monkeypatch.setattr(flow.storage.sealed, "take_in", dies)
    await log_in(flow)
    assert await flow.stored("alice") == []
    assert len(await flow.smtp.queued()) == 1
    monkeypatch.setattr(flow.storage.sealed, "take_in", take_in)
    await lock(flow)
    await log_in(flow)
    assert subjects(await flow.stored("alice")) == [b"on"]
    assert len(await flow.smtp.queued()) == 1, "and it is not sent again"


async def test_a_bug_in_filters_holds_up_nobody(flow, monkeypatch, sealed):
    await flow.receive("alice", octets=message(ANN, "one"))
    await flow.receive("alice", octets=message(ANN, "two"))

    async def broken(_):
        raise ZeroDivisionError

    monkeypatch.setattr(flow.house.filters, "decide", broken)
    await log_in(flow)
    assert subjects(await flow.stored("alice")) == [b"one", b"two"]


async def test_unsealing_gives_it_back_with_all_that_has_waited(flow, sealed):
    await flow.receive("alice", octets=message(ANN, "waits"))
    await flow.house.sealed_accounts.unseal(ADMIN, ALICE, OLD, CLIENT)
    account = await flow.smtp.account("alice")
    assert not account.is_sealed
    assert not flow.storage.sealed.is_open(account.account_id)
    assert subjects(await flow.stored("alice")) == [b"waits"]
    await scram(flow, PASSWORD)  # its keys are there again
    await flow.receive("alice", octets=message(ANN, "straight in"))
    assert len(await flow.stored("alice")) == 2


async def test_what_waits_for_one_that_was_unsealed_or_removed_does_not_stay(flow, sealed):
    await flow.receive("alice", octets=message(ANN, "waits"))
    await flow.house.sealed_merging.tidy()
    assert await waiting_count(flow) == 1, "it is locked: later"
    await flow.house.accounts.remove(ADMIN, ALICE)
    assert await flow.storage.sealed.waiting_counts() == {}


async def test_sealing_cut_short_leaves_it_open_to_the_server_and_is_done_again(flow, monkeypatch):
    """The directory says so already, the key file does not yet: as a crash between the two leaves it."""
    keys = flow.storage.sealed._keys

    def dies(*_):
        raise AccountLocked

    with monkeypatch.context() as patched:
        patched.setattr(keys, "seal", dies)
        with pytest.raises(AccountLocked):
            await flow.house.sealed_accounts.seal(ADMIN, ALICE, OLD, SealedAccounts.new_recovery_key(), CLIENT)
    assert (await flow.smtp.account("alice")).is_sealed
    await flow.receive("alice", octets=message(ANN, "meanwhile"))
    await log_in(flow)
    findings = [each.text async for each in flow.storage.check()]
    assert len(findings) == 1
    assert "seal it again" in findings[0]
    assert subjects(await flow.stored("alice")) == [b"meanwhile"]
    await flow.house.accounts.set_password(ADMIN, ALICE, NEW, OLD)
    await flow.house.accounts.set_password(ADMIN, ALICE, OLD, NEW)
    await flow.house.sealed_accounts.seal(ADMIN, ALICE, OLD, SealedAccounts.new_recovery_key(), CLIENT)
    await lock(flow)
    await log_in(flow)


async def test_what_cannot_be_sealed(flow, sealed):
    house = flow.house.sealed_accounts
    with pytest.raises(PolicyRefused, match="already"):
        await house.seal(ADMIN, ALICE, OLD, sealed, CLIENT)
    bob = Address("bob", "example.test")
    with pytest.raises(PolicyRefused, match="recovery key"):
        await house.seal(ADMIN, bob, OLD, Secret("short"), CLIENT)
    with pytest.raises(AuthenticationFailed):
        await house.seal(ADMIN, bob, NEW, sealed, CLIENT)
    with pytest.raises(PolicyRefused, match="not sealed"):
        await house.unseal(ADMIN, bob, OLD, CLIENT)
    made = await flow.house.accounts.add_app_password(ADMIN, bob, "phone")
    with pytest.raises(AuthenticationFailed):
        await house.seal(ADMIN, bob, made.secret, sealed, CLIENT)


async def test_how_it_is_kept_is_told(flow, sealed):
    await flow.receive("alice")
    told = await flow.house.sealed_accounts.get(ADMIN, ALICE)
    assert (told.is_sealed, told.is_open, told.has_recovery_key, told.waiting_count) == (True, False, True, 1)
    told = await flow.house.sealed_accounts.get(ADMIN, Address("bob", "example.test"))
    assert (told.is_sealed, told.has_recovery_key) == (False, False)
