from mailstead.mime.facts import message_facts
from mailstead.mime.text import BODY_CHARACTERS_MAX, fold, search_text


def searched(octets):
    return search_text(octets, message_facts(octets).parts)


def test_fold():
    assert fold("HELLO") == "hello"
    assert fold("Straße") == fold("STRASSE")
    assert fold("e\u0301") == fold("É")
    assert fold("ﬁ") == "fi"
    assert fold("Ⅳ") == "iv"
    for text in ("ΐ", "\u1e9e", "ǆ", "\u0345", "K", "İ"):
        assert fold(fold(text)) == fold(text)


def test_charsets_are_undone():
    found = searched(
        "Subject: =?koi8-r?B?8NLJ18XU?=\r\nFrom: x@y\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\nПривет".encode(
            "koi8-r"
        )
    )
    assert found.subject == "Привет"
    assert found.body == "Привет"
    assert "Subject: Привет" in found.header


def test_enclosed_messages_and_file_names_are_found():
    octets = (
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n"
        b"Subject: inner subject\r\n\r\ninner text\r\n--x\r\nContent-Type: image/png; name=pic.png\r\n\r\nbinary\r\n--x--\r\n"
    )
    body = searched(octets).body
    assert "inner subject" in body
    assert "inner text" in body
    assert "pic.png" in body
    assert "binary" not in body


def test_body_is_bounded():
    assert len(searched(b"A: b\r\n\r\n" + b"x" * 3_000_000).body) == BODY_CHARACTERS_MAX
    many = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + (b"--x\r\n\r\n" + b"y" * 2000 + b"\r\n") * 2000
    assert len(searched(many).body) <= BODY_CHARACTERS_MAX
