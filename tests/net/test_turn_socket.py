import asyncio

import pytest

from mailstead.model.errors import TryAgainLater
from mailstead.net import turn_socket
from mailstead.net.turn_socket import turn_credentials


async def daemon(path, answer):
    async def serve(reader, writer):
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    return await asyncio.start_unix_server(serve, path)


async def test_the_daemon_writes_credentials_to_whoever_connects(tmp_path):
    async with await daemon(tmp_path / "turn", b"1758650868:8Dqkyyu11fywhBjlRIhWIj8VF0A=\n"):
        assert await turn_credentials(tmp_path / "turn") == "1758650868:8Dqkyyu11fywhBjlRIhWIj8VF0A="


@pytest.mark.parametrize(
    "answer", [b"", b"name:pass", b"nothing\n", b"a:\x1b[2J\n", b"\xff:a\n", b"a:" + b"b" * 2000 + b"\n"]
)
async def test_what_is_no_credentials_is_not_told(tmp_path, answer):
    async with await daemon(tmp_path / "turn", answer):
        with pytest.raises(TryAgainLater, match="gives"):
            await turn_credentials(tmp_path / "turn")


async def test_a_daemon_that_is_silent_or_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(turn_socket, "ANSWER_LIMIT_S", 0.01)
    with pytest.raises(TryAgainLater):
        await turn_credentials(tmp_path / "turn")
    async with await daemon(tmp_path / "turn", None):
        with pytest.raises(TryAgainLater, match="TimeoutError"):
            await turn_credentials(tmp_path / "turn")
