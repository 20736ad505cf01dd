import pytest

from mailstead.mime.facts import message_facts


@pytest.mark.parametrize(
    ("octets", "preview"),
    [
        (b"A: b\r\n\r\n  Hello,\r\n\r\n world \r\n", "Hello, world"),
        (b"A: b\r\n\r\n> quoted\r\n> more\r\nanswer", "answer"),
        (b"A: b\r\n\r\n> only quoted", "> only quoted"),
        (b"Content-Type: application/pdf\r\n\r\nx", ""),
        (b"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nx", ""),
        (b"Content-Type: text/html\r\n\r\n<b>x</b>&nbsp;y", "x y"),
        (b"Content-Transfer-Encoding: base64\r\n\r\nw7wgdw==", "ü w"),
        (
            b"Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\nhtml\r\n--x\r\n\r\nplain\r\n--x--",
            "plain",
        ),
        (
            b"Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\n\r\n  \r\n--x\r\nContent-Type: text/html\r\n\r\nhtml\r\n--x--",
            "html",
        ),
    ],
)
def test_preview(octets, preview):
    assert message_facts(octets).preview == preview


def test_preview_is_at_most_200_characters():
    assert message_facts(b"A: b\r\n\r\n" + "ü€ ".encode() * 5000).preview == ("ü€ " * 67)[:200].rstrip()
