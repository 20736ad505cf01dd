"""Every dialogue of tests/dialogues/imap, in memory, whole and in pieces."""

import contextlib
import itertools
import sys
from pathlib import Path

import pytest

_FOLDER = Path(__file__).parents[2] / "dialogues" / "imap"


def _conftest():
    """The fixtures' module, which is loaded under a name of pytest's choosing."""
    return next(
        module
        for module in sys.modules.values()
        if getattr(module, "open_house", None) and getattr(module, "MULTIPART", None)
    )


def _stage(tmp_path):
    imap = _conftest()
    numbers = itertools.count()

    @contextlib.asynccontextmanager
    async def stage(dialogue):
        head = dialogue.head
        quota = int(head["quota"]) if "quota" in head else None
        async with imap.open_house(tmp_path / str(next(numbers)), quota) as house:
            await house.fill(int(head.get("messages", "0")))
            if "multipart" in head:
                await house.mailboxes.append(house.alice, "INBOX", [imap.MULTIPART])
            if "chatmail" in head:
                await house.become_chatmail()
            state = head.get("state", "authenticated")

            async def open_conversation():
                client = house.session(house.alice if state != "greeting" else None)
                if state != "greeting":
                    await client.greeting()
                if state == "selected":
                    assert "OK" in (await client("SELECT INBOX", "select"))[-1]
                return client.conversation

            yield open_conversation

    return stage


@pytest.mark.parametrize("path", sorted(_FOLDER.glob("*.txt")), ids=lambda path: path.stem)
async def test_dialogue(path, tmp_path):
    await _conftest().player.play_in_cuts(path, _stage(tmp_path))
