"""The object of a message that webhooks post."""

import base64
import json

from mailstead.mime.parsed import parsed_message

MESSAGE = (
    b"From: =?utf-8?q?J=C3=BCrgen?= <j@a.example>\r\n"
    b'To: "Bob, the second" <bob@b.example>, carol@c.example\r\n'
    b"Reply-To: replies@a.example\r\n"
    b"Subject: =?utf-8?b?" + base64.b64encode("Grüße".encode()) + b"?=\r\n"
    b"Message-ID: <1@a.example>\r\n"
    b"References: <0@a.example> <00@a.example>\r\n"
    b"Date: Thu, 01 Jan 2026 10:00:00 +0100\r\n"
    b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n'
    b"--x\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n"
    b"--y\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello <you>\r\n"
    b"--y\r\nContent-Type: text/html\r\n\r\n<p>Hello</p>\r\n--y--\r\n"
    b"--x\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nAAEC/w==\r\n--x--\r\n"
)


def test_fields_have_the_names_and_shapes_that_programs_know():
    found = parsed_message(MESSAGE)
    assert found["subject"] == "Grüße"
    assert found["messageId"] == "<1@a.example>"
    assert found["references"] == ["<0@a.example>", "<00@a.example>"]
    assert found["date"] == "2026-01-01T09:00:00Z"
    assert found["from"]["value"] == [{"name": "Jürgen", "address": "j@a.example"}]
    assert [each["address"] for each in found["to"]["value"]] == ["bob@b.example", "carol@c.example"]
    assert found["replyTo"]["text"] == "replies@a.example"
    assert found["headerLines"][0]["key"] == "from"
    assert found["text"].strip() == "Hello <you>"
    assert "Hello &lt;you&gt;" in found["textAsHtml"]
    assert found["html"].strip() == "<p>Hello</p>"
    json.dumps(found)


def test_attachments_come_as_buffers():
    (attachment,) = parsed_message(MESSAGE)["attachments"]
    assert attachment["filename"] == "a.pdf"
    assert attachment["contentType"] == "application/pdf"
    assert attachment["size"] == 4
    assert attachment["content"] == {"type": "Buffer", "data": [0, 1, 2, 255]}


def test_what_is_large_can_be_left_out():
    found = parsed_message(MESSAGE, has_attachments=False, has_raw=False)
    assert found["attachments"] == []
    assert "raw" not in found
    assert parsed_message(MESSAGE)["raw"].startswith("From:")


def test_a_message_in_a_message_is_an_attachment():
    inner = b"Subject: inner\r\nContent-Type: text/plain\r\n\r\ninner text\r\n"
    outer = (
        b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        b"--x\r\n\r\nouter text\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"--x--\r\n"
    )
    found = parsed_message(outer)
    assert found["text"].strip() == "outer text"
    assert [each["contentType"] for each in found["attachments"]] == ["message/rfc822"]


def test_any_octets_give_an_object():
    for octets in (b"", b"\r\n", b"\xff\xfe\0", b"Subject\r\n"):
        json.dumps(parsed_message(octets))
