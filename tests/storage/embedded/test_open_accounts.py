"""Few files stay open, however many accounts there are."""

import os

from mailstead.model.ids import AccountId
from mailstead.storage.embedded.account_file import account_path


def open_files(files) -> int:
    targets = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            targets.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except FileNotFoundError:
            continue
    return len({target for target in targets if target.startswith(str(files.folder)) and target.endswith(".db")})


async def test_least_recently_used_files_are_closed(files, make):
    opened = files.open(open_account_count=5)
    ids = [AccountId(f"{number:016x}") for number in range(20)]
    for account_id in ids:
        await opened.accounts.create(account_id, [("INBOX", None)])
        await opened.accounts.of(account_id).append("INBOX", [make()])
        await opened.accounts.of(account_id).snapshot("INBOX")
    assert open_files(files) <= 5
    for account_id in ids:
        assert (await opened.accounts.of(account_id).snapshot("INBOX")).mailbox.message_count == 1
    assert open_files(files) <= 5


async def test_deleting_an_account_closes_and_removes_all_of_it(files, account, account_id, make):
    await account.append("INBOX", [make()])
    await account.snapshot("INBOX")
    await files.opened[0].accounts.delete(account_id)
    assert open_files(files) == 0
    assert [path for path in files.folder.rglob(f"{account_id}*") if path.is_file()] == []
    assert not account_path(files.folder, account_id).exists()
