import asyncio
import csv
import io
from datetime import timedelta

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchDomain, NotAllowed, StorageUnavailable
from mailstead.model.people import Group, Listing, UserId
from mailstead.policy.address_rules import AddressWishes
from mailstead.usecases.address_book import AddressBook
from mailstead.usecases.aliases import Aliases
from mailstead.usecases.audit import FAILURE_KEYS_MAX, WAITING_MAX, Audit
from mailstead.usecases.passwords import HashCost, Passwords
from mailstead.usecases.tables import harmless

ALL = Listing(limit=100)


def actor(name="carol@elsewhere.test", *, is_admin=False, **groups):
    names = {domain.replace("_", "."): group for domain, group in groups.items()}
    return Actor(None, Address.parse(name), is_admin=is_admin, user_id=UserId("0" * 24), groups=names, peer="192.0.2.1")


CAROL = actor(example_test=Group.ADMIN, other_test=Group.USER)
DAVE = actor("dave@elsewhere.test", example_test=Group.USER)
ROOT = actor("root@elsewhere.test", is_admin=True)


@pytest.fixture
async def noted(audit):
    audit.note(ROOT, "domain.add", "example.test", "example.test")
    audit.note(CAROL, "alias.add", "x@example.test", "example.test", targets="y@z.test")
    audit.note(DAVE, "alias.change", "x@example.test", "example.test")
    audit.note(ROOT, "domain.add", "other.test", "other.test")
    audit.note(DAVE, "token.add", "dave@elsewhere.test")
    audit.note(Actor(None, None, is_admin=True), "user.add", "carol@elsewhere.test")
    await audit.settle()
    return audit


def verbs(page):
    return [(entry.actor.partition("@")[0], entry.verb, entry.domain) for entry in page.items]


async def test_what_was_noted_is_there_newest_first(noted):
    page = await noted.list(ROOT, ALL)
    assert verbs(page) == [
        ("command line", "user.add", ""),
        ("dave", "token.add", ""),
        ("root", "domain.add", "other.test"),
        ("dave", "alias.change", "example.test"),
        ("carol", "alias.add", "example.test"),
        ("root", "domain.add", "example.test"),
    ]
    assert (page.items[4].details, page.items[4].peer) == ({"targets": "y@z.test"}, "192.0.2.1")
    assert page.item_count == 6
    assert len((await noted.list(ROOT, Listing(page=2, limit=4))).items) == 2
    assert verbs(await noted.list(ROOT, ALL, verb="domain.")) == verbs(page)[2:3] + verbs(page)[5:]


async def test_attack_092_administrators_of_a_domain_read_what_concerns_it(noted):
    own = [("dave", "alias.change", "example.test"), ("carol", "alias.add", "example.test")]
    assert verbs(await noted.list(CAROL, ALL)) == [*own, ("root", "domain.add", "example.test")]
    assert verbs(await noted.list(CAROL, ALL, is_own=True)) == own[1:]
    assert verbs(await noted.list(CAROL, ALL, domain="example.test")) == [*own, ("root", "domain.add", "example.test")]
    with pytest.raises(NotAllowed):
        await noted.list(CAROL, ALL, domain="other.test")
    with pytest.raises(NoSuchDomain):
        await noted.list(CAROL, ALL, domain="third.test")


async def test_everybody_reads_what_he_did_himself(noted):
    own = [("dave", "token.add", ""), ("dave", "alias.change", "example.test")]
    assert verbs(await noted.list(DAVE, ALL)) == own == verbs(await noted.list(DAVE, ALL, is_own=True))
    with pytest.raises(NotAllowed):
        await noted.list(DAVE, ALL, domain="example.test")
    with pytest.raises(NotAllowed):
        await noted.list(Actor(None, None), ALL)


async def test_failed_log_ins_are_told_once_a_minute(storage, clock):
    minute = asyncio.Event()

    async def sleep(_seconds):
        await minute.wait()

    audit = Audit(storage, clock, sleep=sleep)
    for number in range(FAILURE_KEYS_MAX + 500):
        audit.note_failed_log_in("Alice@Example.test", "192.0.2.1", "imap", "example.test")
        audit.note_failed_log_in(f"u{number}", "192.0.2.1", "imap")
    assert (await audit.list(ROOT, ALL)).item_count == 0
    minute.set()
    await audit.close()
    page = await audit.list(ROOT, Listing(limit=2000))
    assert page.item_count == FAILURE_KEYS_MAX + 1
    counts = {entry.object: int(entry.details["count"]) for entry in page.items}
    assert counts["alice@example.test"] == FAILURE_KEYS_MAX + 500
    assert counts["others"] == 501
    assert (await audit.list(CAROL, ALL)).item_count == 1


async def test_what_waits_for_the_store_is_bounded_and_comes_later(storage, clock, monkeypatch):
    async def out_of_order(_entries):
        raise StorageUnavailable

    audit = Audit(storage, clock)
    with monkeypatch.context() as patch:
        patch.setattr(storage.people, "note", out_of_order)
        for _ in range(WAITING_MAX + 5):
            audit.note(ROOT, "domain.add", "example.test")
        await audit.settle()
    audit.note(ROOT, "domain.add", "lost.test")
    await audit.close()
    assert (await audit.list(ROOT, ALL)).item_count == WAITING_MAX


async def test_it_is_kept_for_some_time(noted, clock):
    assert await noted.forget(clock.now() + timedelta(days=365), 365) == 0
    assert await noted.forget(clock.now() + timedelta(days=365, seconds=1), 365) == 6
    assert (await noted.list(ROOT, ALL)).item_count == 0


async def test_attack_100_an_export_is_harmless(audit):
    names = ["=cmd|' /C calc'!A0", "+1", "-1", "@x", "\t=1", " =1", "a\x1b[31mb", 'a"b\r\nc', "plain"]
    for name in names:
        audit.note(ROOT, "alias.add", name, "example.test", label=name)
    await audit.settle()
    text = "".join([part async for part in audit.export(ROOT)])
    heads, *rows = csv.reader(io.StringIO(text, newline=""))
    assert heads == ["id", "at", "actor", "peer", "verb", "object", "domain", "details"]
    assert [row[5] for row in rows] == [
        "plain",
        'a"b\\r\\nc',
        "a\\x1b[31mb",
        "' =1",
        "'\\t=1",
        "'@x",
        "'-1",
        "'+1",
        "'=cmd|' /C calc'!A0",
    ]
    assert all(cell.isprintable() for row in rows for cell in row)
    assert harmless("") == ""


async def test_an_export_tells_each_entry_once_though_others_come_meanwhile(audit, storage):
    for number in range(1200):
        audit.note(ROOT, "alias.add", f"a{number}", "example.test")
    await audit.settle()
    rows = []
    async for part in audit.export(CAROL):
        rows += list(csv.reader(io.StringIO(part, newline="")))
        audit.note(ROOT, "alias.add", "meanwhile", "example.test")
        await audit.settle()
    objects = [row[5] for row in rows[1:]]
    assert [name for name in objects if name != "meanwhile"] == [f"a{number}" for number in reversed(range(1200))]
    assert objects.count("meanwhile") <= 1


async def test_turns_of_addresses_are_noted(storage, accounts, admin, audit, clock):
    book = AddressBook(storage, accounts, Aliases(storage, audit), Passwords(clock, HashCost(1, 8)), audit=audit)
    made = await book.create(admin, "example.test", AddressWishes(name="x", recipients=("y@elsewhere.test",)))
    for wishes in (
        AddressWishes(name="z"),
        AddressWishes(has_imap=True),
        AddressWishes(is_enabled=False),
        AddressWishes(is_enabled=True),
        AddressWishes(has_imap=False),
    ):
        await book.change(admin, "example.test", made.entry.profile.object_id, wishes)
    await book.delete(admin, "example.test", made.entry.profile.object_id)
    await audit.settle()
    told = [entry.verb for entry in (await audit.list(ROOT, ALL)).items if entry.verb != "alias.change"]
    assert told == [
        "alias.remove",
        "account.into-alias",
        "account.enable",
        "account.disable",
        "alias.into-account",
        "alias.rename",
        "alias.add",
    ]
