"""The transcript shows the conversation and no secret."""

import base64

import pytest

from mailstead.telemetry.transcript import LINE_OCTETS_MAX, Transcript

SECRET = b"pw-never-in-a-log-7"
IN_BASE64 = base64.b64encode(b"\0alice\0" + SECRET)

CONVERSATIONS = {
    "imap login": [(b"a LOGIN alice " + SECRET + b"\r\n", b"a OK done\r\n")],
    "imap login quoted": [(b'a1 login "alice" "' + SECRET + b'"\r\n', b"a1 NO no\r\n")],
    "imap literals": [
        (b"a LOGIN {5}\r\n", b"+ go on\r\n"),
        (b"alice {%d}\r\n" % len(SECRET), b"+ go on\r\n"),
        (SECRET + b"\r\n", b"* CAPABILITY IMAP4rev2\r\na OK done\r\n"),
    ],
    "imap literals at once": [(b"a LOGIN {5+}\r\nalice {%d+}\r\n%s\r\n" % (len(SECRET), SECRET), b"a OK done\r\n")],
    "imap literals behind a pipelined command": [
        (b"a NOOP\r\nb LOGIN {5+}\r\n", b"a OK noop\r\n"),
        (b"alice {%d+}\r\n%s\r\n" % (len(SECRET), SECRET), b"b OK done\r\n"),
    ],
    "imap authenticate": [(b"a AUTHENTICATE PLAIN\r\n", b"+ \r\n"), (IN_BASE64 + b"\r\n", b"a OK\r\n")],
    "imap initial response": [(b"a AUTHENTICATE PLAIN " + IN_BASE64 + b"\r\n", b"a OK\r\n")],
    "smtp auth plain": [(b"AUTH PLAIN " + IN_BASE64 + b"\r\n", b"235 2.7.0 ok\r\n")],
    "smtp auth login": [
        (b"auth login\r\n", b"334 VXNlcm5hbWU6\r\n"),
        (b"YWxpY2U=\r\n", b"334 UGFzc3dvcmQ6\r\n"),
        (base64.b64encode(SECRET) + b"\r\n", b"535 5.7.8 no\r\n"),
    ],
    "smtp auth behind a pipelined command": [
        (b"EHLO x\r\nAUTH LOGIN\r\n", b"250 ok\r\n334 VXNlcm5hbWU6\r\n"),
        (base64.b64encode(SECRET) + b"\r\n", b"235 ok\r\n"),
    ],
    "imap device token": [
        (b'a SETMETADATA INBOX (/private/devicetoken "' + SECRET + b'" )\n', b"a OK done\r\n"),
        (b"b setmetadata INBOX (/private/devicetoken {%d}\r\n" % len(SECRET), b"+ go on\r\n"),
        (SECRET + b")\r\n", b"b OK done\r\n"),
        (
            b"c GETMETADATA INBOX (/private/comment /private/devicetoken)\r\n",
            b"* METADATA INBOX (/private/comment NIL /private/devicetoken {%d}\r\n%b)\r\nc OK\r\n"
            % (len(SECRET), SECRET),
        ),
    ],
    "imap credentials of turn": [
        (
            b'a GETMETADATA "" (/shared/vendor/deltachat/turn /shared/admin)\r\n',
            b'* METADATA "" (/shared/vendor/deltachat/turn "h:3478:1:' + SECRET + b'" /shared/admin NIL)\r\na OK\r\n',
        )
    ],
    "pop3": [(b"USER alice\r\n", b"+OK\r\n"), (b"PASS " + SECRET + b"\r\n", b"+OK\r\n")],
    "pop3 with stray blanks": [(b"  PASS   " + SECRET + b"\r\n", b"-ERR\r\n")],
}


@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("cut", [1, 7, 100_000])
def test_no_secret_in_any_cut(name, cut):
    lines = []
    transcript = Transcript(lines.append)
    for client, server in CONVERSATIONS[name]:
        for start in range(0, len(client), cut):
            transcript.received(client[start : start + cut])
        for start in range(0, len(server), cut):
            transcript.sent(server[start : start + cut])
    transcript.received(b"z NOOP\r\n")
    text = "\n".join(lines)
    assert SECRET.decode() not in text
    assert IN_BASE64.decode() not in text
    assert base64.b64encode(SECRET).decode() not in text
    assert "[removed]" in text
    assert lines[-1] == "C: z NOOP"  # and what comes after the log-in is shown again


def test_control_characters_cannot_forge_lines():
    lines = []
    Transcript(lines.append).received(b"EHLO \x1b[31m\x00\rS: 250 forged\r\n")
    assert lines == ["C: EHLO \\x1b[31m\\x00\\x0dS: 250 forged"]


def test_long_lines_are_cut_and_memory_is_bounded():
    lines = []
    transcript = Transcript(lines.append)
    for _ in range(1000):
        transcript.received(b"A B" * 1000)
        assert len(transcript._client_part) <= LINE_OCTETS_MAX
    transcript.received(b"\r\n")
    assert len(lines) == 1
    assert len(lines[0]) < LINE_OCTETS_MAX + 50
