"""An account's archive: each form of mail, what else is in it, one at a time, and how far it is."""

import io
import json
import mailbox
import zipfile
from dataclasses import replace

import pytest

from mailstead.config.settings import Limits, Server, Settings, Store
from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.errors import LimitReached, NotAllowed
from mailstead.model.preferences import Theme
from mailstead.model.secret import Secret
from mailstead.usecases.export_archives import TOLD_LIFE, ExportArchives, ExportPart, ExportProgress
from mailstead.usecases.export_files import MailForm
from mailstead.usecases.messages import Messages
from mailstead.usecases.own_aliases import OwnAliases
from mailstead.usecases.own_preferences import OwnPreferences
from mailstead.wiring.house import ADMINISTRATOR, open_house
from usecases.flow import HandClock

MESSAGE = b"From: bob@else.test\r\nSubject: Hello\r\n\r\nFrom here\r\n"
SCRIPT = b'require "fileinto";\r\nkeep;\r\n'
EVERYTHING = frozenset(ExportPart)


@pytest.fixture
async def house(tmp_path):
    settings = Settings(
        limits=Limits(password_hash_iterations=1, password_hash_memory_mib=1),
        server=Server(hostname="mail.example.test", data_dir=tmp_path / "data"),
        store=Store(master_key=Secret("00" * 32)),
    )
    async with open_house(settings, HandClock()) as opened:
        await opened.domains.add(ADMINISTRATOR, "example.test")
        yield opened


@pytest.fixture
async def alice(house):
    account = await house.accounts.create(ADMINISTRATOR, Address.parse("alice@example.test"), Secret("pw-of-alice"))
    actor = Actor(account.account_id, account.address)
    messages = Messages(house.mailboxes)
    await messages.append(actor, "INBOX", MESSAGE, ["\\Seen", "shop"])
    await house.mailboxes.of(actor).create_mailbox("../../etc/Größe")
    await messages.append(actor, "../../etc/Größe", MESSAGE, ["\\Flagged"])
    return actor


@pytest.fixture
def archives(house):
    return ExportArchives(house.storage, house.mailboxes, house.collections, house.calendar_files, house.clock)


async def opened(archives, actor, **further):
    octets = b"".join([piece async for piece in await archives.open(actor, **further)])
    archive = zipfile.ZipFile(io.BytesIO(octets))
    assert archive.testzip() is None
    return archive


def unsafe(names):
    return [name for name in names if name.startswith("/") or ".." in name.split("/") or "\\" in name]


async def test_a_maildir_is_one_that_others_read(archives, alice, tmp_path):
    archive = await opened(archives, alice, form=MailForm.MAILDIR, parts=frozenset({ExportPart.MAIL}))
    assert unsafe(archive.namelist()) == []
    archive.extractall(tmp_path / "out")
    found = mailbox.Maildir(tmp_path / "out" / "Maildir", create=False)
    (message,) = found.values()
    assert (message["Subject"], message.get_flags()) == ("Hello", "Sa")
    assert "0 shop" in (tmp_path / "out" / "Maildir" / "dovecot-keywords").read_text()
    (other,) = [folder for folder in found.list_folders() if len(found.get_folder(folder))]
    (message,) = found.get_folder(other).values()
    assert message.get_flags() == "F"


async def test_a_file_for_each_message_is_the_message_to_the_octet(archives, alice):
    archive = await opened(archives, alice, form=MailForm.EML, parts=frozenset({ExportPart.MAIL}))
    names = [name for name in archive.namelist() if name.endswith(".eml")]
    assert len(names) == 2
    assert "mail/INBOX/00000001.eml" in names
    assert unsafe(archive.namelist()) == []
    assert {archive.read(name) for name in names} == {MESSAGE}


async def test_all_of_it(house, archives, alice):
    store = house.mailboxes.of(alice)
    await store.put_script("my filters/../x", SCRIPT)
    await store.activate_script("my filters/../x")
    await OwnAliases(house.storage, house.aliases).make(alice, name="shop", description="a shop")
    await OwnPreferences(house.storage).change(alice, lambda there: replace(there, theme=Theme.DARK))
    archive = await opened(archives, alice, parts=EVERYTHING)
    names = archive.namelist()
    assert unsafe(names) == []
    assert b"\n>From here\n" in archive.read("INBOX.mbox")
    assert {name.partition("/")[0] for name in names if "/" in name} == {"calendars", "contacts", "filters"}
    (script,) = [name for name in names if name.startswith("filters/")]
    assert archive.read(script) == SCRIPT
    settings = json.loads(archive.read("settings.json"))
    assert settings["preferences"]["theme"] == "dark"
    assert settings["active_filter"] == "my filters/../x"
    assert settings["aliases"] == [{"address": "shop@example.test", "is_enabled": True, "description": "a shop"}]
    assert "pw-of-alice" not in json.dumps(settings)


async def test_attack_098_one_archive_at_a_time_and_how_far_it_is(house, archives, alice):
    assert await archives.progress(alice) is None
    pieces = await archives.open(alice)
    await anext(pieces)
    assert await archives.progress(alice) == ExportProgress(0, 2)
    with pytest.raises(LimitReached):
        await archives.open(alice)
    await pieces.aclose()
    assert await archives.progress(alice) is None
    # one that a process has left behind stands in nobody's way for long
    await archives.note(await house.storage.directory.account(alice.account_id), ExportProgress(1, 2))
    house.clock.advance(seconds=TOLD_LIFE.total_seconds() + 1)
    await opened(archives, alice)


async def test_attack_092_nobody_has_no_archive(archives):
    for verb in (archives.open(ADMINISTRATOR), archives.progress(ADMINISTRATOR)):
        with pytest.raises(NotAllowed):
            await verb
