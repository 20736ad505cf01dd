"""The player must notice what is wrong, or all dialogues are worth nothing."""

import contextlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import player

from mailstead.proto.smtp.server import ServerConnection


class Echoless:
    """A session of the SMTP connection alone."""

    def __init__(self):
        self.connection = ServerConnection("mx.test")

    def started(self, line):
        self.connection.greet()

    def handle(self, event):
        if type(event).__name__ == "RcptTo":
            raise KeyError("bug")
        if self.connection.is_pending:
            self.connection.reply(player_reply())

    def failed(self, error):
        self.connection.reply(player_reply(451))

    def stopping(self): ...

    def ended(self): ...


def player_reply(code=250):
    from mailstead.proto.smtp.types import reply

    return reply(code, "", f"id {code}7")


async def play(tmp_path, text):
    path = tmp_path / "dialogue.txt"
    path.write_text(text)

    @contextlib.asynccontextmanager
    async def stage(dialogue):
        assert dialogue.head.get("service", "mx") == "mx"

        async def open_conversation():
            return player.MemoryConversation(Echoless())

        yield open_conversation

    await player.play_in_cuts(path, stage)


HEAD = "service: mx\n---\nS: 220 ...\nC: EHLO x\n" + "S: 250-...\n" * 10 + "S: 250 ...\n"


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "C: NOOP\nS: 250 2.0.0 OK\nC: QUIT\nS: 221 ...\nCLOSED\n",
        HEAD
        + "C: MAIL FROM:<>\nS: 250 id $id\nC: NOOP $id\nS: 250 ...\nC: RSET\nC: MAIL FROM:<>\nS: 250 ...\nS: 250 id $id\n",
        HEAD + "C~ NO\nC~ OP\\r\\n\nC: WHAT\nS*: 500 ...\nS*: 250 ...\nEOF\nCLOSED\n",
        "---\nS1: 220 ...\nS2: 220 ...\nC2: QUIT\nS2: 221 ...\nCLOSED2\nC1: HELO $$x\nS1: 501 ...\n",
    ],
)
async def test_right_dialogues(tmp_path, text):
    await play(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (HEAD + "C: NOOP\nS: 251 ...\n", "line 17: wanted '251 ...', got '250 2.0.0 OK'"),
        (HEAD + "C: QUIT\nS: 221 ...\nS: 250 ...\n", "the server has closed"),
        (HEAD + "C: NOOP\nCLOSED\n", "wanted the end"),
        (HEAD + "C: NOOP\nC: WHAT\nS*: 250 ...\nS*: 251 ...\n", "wanted one of"),
        (HEAD + "C: MAIL FROM:<>\nS: 250 id $id\nC: NOOP\nS: 250 id $id\n", "got '250 2.0.0 OK'"),
        (HEAD + "C: MAIL FROM:<>\nS: 250 ...\nC: RCPT TO:<a@b.test>\nS: 451 ...\n", "KeyError"),
        ("---\nX: what\n", "not a step"),
    ],
)
async def test_wrong_dialogues(tmp_path, text, complaint):
    with pytest.raises(AssertionError) as caught:
        await play(tmp_path, text)
    assert complaint in str(caught.value)


async def test_a_silent_server(tmp_path, monkeypatch):
    monkeypatch.setattr(player, "REPLY_LIMIT_S", 0.01)
    with pytest.raises(AssertionError, match="silent"):
        await play(tmp_path, HEAD + "S: 250 ...\n")
