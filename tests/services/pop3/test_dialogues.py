"""Plays tests/dialogues/pop3, whole, octet by octet and at random cuts."""

import contextlib
from dataclasses import replace
from pathlib import Path

import player
import pytest

from mailstead.model.envelope import Peer

FOLDER = Path(__file__).parents[2] / "dialogues" / "pop3"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
async def test_dialogue_in_memory(path, tmp_path, open_pop3):
    numbers = iter(range(100))

    @contextlib.asynccontextmanager
    async def stage(dialogue):
        is_tls = dialogue.head["tls"] == "yes"
        async with open_pop3(tmp_path / str(next(numbers))) as pop3:
            for number in range(int(dialogue.head["messages"])):
                await pop3.fill(b"Subject: %d\r\n\r\n.\r\nline 1\r\nline 2\r\n" % (number + 1))

            async def open_conversation():
                peer = Peer("192.0.2.1", 50000, 2110)
                if is_tls:
                    peer = replace(peer, tls_version="TLSv1.3", tls_cipher="TLS_AES_256_GCM_SHA384")
                return player.MemoryConversation(pop3.service.session(is_tls=is_tls), peer)

            yield open_conversation
            assert await pop3.count() == int(dialogue.head["left"])

    await player.play_in_cuts(path, stage)
