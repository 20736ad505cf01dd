"""FETCH of octets that no literal can hold."""

from datetime import UTC, datetime

import pytest

from mailstead.usecases.mailboxes import Draft

BINARY = (
    b"Subject: a\0b\r\nX-Odd: c\0d\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\1\2\xff\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nstray\0octet\r\n--b--\r\n"
)
PLAIN = BINARY.replace(b"\0", b"\x80")


async def _answer(client, command):
    await client.send(b"f " + command + b"\r\n")
    answer = b""
    while not answer.startswith(b"f ") and b"\nf " not in answer:
        answer += await client.conversation.line() + b"\n"
    return answer.replace(b"\r", b"")


@pytest.fixture
async def selected(house, client):
    await house.mailboxes.append(house.alice, "INBOX", [Draft(BINARY, frozenset(), datetime(2026, 1, 1, tzinfo=UTC))])
    await client("SELECT INBOX")
    return client


@pytest.mark.parametrize(
    ("item", "shown"),
    [
        (b"BODY.PEEK[]", PLAIN),
        (b"RFC822.HEADER", PLAIN[: PLAIN.index(b"--b")]),
        (b"BODY.PEEK[1]", b"\x80\1\2\xff"),
        (b"BODY.PEEK[2]", b"stray\x80octet"),
        (b"BODY.PEEK[1]<0.2>", b"\x80\1"),
        (b"BODY.PEEK[HEADER.FIELDS (SUBJECT)]", b"Subject: a\x80b"),
        (b"BODY.PEEK[HEADER.FIELDS (X-ODD)]", b"X-Odd: c\x80d"),
        (b"(BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[1])", b"\x80\1\2\xff"),
    ],
)
async def test_no_literal_holds_a_nul(selected, item, shown):
    answer = await _answer(selected, b"FETCH 1 " + item)
    assert b"\0" not in answer
    assert b"~{" not in answer
    assert shown.replace(b"\r", b"") in answer
    assert b"f OK" in answer


@pytest.mark.parametrize(("item", "octets"), [(b"BINARY.PEEK[]", BINARY), (b"BINARY.PEEK[1]", b"\0\1\2\xff")])
async def test_binary_gives_octets_as_they_are(selected, item, octets):
    answer = await _answer(selected, b"FETCH 1 " + item)
    assert b"~{%d}" % len(octets) in answer
    assert octets.replace(b"\r", b"") in answer
