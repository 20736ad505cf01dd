"""Mailboxes in a store: create, delete, rename, list, subscriptions, annotations, usage."""

import pytest

from mailstead.model.errors import (
    BadMailboxName,
    LimitReached,
    MailboxExists,
    MailboxHasChildren,
    NoSuchMailbox,
    NotAllowed,
)
from mailstead.model.mailbox import DEFAULT_MAILBOXES
from mailstead.model.message import Wanted
from mailstead.model.uidset import UidSet

ALL = UidSet([(1, 2**32 - 1)])


async def names(account) -> list[str]:
    return [mailbox.name for mailbox in await account.mailboxes()]


async def test_a_new_account_has_its_mailboxes(account):
    listed = await account.mailboxes()
    assert listed[0].name == "INBOX"
    assert {(mailbox.name, mailbox.special_use) for mailbox in listed} == set(DEFAULT_MAILBOXES)
    assert all(mailbox.is_subscribed and mailbox.is_selectable for mailbox in listed)
    assert len({mailbox.uidvalidity for mailbox in listed}) == len(listed)


async def test_creating_a_store_twice_changes_nothing(storage, account, fill):
    await fill(1)
    await storage.accounts.create(account.account_id, DEFAULT_MAILBOXES)
    assert (await account.snapshot("INBOX")).mailbox.message_count == 1


async def test_create_makes_missing_parents(account):
    made = await account.create_mailbox("a/b/c")
    assert made.name == "a/b/c"
    assert {"a", "a/b", "a/b/c"} <= set(await names(account))
    with pytest.raises(MailboxExists):
        await account.create_mailbox("a/b")


@pytest.mark.parametrize("name", ["", "a//b", "a\x00", "x" * 1001, "/a", "a*", "inbox"])
async def test_create_refuses_bad_and_taken_names(account, name):
    with pytest.raises((BadMailboxName, MailboxExists)):
        await account.create_mailbox(name)
    assert len(await names(account)) == len(DEFAULT_MAILBOXES)


async def test_a_special_use_is_had_by_one_mailbox(account):
    with pytest.raises(MailboxExists):
        await account.create_mailbox("Sent too", "\\Sent")
    assert (await account.create_mailbox("Important", "\\Important")).special_use == "\\Important"
    with pytest.raises(BadMailboxName):
        await account.create_mailbox("Odd", "\\Odd")


async def test_delete_takes_the_messages_and_leaves_the_children(account, make):
    await account.create_mailbox("a/b")
    await account.append("a", [make(1)])
    await account.delete_mailbox("a")
    assert (await account.usage()).message_count == 0
    parent = await account.mailbox("a")
    assert not parent.is_selectable
    with pytest.raises(NoSuchMailbox):
        await account.snapshot("a")
    with pytest.raises(MailboxHasChildren):
        await account.delete_mailbox("a")
    await account.create_mailbox("a")
    assert (await account.mailbox("a")).is_selectable
    with pytest.raises(NotAllowed):
        await account.delete_mailbox("INBOX")
    with pytest.raises(NoSuchMailbox):
        await account.delete_mailbox("nowhere")


async def test_rename_takes_the_children_along(account, make):
    await account.create_mailbox("a/b/c")
    await account.create_mailbox("ab")
    await account.append("a/b", [make(1)])
    before = await account.mailbox("a/b")
    await account.rename_mailbox("a", "x/y")
    after = await account.mailbox("x/y/b")
    assert (after.mailbox_id, after.uidvalidity, after.message_count) == (before.mailbox_id, before.uidvalidity, 1)
    assert {"x", "x/y", "x/y/b", "x/y/b/c", "ab"} <= set(await names(account))
    assert "a" not in await names(account)


async def test_rename_of_names_like_patterns(account):
    await account.create_mailbox("a_")
    await account.create_mailbox("ab/child")
    await account.rename_mailbox("a_", "z")
    assert "ab/child" in await names(account)


@pytest.mark.parametrize(
    ("name", "new_name", "error"),
    [
        ("Sent", "Trash", MailboxExists),
        ("nowhere", "x", NoSuchMailbox),
        ("Sent", "Sent/below", BadMailboxName),
        ("Sent", "a//b", BadMailboxName),
        ("Sent", "INBOX", MailboxExists),
    ],
)
async def test_rename_refuses(account, name, new_name, error):
    with pytest.raises(error):
        await account.rename_mailbox(name, new_name)


async def test_rename_of_inbox_moves_its_messages(account, fill):
    inbox = await fill(3)
    await account.create_mailbox("INBOX/child")
    await account.rename_mailbox("INBOX", "Old mail")
    old = await account.snapshot("Old mail")
    assert old.uids == UidSet([(1, 3)])
    snapshot = await account.snapshot("INBOX")
    assert snapshot.mailbox.mailbox_id == inbox.mailbox_id
    assert (snapshot.mailbox.uidnext, snapshot.uids) == (4, UidSet())
    assert "INBOX/child" in await names(account)


async def test_a_renamed_mailbox_keeps_its_changes(account, fill):
    mailbox = await fill(1, "Junk")
    await account.rename_mailbox("Junk", "Spam")
    assert not (await account.changes_since(mailbox.mailbox_id, mailbox.highestmodseq)).is_gone
    assert len(await account.fetch(mailbox.mailbox_id, ALL, Wanted.NARROW)) == 1


async def test_subscriptions_may_name_what_is_not_there(account):
    await account.subscribe("Elsewhere", is_subscribed=True)
    await account.subscribe("Sent", is_subscribed=False)
    subscribed = await account.subscriptions()
    assert "Elsewhere" in subscribed
    assert "Sent" not in subscribed
    assert not (await account.mailbox("Sent")).is_subscribed
    await account.delete_mailbox("Junk")
    assert "Junk" in await account.subscriptions()


async def test_annotations(account):
    await account.set_annotations(None, {"/private/comment": b"mine"})
    await account.set_annotations("Sent", {"/private/comment": b"\x00\xff", "/shared/x": b"y"})
    await account.set_annotations("Sent", {"/shared/x": None})
    assert await account.annotations(None) == {"/private/comment": b"mine"}
    assert await account.annotations("Sent") == {"/private/comment": b"\x00\xff"}
    with pytest.raises(NoSuchMailbox):
        await account.annotations("Nowhere")
    with pytest.raises(LimitReached):
        await account.set_annotations(None, {f"/private/{number}": b"" for number in range(101)})
    with pytest.raises(LimitReached):
        await account.set_annotations(None, {"/private/big": b"x" * 65_537})
    assert await account.annotations(None) == {"/private/comment": b"mine"}


async def test_usage_counts_all_mailboxes(storage, account, fill, make):
    inbox = await fill(2)
    await account.copy(inbox.mailbox_id, ALL, "Sent")
    await storage.accounts.set_quota(account.account_id, 10_000)
    usage = await account.usage()
    assert usage.message_count == 4
    assert usage.size_octets == 4 * len(make(1).octets)
    assert usage.mailbox_count == len(DEFAULT_MAILBOXES)
    assert usage.quota_octets == 10_000


async def test_an_account_has_a_limit_of_mailboxes(account, monkeypatch):
    monkeypatch.setattr("mailstead.storage.embedded.mailboxes.MAILBOXES_MAX", 8)
    await account.create_mailbox("a/b")
    with pytest.raises(LimitReached):
        await account.create_mailbox("c")
    with pytest.raises(LimitReached):
        await account.rename_mailbox("Sent", "new/parent/Sent")
    assert "Sent" in await names(account)
    assert "new" not in await names(account)


async def test_annotation_marks_change_with_values(account):
    assert await account.annotation_marks() == {}
    await account.set_annotations("INBOX", {"/private/a": b"1", "/private/b": b"2"})
    await account.set_annotations(None, {"/private/a": b"1"})
    inbox = (await account.mailbox("INBOX")).mailbox_id
    before = await account.annotation_marks()
    assert set(before) == {(inbox, "/private/a"), (inbox, "/private/b"), (0, "/private/a")}
    await account.set_annotations("INBOX", {"/private/a": b"3", "/private/b": None})
    after = await account.annotation_marks()
    assert set(after) == {(inbox, "/private/a"), (0, "/private/a")}
    assert after[inbox, "/private/a"] != before[inbox, "/private/a"]
    assert after[0, "/private/a"] == before[0, "/private/a"]
