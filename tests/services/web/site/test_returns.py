"""A backup looked into, tried out, and an account brought back from it: real backups in a folder, the house as wired."""

import pytest

from mailstead.config.settings import Backup
from mailstead.model.address import Address
from mailstead.model.uidset import UidSet
from mailstead.usecases.mailboxes import Draft
from mailstead.wiring.backup import make_backups
from mailstead.wiring.house import ADMINISTRATOR
from services.web.site.test_rights import ADMIN, OWNER, asking

PATH = "/admin/backups/restore"
LETTERS = [b"Subject: letter %d\r\n\r\nHello %d\r\n" % (number, number) for number in range(3)]


class Places:
    def __init__(self, site, store, actor):
        self.site, self.house, self.store, self.actor = site, site.house, store, actor

    async def post(self, **fields):
        status, location, text = await self.site.ask("POST", PATH, ADMIN, fields)
        if status == 303:
            await self.site.site._house.care.jobs.settle()
        return status, location, text

    async def page(self, query=""):
        return (await self.site.ask("GET", PATH + query, ADMIN))[2]

    async def mail(self, store=None):
        """How many messages are where."""
        return {each.name: each.message_count for each in await (store or self.store).mailboxes() if each.message_count}

    async def lose(self, mailbox, count):
        snapshot = await self.store.snapshot(mailbox)
        await self.store.expunge(
            snapshot.mailbox.mailbox_id, UidSet.of(list(snapshot.uids)[:count]), only_deleted=False
        )


@pytest.fixture
async def places(tmp_path):
    async with asking(tmp_path, backup=Backup(target=str(tmp_path / "backups"))) as site:
        house = site.house
        actor = await house.users.actor_of_owner(await house.users.owner_at(Address.parse(OWNER)))
        made = Places(site, house.mailboxes.of(actor), actor)
        await house.mailboxes.append(actor, "INBOX", [Draft(each) for each in LETTERS])
        await made.store.create_mailbox("Projects/Boat")
        await house.mailboxes.append(actor, "Projects/Boat", [Draft(LETTERS[0])])
        await make_backups(house.settings).run(ADMINISTRATOR)
        yield made


async def test_a_backup_tells_what_is_in_it(places):
    text = await places.page()
    assert OWNER in text
    (name,) = await make_backups(places.house.settings).list(ADMINISTRATOR)
    assert f"mailstead restore --key-stdin {name}" in text
    assert name in (await places.site.ask("GET", "/admin/backups", ADMIN))[2]
    assert "There is no such snapshot" in await places.page("?snapshot=%3Cb%3E")


async def test_what_was_lost_comes_back_into_a_folder_and_what_is_there_stays(places):
    await places.lose("INBOX", 2)
    await places.lose("Projects/Boat", 1)
    assert (await places.post(verb="restore", address=OWNER, way="folder"))[0] == 303
    text = await places.page()
    assert "3 messages came back" in text
    assert "1 message was there still" in text
    found = await places.mail()
    (folder,) = {name.partition("/")[0] for name in found if name.startswith("Restored ")}
    assert found == {"INBOX": 1, f"{folder}/INBOX": 2, f"{folder}/Projects/Boat": 1}


async def test_what_was_lost_comes_back_to_its_place(places):
    await places.lose("INBOX", 2)
    await places.post(verb="restore", address=OWNER, way="place")
    assert await places.mail() == {"INBOX": 3, "Projects/Boat": 1}


async def test_all_of_it_comes_into_an_account_beside(places):
    fields = {"verb": "restore", "address": OWNER, "way": "beside", "beside": "alice2@example.test"}
    status, _, text = await places.post(**fields, password="x")
    assert status == 400
    assert "alice2@example.test" in text  # what was typed stays
    assert 'value="x"' not in text  # but a password
    assert (await places.post(**fields, password="pw-never-in-a-log-alice2"))[0] == 303
    house = places.house
    second = await house.users.actor_of_owner(await house.users.owner_at(Address.parse("alice2@example.test")))
    assert await places.mail(house.mailboxes.of(second)) == {"INBOX": 3, "Projects/Boat": 1}
    assert await places.mail() == {"INBOX": 3, "Projects/Boat": 1}
    status, _, text = await places.post(**fields, password="pw-never-in-a-log-alice2")
    assert (status, "That address is taken" in text) == (409, True)


async def test_a_backup_is_tried_out_and_its_report_is_told(places):
    await places.post(verb="try")
    text = await places.page()
    assert "Everything could be opened and read" in text
    assert "messages: 4" in text


async def test_a_backup_that_was_changed_is_told_by_the_trial(places, tmp_path):
    chunks = [each for each in (tmp_path / "backups" / "chunks").rglob("*") if each.is_file()]
    biggest = max(chunks, key=lambda each: each.stat().st_size)
    biggest.write_bytes(biggest.read_bytes()[:-1])
    await places.post(verb="try")
    text = await places.page()
    assert "It came to nothing" in text or "Not all is as it should be" in text
    assert "Everything could be opened" not in text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"verb": "restore", "address": "nobody@example.test", "way": "place"}, "no such account in this backup"),
        ({"verb": "restore", "address": OWNER, "way": "over"}, "Say where it is to come back to"),
        ({"verb": "burn"}, "That cannot be done with backups"),
    ],
)
async def test_what_cannot_be_done_is_said(places, fields, said):
    status, _, text = await places.post(**fields)
    assert 400 <= status < 500
    assert said in text
