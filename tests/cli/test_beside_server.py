"""Commands work while a server has the stores open, and the server notices."""

import asyncio
import json
import os
import sys
from dataclasses import replace

from mailstead.config.settings import Settings
from mailstead.model.address import Address
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import NoSuchAddress
from mailstead.model.secret import Secret
from mailstead.wiring.house import ADMINISTRATOR, open_house

PEER = Peer("192.0.2.1", 50000)


async def command(folder, *words, stdin=""):
    environ = {**os.environ, "MAILSTEAD_SERVER_DATA_DIR": str(folder)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mailstead", *words, "--json", env=environ,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(stdin.encode()), 60)
    assert process.returncode == 0, err.decode()
    return json.loads(out)


async def test_a_running_house_notices_accounts_aliases_passwords_and_imports(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    settings = Settings()
    async with open_house(replace(settings, server=replace(settings.server, data_dir=folder))) as house:
        await house.domains.add(ADMINISTRATOR, "example.test")
        alice = Address.parse("alice@example.test")
        try:
            await house.addresses.resolve(alice)
            raise AssertionError("nobody is there yet")
        except NoSuchAddress:
            pass
        await command(folder, "account", "add", str(alice), "--password-stdin", stdin="pw-never-in-a-log\n")
        assert len((await house.addresses.resolve(alice)).accounts) == 1
        actor = await house.accounts.log_in(str(alice), Secret("pw-never-in-a-log"), PEER, "pop3")

        revoked, woken = asyncio.Event(), asyncio.Event()
        with house.accounts.watch_revocations(actor, revoked.set), house.mailboxes.watch(actor, woken.set):
            (tmp_path / "a.eml").write_bytes(b"Subject: a\n\n")
            await command(folder, "import", str(alice), str(tmp_path / "a.eml"))
            await asyncio.wait_for(woken.wait(), 20)
            snapshot = await house.mailboxes.of(Actor(actor.account_id, alice)).snapshot("INBOX")
            assert len(snapshot.uids) == 1
            await command(folder, "account", "password", str(alice), "--password-stdin", stdin="pw-never-in-a-log 2\n")
            await asyncio.wait_for(revoked.wait(), 20)
        assert await command(folder, "check") == []
