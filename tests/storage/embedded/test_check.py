"""`check` finds each kind of damage: for every invariant a store in which just that one is broken."""

import pytest

from mailstead.model.dav import Attachment, CollectionKind, CollectionTraits, NewResource, ResourceFacts
from mailstead.model.flags import FlagOperation
from mailstead.model.uidset import UidSet


@pytest.fixture
async def filled(account, make):
    await account.append("INBOX", [make("x" * 300_000), make("y"), make("z")])
    inbox = (await account.snapshot("INBOX")).mailbox
    await account.store_flags(inbox.mailbox_id, UidSet([(2, 2)]), FlagOperation.ADD, ["\\Seen", "\\Deleted"])
    await account.expunge(inbox.mailbox_id, None)
    calendar = await account.dav.create_collection(CollectionKind.CALENDAR, "work", CollectionTraits())
    events = [NewResource(name, name.encode() * 9000, ResourceFacts(name, "VEVENT")) for name in ("a", "b", "c")]
    first, *_ = await account.dav.put(calendar.collection_id, events)
    await account.dav.delete(calendar.collection_id, "c")
    await account.dav.put_attachment(Attachment("m", first.resource.resource_id, "a.txt", "text/plain", b"attached"))
    return account


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("UPDATE account SET size_octets = size_octets + 1", "account counts"),
        ("UPDATE account SET message_count = 7", "account counts"),
        ("UPDATE account SET mailbox_count = 7", "mailboxes, there are"),
        ("UPDATE account SET modseq = 1", "the account only 1"),
        ("UPDATE account SET last_uidvalidity = 1", "above the highest given"),
        ("UPDATE account SET next_content_id = 1", "not below the next"),
        ("UPDATE mailbox SET unseen_count = 9", "counts"),
        ("UPDATE mailbox SET first_unseen_uid = 3 WHERE name = 'INBOX'", "counts"),
        ("UPDATE mailbox SET uidnext = 9 WHERE name = 'INBOX'", "uidnext is 9"),
        ("UPDATE mailbox SET highestmodseq = 1 WHERE name = 'INBOX'", "above its highestmodseq"),
        ("DELETE FROM expunged", "neither there nor expunged"),
        ("INSERT INTO expunged VALUES (1, 3, 3, 1)", "or twice"),
        ("INSERT INTO keyword VALUES (99, 'a', 'A')", "which is not there"),
        ("UPDATE content SET use_count = 2 WHERE content_id = 1", "counts 2 uses"),
        ("DELETE FROM content WHERE content_id = 1", "has no content"),
        ("UPDATE content SET size_octets = 5 WHERE content_id = 1", "another size"),
        ("UPDATE content SET parts = x'ff' WHERE content_id = 1", "cannot be read"),
        ("DELETE FROM chunk WHERE place > (1 << 32) + 1 AND place < 2 << 32", "octets instead of"),
        ("UPDATE chunk SET octets = x'00112233' WHERE place = 1 << 32", "cannot be decompressed"),
        ("INSERT INTO chunk VALUES (99 << 32, 0, x'00')", "content 99, which is not there"),
        ("UPDATE account SET dav_octets = dav_octets + 1", "octets of calendars and contacts"),
        ("UPDATE collection SET resource_count = 7", "collection 1 counts"),
        ("UPDATE collection SET size_octets = 7", "collection 1 counts"),
        ("UPDATE collection SET modseq = 1, traits_modseq = 1", "collection 1 has modseq 1, its resources"),
        ("UPDATE collection SET modseq = 1000", "collection 1 has modseq 1000"),
        ("DELETE FROM collection", "resource rows of collection 1, which is not there"),
        ("DELETE FROM resource WHERE name = 'a'", "attachment of resource 1, which is not there"),
        ("DELETE FROM resource_octets WHERE resource_id = 1", "resource 1 has no octets"),
        ("UPDATE resource_octets SET octets = x'00' WHERE resource_id = 1", "other octets than its etag"),
        ("UPDATE resource_octets SET is_compressed = 0, octets = x'00' WHERE resource_id = 1", "other octets"),
        (
            "INSERT INTO resource_tombstone (collection_id, name, modseq) VALUES (1, 'a', 1)",
            "there and deleted at once",
        ),
        ("UPDATE resource_tombstone SET modseq = 1000", "after the last change of its collection"),
        ("UPDATE attachment SET octets = x'00'", "attachment m has another size"),
    ],
)
async def test_damage_is_found(files, filled, account_id, damage, words):
    store = files.opened[0]
    assert [finding async for finding in store.check()] == []
    db = files.connect(account_id)
    db.execute(damage)
    db.close()
    findings = [finding async for finding in store.check()]
    assert any(words in finding.text for finding in findings), findings
    assert {finding.account_id for finding in findings} == {account_id}


async def test_a_file_that_cannot_be_opened_is_a_finding(files, filled, account_id):
    await files.close()
    files.path(account_id).write_bytes(b"not a database" * 1000)
    findings = [finding async for finding in files.open().check()]
    assert [finding.account_id for finding in findings] == [account_id]
