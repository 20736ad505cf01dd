"""Accounts that come into being by logging in; accounts that come from a relay; the day of the last log-in."""

import asyncio
import dataclasses
from contextlib import suppress

import pytest
from passlib.handlers.sha2_crypt import sha512_crypt
from structlog.testing import capture_logs

from mailstead.model.address import Address
from mailstead.model.envelope import Peer
from mailstead.model.errors import (
    AddressTaken,
    AuthenticationFailed,
    NoSuchDomain,
    PolicyRefused,
    TlsTooOld,
    TooManyFailures,
    TryAgainLater,
)
from mailstead.model.secret import Secret
from mailstead.usecases import openings as openings_module
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.invitations import Invitations, invitation_uri
from mailstead.usecases.last_log_ins import LastLogIns
from mailstead.usecases.openings import Openings, OpeningTerms, prefix_of
from mailstead.usecases.passwords import HashCost, Passwords, fingerprint, foreign_verifier, is_foreign

NAME, PASSWORD = "somebody1@chat.test", Secret("nine chars")
RELAY_HASH = (
    "{SHA512-CRYPT}$6$fsPNzeSqnDedJkBT$"
    "IlcbLDA/RcGfG7OAcjgA8J6XmcNmXfWF4PvHdPY4UxQYM/uN8dkDYm2ZoBVo2m/2P6iYYoR1B3/d7GdFcui.E/"
)
"""Of the password ``pw``."""


@pytest.fixture
async def passwords(clock):
    made = Passwords(clock, HashCost(1, 8))
    yield made
    made.close()


@pytest.fixture
def closed_file(tmp_path):
    return tmp_path / "nocreate"


@pytest.fixture
async def chat(storage, bus, clock, domains, admin, passwords, tmp_path, closed_file):
    await domains.add(admin, "chat.test", "chatmail")
    await domains.set_terms(
        admin, "chat.test", {"load_max": "9000", "memory_available_octets_min": "0", "disk_free_octets_min": "0"}
    )
    await domains.add(admin, "ord.test")
    terms = OpeningTerms(tmp_path, str(closed_file), per_prefix_hour_max=60)
    openings = Openings(storage, passwords, clock, terms)
    return Accounts(
        storage, bus, clock, passwords=passwords, openings=openings, last_log_ins=LastLogIns(storage, clock),
        scram_iteration_count=4096,
    )  # fmt: skip


async def test_the_first_log_in_makes_the_account_and_later_ones_find_it(chat, storage, peer):
    first = await chat.log_in(NAME, PASSWORD, peer, "imap")
    again = await chat.log_in(NAME, PASSWORD, peer, "smtp")
    assert (first.account_id, str(first.address)) == (again.account_id, NAME)
    [account] = await storage.directory.accounts()
    assert account.quota_octets == 500 * 1024**2
    assert (await storage.accounts.of(account.account_id).mailbox("INBOX")).message_count == 0


async def test_over_tls_1_2_nobody_logs_in_to_a_relay_and_everybody_elsewhere(chat, domains, admin, storage, peer):
    old = dataclasses.replace(peer, tls_version="TLSv1.2")
    with pytest.raises(TlsTooOld, match=r"TLS 1\.3"):
        await chat.log_in(NAME, PASSWORD, old, "imap")
    with pytest.raises(TlsTooOld):
        await chat.scram_start(NAME, old, "imap")
    assert await storage.directory.accounts() == []
    with pytest.raises(AuthenticationFailed):
        await chat.log_in("somebody1@ord.test", PASSWORD, old, "imap")
    await domains.set_terms(admin, "chat.test", {"client_tls_version_min": "1.2"})
    await chat.log_in(NAME, PASSWORD, old, "imap")


async def test_a_wrong_password_changes_nothing(chat, peer):
    actor = await chat.log_in(NAME, PASSWORD, peer, "imap")
    with pytest.raises(AuthenticationFailed, match=r"^Authentication failed$"):
        await chat.log_in(NAME, Secret("another one"), peer, "imap")
    assert (await chat.log_in(NAME, PASSWORD, peer, "imap")).account_id == actor.account_id


async def test_two_may_have_one_password_and_case_does_not_matter(chat, peer):
    first = await chat.log_in(NAME, PASSWORD, peer, "imap")
    second = await chat.log_in("SomeBody2@Chat.Test", PASSWORD, peer, "imap")
    assert (str(second.address), second.account_id != first.account_id) == ("somebody2@chat.test", True)
    assert (await chat.log_in("SOMEBODY1@chat.test", PASSWORD, peer, "imap")).account_id == first.account_id


async def test_ten_log_ins_at_once_make_one_account(chat, storage, peer):
    actors = await asyncio.gather(*(chat.log_in(NAME, PASSWORD, peer, "imap") for _ in range(10)))
    assert len({actor.account_id for actor in actors}) == 1
    assert len({actor.fingerprint for actor in actors}) == 1
    assert len(await storage.directory.accounts()) == 1
    assert len(await storage.accounts.ids()) == 1


async def test_of_two_passwords_at_once_one_wins(chat, peer):
    tries = [chat.log_in(NAME, Secret(f"password {number}"), peer, "imap") for number in range(4)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(not isinstance(result, Exception) for result in results) == 1
    assert all(isinstance(result, AuthenticationFailed) for result in results if isinstance(result, Exception))


async def test_fifty_different_ones_at_once(chat, storage, peer):
    names = [f"somebod{number:02}@chat.test" for number in range(50)]
    await asyncio.gather(*(chat.log_in(name, PASSWORD, peer, "imap") for name in names))
    assert [str(account.address) for account in await storage.directory.accounts()] == names


@pytest.mark.parametrize(
    ("name", "password", "said"),
    [
        ("short@chat.test", "nine chars", "9 characters"),
        ("some+body@chat.test", "nine chars", "only the characters"),
        ("some body@chat.test", "nine chars", "only the characters"),
        ("a@b@chat.test", "nine chars", "only the characters"),
        (NAME, "admin", "at least 9"),
        (NAME, "\0" * 9, "control characters"),
        ("nobody123@ord.test", "nine chars", "^Authentication failed$"),
        ("nobody123@other.test", "nine chars", "^Authentication failed$"),
        ("nobody", "nine chars", "^Authentication failed$"),
        ("", "nine chars", "^Authentication failed$"),
    ],
)
async def test_a_refusal_says_why(chat, storage, peer, name, password, said):
    with pytest.raises(AuthenticationFailed, match=said):
        await chat.log_in(name, Secret(password), peer, "imap")
    assert await storage.directory.accounts() == []
    assert await storage.accounts.ids() == []


async def test_a_closed_house_opens_none_and_its_people_still_come_in(chat, peer, closed_file):
    await chat.log_in(NAME, PASSWORD, peer, "imap")
    closed_file.touch()
    with pytest.raises(AuthenticationFailed, match="no new accounts"):
        await chat.log_in("somebody2@chat.test", PASSWORD, peer, "imap")
    await chat.log_in(NAME, PASSWORD, peer, "imap")
    closed_file.unlink()
    await chat.log_in("somebody2@chat.test", PASSWORD, peer, "imap")


async def test_stricter_rules_leave_those_who_are_here(chat, domains, admin, peer):
    await chat.log_in(NAME, PASSWORD, peer, "imap")
    await domains.set_terms(admin, "chat.test", {"password_length_min": "20"})
    await chat.log_in(NAME, PASSWORD, peer, "imap")


async def test_attack_101_a_machine_under_load_opens_none(chat, domains, admin, peer):
    await domains.set_terms(admin, "chat.test", {"memory_available_octets_min": "900000G"})
    with pytest.raises(TryAgainLater, match="no room"):
        await chat.log_in(NAME, PASSWORD, peer, "imap")


async def test_attack_101_one_network_opens_so_many_in_an_hour(chat, storage, clock):
    peers = [Peer(f"192.0.2.{number}", 4711) for number in range(70)]
    opened = 0
    for number, peer in enumerate(peers):
        try:
            await chat.log_in(f"somebod{number:02}@chat.test", PASSWORD, peer, "imap")
            opened += 1
        except TryAgainLater:
            pass
    assert opened == 60
    await chat.log_in("another11@chat.test", PASSWORD, Peer("198.51.100.1", 4711), "imap")
    clock.passed_s += 7300
    await chat.log_in("another12@chat.test", PASSWORD, peers[0], "imap")


@pytest.mark.parametrize(
    ("address", "prefix"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::1", "2001:db8:1::/48"),
        ("x", "x"),
    ],
)
def test_attack_101_a_network_is_what_one_customer_has(address, prefix):
    assert prefix_of(address) == prefix


async def test_aliases_and_accounts_that_are_off_are_not_opened(chat, aliases, admin, storage, peer):
    await chat.log_in(NAME, PASSWORD, peer, "imap")
    await aliases.create(admin, Address("other1234", "chat.test"), [Address("somebody1", "chat.test")])
    with pytest.raises(AuthenticationFailed, match=r"^Authentication failed$"):
        await chat.log_in("other1234@chat.test", PASSWORD, peer, "imap")
    assert len(await storage.directory.accounts()) == 1


async def test_a_store_that_fails_leaves_no_half_account(chat, storage, peer, monkeypatch):
    async def fails(*_):
        raise TryAgainLater("full")

    monkeypatch.setattr(storage.directory, "add_account", fails)
    with pytest.raises(TryAgainLater):
        await chat.log_in(NAME, PASSWORD, peer, "imap")
    assert await storage.accounts.ids() == []


async def test_what_cannot_be_read_does_not_count(chat, peer, monkeypatch):
    monkeypatch.setattr(openings_module, "_MEMORY_FILE", openings_module.Path("/nowhere"))
    monkeypatch.setattr(openings_module.os, "getloadavg", lambda: (_ for _ in ()).throw(OSError()))
    await chat.log_in(NAME, PASSWORD, peer, "imap")


async def test_attack_101_a_client_that_hangs_up_leaves_no_half_account(chat, storage, peer, monkeypatch):
    add_account, is_there, may_go_on = storage.directory.add_account, asyncio.Event(), asyncio.Event()

    async def waits(*arguments):
        is_there.set()
        await may_go_on.wait()
        await add_account(*arguments)

    monkeypatch.setattr(storage.directory, "add_account", waits)
    coming = asyncio.create_task(chat.log_in(NAME, PASSWORD, peer, "imap"))
    await is_there.wait()
    coming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await coming
    may_go_on.set()
    await chat._openings.close()
    assert await storage.accounts.ids() == [each.account_id for each in await storage.directory.accounts()] != []
    await chat.log_in(NAME, PASSWORD, peer, "imap")


async def test_attack_061_names_that_cannot_be_had_count_as_failures(chat, peer, closed_file):
    await chat.log_in(NAME, PASSWORD, peer, "imap")
    closed_file.touch()
    with pytest.raises(TooManyFailures):
        for number in range(20):
            with suppress(AuthenticationFailed):
                await chat.log_in(f"another{number:02}@chat.test", PASSWORD, peer, "imap")
    await chat.log_in(NAME, PASSWORD, peer, "imap")


async def test_attack_062_scram_shows_unknown_names_of_a_relay_as_those_it_has(chat, admin, peer):
    chat._scram_iteration_count = 60_000
    await chat.log_in(NAME, PASSWORD, peer, "imap")
    await chat.adopt(admin, Address("oldname12", "chat.test"), RELAY_HASH)
    for name, count in (
        (NAME, 4096), ("oldname12@chat.test", 4096), ("nobody123@chat.test", 4096), ("no body@chat.test", 4096),
        ("nobody123@ord.test", 60_000), ("nobody123@other.test", 60_000), ("nobody", 60_000),
    ):  # fmt: skip
        assert (await chat.scram_start(name, peer, "imap")).iteration_count == count


async def test_attack_104_the_log_of_a_relay_has_neither_name_nor_machine(chat, peer, closed_file):
    with capture_logs() as logs:
        await chat.log_in(NAME, PASSWORD, peer, "imap")
        with pytest.raises(AuthenticationFailed) as failed:
            await chat.log_in(NAME, Secret("another one"), peer, "imap")
        closed_file.touch()
        with pytest.raises(AuthenticationFailed):
            await chat.log_in("another12@chat.test", PASSWORD, peer, "imap")
        with pytest.raises(AuthenticationFailed):
            await chat.log_in("nobody123@ord.test", PASSWORD, peer, "imap")
    told = [str(entry) for entry in logs]
    of_relay = [text for text in told if "chat.test" in text]
    assert len(of_relay) == 4
    assert not [text for text in of_relay if "somebody1" in text or "another12" in text or "192.0.2" in text]
    assert failed.value.log_fields == {"service": "imap"}
    assert "nobody123@ord.test" in told[-1]


# from a relay


async def test_an_account_of_a_relay_keeps_its_password_and_gets_a_hash_of_ours(chat, storage, admin, peer):
    address = Address("old", "chat.test")
    await chat.adopt(admin, address, RELAY_HASH)
    with pytest.raises(AuthenticationFailed):
        await chat.log_in("old@chat.test", Secret("pW"), peer, "imap")
    assert is_foreign((await storage.directory.credentials(address)).password)
    actor = await chat.log_in("old@chat.test", Secret("pw"), peer, "imap")
    credentials = await storage.directory.credentials(address)
    assert credentials.password.argon2id.startswith("$argon2id$")
    again = await chat.log_in("old@chat.test", Secret("pw"), peer, "smtp")
    assert again.fingerprint == actor.fingerprint
    with pytest.raises(AddressTaken):
        await chat.adopt(admin, address, RELAY_HASH)
    with pytest.raises(NoSuchDomain):
        await chat.adopt(admin, Address("old", "nowhere.test"), RELAY_HASH)


async def test_promise_8_first_log_ins_at_once_replace_the_hash_of_a_relay_once(chat, storage, admin, peer):
    await chat.adopt(admin, Address("old", "chat.test"), RELAY_HASH)
    tries = [chat.log_in("old@chat.test", Secret("pw"), peer, "imap") for _ in range(10)]
    actors = await asyncio.gather(*tries)
    credentials = await storage.directory.credentials(Address("old", "chat.test"))
    assert {actor.fingerprint for actor in actors} == {fingerprint(credentials.password)}


async def test_promise_8_a_new_password_is_not_overwritten_by_the_old_one(chat, admin, peer, passwords, monkeypatch):
    address, make = Address("old", "chat.test"), passwords.make_adopted_verifier
    await chat.adopt(admin, address, RELAY_HASH)

    async def is_late(*arguments):
        await chat.set_password(admin, address, Secret("set meanwhile"))
        return await make(*arguments)

    monkeypatch.setattr(passwords, "make_adopted_verifier", is_late)
    with pytest.raises(AuthenticationFailed):
        await chat.log_in("old@chat.test", Secret("pw"), peer, "imap")
    await chat.log_in("old@chat.test", Secret("set meanwhile"), peer, "imap")


async def test_app_passwords_outlive_the_hash_of_a_relay(chat, storage, admin, peer):
    address = Address("old", "chat.test")
    await chat.adopt(admin, address, RELAY_HASH)
    made = await chat.add_app_password(admin, address, "phone")
    before = await storage.directory.credentials(address)
    await chat.log_in("old@chat.test", Secret("pw"), peer, "imap")
    after = await storage.directory.credentials(address)
    assert (after.scram_salt, after.scram_iteration_count) == (before.scram_salt, before.scram_iteration_count)
    assert (await chat.log_in("old@chat.test", made.secret, peer, "imap")).app_password_id


@pytest.mark.parametrize("text", ["ﬁne words", "caf\u0065\u0301 noir", "tab\there it is", "пароль-да1", "🙂" * 9])
async def test_a_relay_took_passwords_as_they_were_typed(chat, admin, peer, text):
    await chat.adopt(admin, Address("old", "chat.test"), sha512_crypt.using(rounds=1000).hash(text))
    for _ in range(2):
        await chat.log_in("old@chat.test", Secret(text), peer, "imap")
    with pytest.raises(AuthenticationFailed):
        await chat.log_in("old@chat.test", Secret("other\twords"), peer, "imap")


@pytest.mark.parametrize("text", ["x" * 5000, "nul\0inside", "", "\ud800 no text"])
async def test_passwords_that_no_relay_took_are_wrong(chat, admin, peer, text):
    await chat.adopt(admin, Address("old", "chat.test"), RELAY_HASH)
    with pytest.raises(AuthenticationFailed):
        await chat.log_in("old@chat.test", Secret(text), peer, "imap")


@pytest.mark.parametrize("rounds", ["0999", "999", "0100000", "1000000", "999999999"])
def test_hashes_that_no_crypt_makes_or_that_take_too_long_are_refused(rounds):
    with pytest.raises(PolicyRefused, match="SHA512-CRYPT"):
        foreign_verifier(RELAY_HASH.replace("$6$", f"$6$rounds={rounds}$"))


@pytest.mark.parametrize(
    "hashed", ["", "pw", "{PLAIN}pw", "$1$abc$def", RELAY_HASH[:-1], RELAY_HASH.replace("$6$", "$5$")]
)
def test_other_hashes_are_refused(hashed):
    with pytest.raises(PolicyRefused, match="SHA512-CRYPT"):
        foreign_verifier(hashed)


def test_attack_062_hashes_of_a_relay_are_told_apart():
    one, other = foreign_verifier(RELAY_HASH), foreign_verifier(RELAY_HASH.replace("fsPN", "gsPN"))
    assert one.scram_stored_key != other.scram_stored_key
    assert len(one.scram_stored_key) == len(one.scram_server_key) == 32


# the last log-in


async def test_the_day_of_the_last_log_in_is_kept_and_nothing_else(chat, storage, clock, peer):
    actor = await chat.log_in(NAME, PASSWORD, peer, "imap")
    await chat.log_in(NAME, PASSWORD, peer, "imap")
    log_ins = LastLogIns(storage, clock)
    await chat._last_log_ins.close()
    assert await log_ins.days(clock.now()) == {actor.account_id: clock.now().date()}
    clock.passed_s += 3 * 86400
    await chat.log_in(NAME, PASSWORD, peer, "imap")
    await chat._last_log_ins.close()
    assert await log_ins.days(clock.now()) == {actor.account_id: clock.now().date()}


async def test_who_has_not_come_for_long_is_idle_and_who_is_unknown_is_not(chat, storage, clock, peer):
    actor = await chat.log_in(NAME, PASSWORD, peer, "imap")
    await chat._last_log_ins.close()
    await chat._openings.open("somebody2@chat.test", PASSWORD, peer)  # without a log-in
    accounts, log_ins = await storage.directory.accounts(), LastLogIns(storage, clock)

    async def idle():
        return [each.account_id for each in await log_ins.idle(accounts, 90, clock.now())]

    clock.passed_s += 90 * 86400
    assert await idle() == []
    clock.passed_s += 86400
    assert await idle() == [actor.account_id]
    clock.passed_s += 90 * 86400
    assert len(await idle()) == 2


async def test_of_an_account_that_is_gone_no_day_is_kept(chat, storage, admin, clock, peer):
    actor = await chat.log_in(NAME, PASSWORD, peer, "imap")
    await chat._last_log_ins.close()
    log_ins = LastLogIns(storage, clock)
    assert await log_ins.day(actor.account_id, clock.now()) == clock.now().date()
    await chat.remove(admin, Address("somebody1", "chat.test"))
    assert await log_ins.days(clock.now()) == {}
    assert await log_ins.day(actor.account_id, clock.now()) is None


# invitations


def test_an_invitation_has_its_token_in_the_form_of_addresses():
    assert invitation_uri("chat.test", "a&b#c%/é") == "DCACCOUNT:https://chat.test/new?a%26b%23c%25%2F%C3%A9"
    assert invitation_uri("chat.test") == "DCACCOUNT:https://chat.test/new"


async def test_a_proposal_can_be_logged_in_with(chat, storage, peer):
    proposal = await Invitations(storage, chat._openings.check_room).propose("chat.test")
    assert await storage.directory.accounts() == []
    assert str((await chat.log_in(proposal.email, Secret(proposal.password), peer, "imap")).address) == proposal.email


async def test_nothing_is_proposed_that_could_not_be_had(chat, storage, domains, admin, closed_file):
    invitations = Invitations(storage, chat._openings.check_room)
    closed_file.touch()
    with pytest.raises(AuthenticationFailed, match="no new accounts"):
        await invitations.propose("chat.test")
    closed_file.unlink()
    terms = (await domains.get(admin, "chat.test")).terms
    await storage.directory.set_terms("chat.test", dataclasses.replace(terms, disk_free_octets_min=10**18))
    with pytest.raises(TryAgainLater):
        await invitations.propose("chat.test")
    for name, error in (("ord.test", PolicyRefused), ("nowhere.test", NoSuchDomain)):
        with pytest.raises(error):
            await invitations.propose(name)
