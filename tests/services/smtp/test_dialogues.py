"""Plays tests/dialogues/smtp in memory, whole, octet by octet and at random cuts."""

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest

from mailstead.model.envelope import Peer

FOLDER = Path(__file__).parents[2] / "dialogues" / "smtp"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
async def test_dialogue(path, tmp_path, open_house):
    import player

    numbers = iter(range(1000))

    @contextlib.asynccontextmanager
    async def stage(dialogue):
        head = dialogue.head
        quotas = {name: int(octets) for name, octets in [head.get("quota", "none 0").split()]}
        message_octets_max = int(head.get("message_octets_max", 100_000))
        folder = tmp_path / str(next(numbers))
        async with open_house(folder, quotas=quotas, message_octets_max=message_octets_max) as house:
            is_encrypted = head.get("tls") == "yes"

            async def open_conversation():
                peer = Peer("192.0.2.1", 50000, 2525)
                if is_encrypted:
                    peer = replace(peer, tls_version="TLSv1.3", tls_cipher="TLS_AES_256_GCM_SHA384")
                make = house.mx if head["service"] == "mx" else house.submission
                return player.MemoryConversation(make(is_encrypted=is_encrypted), peer)

            yield open_conversation
            for wanted in filter(None, head.get("stored", "").split(", ")):
                name, count = wanted.split()
                assert len(await house.messages(name)) == int(count), f"messages of {name}"
            for key in ("contains", "contains_too"):
                if key in head:
                    name, text = head[key].split(" ", 1)
                    assert text.encode() in (await house.messages(name))[0]

    await player.play_in_cuts(path, stage)
