"""Plays tests/dialogues/managesieve, whole, octet by octet and at random cuts."""

import contextlib
from dataclasses import replace
from pathlib import Path

import player
import pytest

from mailstead.model.envelope import Peer

FOLDER = Path(__file__).parents[2] / "dialogues" / "managesieve"


@pytest.mark.parametrize("path", player.dialogues(FOLDER), ids=lambda path: path.stem)
async def test_dialogue_in_memory(path, tmp_path, open_sieve):
    numbers = iter(range(100))

    @contextlib.asynccontextmanager
    async def stage(dialogue):
        is_tls = dialogue.head["tls"] == "yes"
        async with open_sieve(tmp_path / str(next(numbers))) as sieve:

            async def open_conversation():
                peer = Peer("192.0.2.1", 50000, 4190)
                if is_tls:
                    peer = replace(peer, tls_version="TLSv1.3", tls_cipher="TLS_AES_256_GCM_SHA384")
                return player.MemoryConversation(sieve.service.session(is_tls=is_tls), peer)

            yield open_conversation
            assert dict(await sieve.scripts()).keys() == set(dialogue.head["left"].split())

    await player.play_in_cuts(path, stage)
