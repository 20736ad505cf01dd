"""Folders over the API: mailboxes by id or path, reserved ones kept."""

import pytest

from mailstead.model.errors import BadMailboxName, MailboxExists, NoSuchMailbox, NotAllowed
from mailstead.model.people import Listing
from mailstead.usecases.folders import FolderChange, Folders
from mailstead.usecases.mailboxes import Draft, Mailboxes
from mailstead.usecases.staging import Staging


@pytest.fixture
def mailboxes(storage, bus, clock):
    return Mailboxes(storage, bus, clock, Staging(2**30))


@pytest.fixture
def folders(mailboxes):
    return Folders(mailboxes)


@pytest.fixture
def actor(alice, actor_of):
    return actor_of(alice)


def paths(page):
    return [folder.mailbox.name for folder in page.items]


async def test_folders_are_listed_in_pages(folders, mailboxes, actor):
    made = await folders.create(actor, "Work/Deep")
    await mailboxes.of(actor).subscribe("Junk", is_subscribed=False)
    page = await folders.find(actor, Listing(limit=100))
    assert paths(page) == ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash", *paths(page)[6:]]
    assert "Work/Deep" in paths(page)
    assert page.item_count == len(page.items)
    assert paths(await folders.find(actor, Listing(2, 2))) == ["Drafts", "Junk"]
    assert paths(await folders.find(actor, Listing(), is_subscribed=False)) == ["Junk", "Work"]  # made as a parent
    for name in (made.place.object_id, "Work/Deep"):
        assert await folders.show(actor, name) == made
    assert (await folders.show(actor, "inbox")).mailbox.name == "INBOX"


async def test_a_folder_is_renamed_with_its_id_kept(folders, mailboxes, actor):
    made = await folders.create(actor, "Old")
    await mailboxes.append(actor, "Old", [Draft(b"Subject: x\r\n\r\n")])
    changed = await folders.change(actor, made.place.object_id, FolderChange("New", retention_days=30))
    assert (changed.mailbox.name, changed.retention_days, changed.place) == ("New", 30, made.place)
    assert changed.mailbox.is_subscribed
    assert "Old" not in await mailboxes.of(actor).subscriptions()
    changed = await folders.change(actor, "New", FolderChange(is_subscribed=False, retention_days=0))
    assert (changed.retention_days, changed.mailbox.is_subscribed, changed.mailbox.message_count) == (0, False, 1)


@pytest.mark.parametrize("name", ["INBOX", "Sent", "Drafts", "Junk", "Trash", "Archive"])
async def test_reserved_folders_stay(folders, actor, name):
    with pytest.raises(NotAllowed):
        await folders.delete(actor, name)
    with pytest.raises(NotAllowed):
        await folders.change(actor, name, FolderChange("Other"))
    assert (await folders.change(actor, name, FolderChange(name, is_subscribed=True))).mailbox.name == name


async def test_a_folder_is_removed(folders, mailboxes, actor):
    await folders.create(actor, "Gone")
    await folders.delete(actor, "Gone")
    with pytest.raises(NoSuchMailbox):
        await folders.show(actor, "Gone")
    assert "Gone" not in await mailboxes.of(actor).subscriptions()


async def test_what_cannot_be(folders, actor):
    with pytest.raises(MailboxExists):
        await folders.create(actor, "sent".title())
    with pytest.raises(BadMailboxName):
        await folders.create(actor, "a//b")
    with pytest.raises(NoSuchMailbox):
        await folders.delete(actor, "0" * 24)


async def test_attack_092_folders_of_others_are_not_there(folders, actor, bob, actor_of):
    made = await folders.create(actor, "Mine")
    other = actor_of(bob)
    for name in (made.place.object_id, "Mine"):
        with pytest.raises(NoSuchMailbox):
            await folders.delete(other, name)
    assert (await folders.show(actor, "Mine")) == made
