"""Composed messages, read again by our own reader and by the standard library's."""

import email
import email.policy
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.mime.composition import Alternative, Attached, Composition, Correspondent, compose
from mailstead.mime.facts import message_facts
from mailstead.mime.parsed import parsed_message
from mailstead.model.errors import BadMessage

AT = datetime(2026, 11, 28, 10, tzinfo=UTC)
ALICE = Correspondent("Alice", "alice@example.test")


def composition(**parts):
    return Composition(AT, "<1@example.test>", authors=(ALICE,), **parts)


def read(octets):
    return email.message_from_bytes(octets, policy=email.policy.SMTP)


def test_a_plain_text_is_one_part():
    octets = compose(composition(to=(Correspondent("", "bob@far.test"),), subject="Hello", text="Dear Bob\nbye\n"))
    assert octets == (
        b"From: Alice <alice@example.test>\r\nTo: bob@far.test\r\nSubject: Hello\r\n"
        b"Date: Sat, 28 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.test>\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\nDear Bob\r\nbye\r\n"
    )


def test_all_forms_lie_as_mail_programs_expect():
    octets = compose(
        composition(
            text="plain",
            html='<img src="cid:pic@x">',
            further=(
                Alternative("text/x-amp-html", b"<html amp4email>"),
                Alternative("text/calendar", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", "; method=REQUEST"),
            ),
            attachments=(
                Attached(b"\x89PNG", "pic.png", content_id="pic@x"),
                Attached(b"a,b\n", "liste über Größen und ähnliche Dinge, die sehr lang heißen.csv"),
                Attached(b"Subject: inner\n\nbody", media_type="message/rfc822"),
            ),
        )
    )
    found = read(octets)
    assert [part.get_content_type() for part in found.walk()] == [
        "multipart/mixed", "multipart/alternative", "text/plain", "text/x-amp-html", "multipart/related", "text/html",
        "image/png", "text/calendar", "text/csv", "message/rfc822", "text/plain",
    ]  # fmt: skip
    parsed = parsed_message(octets)
    assert parsed["text"] == "plain"
    _, picture, _, table, _ = parsed["attachments"]
    assert (picture["cid"], picture["contentDisposition"], bytes(picture["content"]["data"])) == (
        "pic@x", "inline", b"\x89PNG",
    )  # fmt: skip
    assert table["filename"] == "liste über Größen und ähnliche Dinge, die sehr lang heißen.csv"
    assert max(map(len, octets.split(b"\r\n"))) <= 100


def test_names_and_subjects_are_encoded_and_come_back():
    octets = compose(
        composition(
            to=(Correspondent("Jürgen, von", "j@far.test"), Correspondent('a "b" c.', "k@far.test")),
            subject="Grüße " * 30,
            text="ä" * 200,
        )
    )
    assert octets.isascii()
    found = read(octets)
    assert [(each.display_name, each.addr_spec) for each in found["to"].addresses] == [
        ("Jürgen, von", "j@far.test"), ('a "b" c.', "k@far.test"),
    ]  # fmt: skip
    assert found["subject"].strip() == ("Grüße " * 30).strip()
    assert found.get_content().strip() == "ä" * 200
    assert max(map(len, octets.split(b"\r\n"))) <= 78


@pytest.mark.parametrize("encoding", ["", "base64", "quoted-printable"])
def test_texts_survive_each_encoding(encoding):
    text = "a line with space at its end \n=3D\n.\nFrom here\n" + "long " * 100 + "\nüber\n"
    octets = compose(composition(text=text, html=text, text_encoding=encoding))
    for part in read(octets).iter_parts():
        assert part.get_content().replace("\r\n", "\n") == text


def test_blind_copies_are_only_in_drafts():
    blind = composition(bcc=(Correspondent("", "secret@far.test"),), text="x")
    assert b"secret" not in compose(blind)
    assert b"\r\nBcc: secret@far.test\r\n" in compose(blind, has_bcc=True)


def test_equal_input_gives_equal_octets():
    parts = {"text": "x", "html": "y", "attachments": (Attached(b"1", "a"),)}
    assert compose(composition(**parts)) == compose(composition(**parts))


@pytest.mark.parametrize(
    "parts",
    [
        {"subject": "a\r\nBcc: x@y.test"},
        {"subject": "a\u2028b"},
        {"to": (Correspondent("a\nX: y", "b@far.test"),)},
        {"to": (Correspondent("", "b@far.test>\r\nX: y"),)},
        {"fields": (("X-A", "1\r\n\r\nbody"),)},
        {"fields": (("X A", "1"),)},
        {"fields": (("X-A:", "1"),)},
        {"fields": (("From", "eve@far.test"),)},
        {"fields": (("bcc", "eve@far.test"),)},
        {"fields": (("Content-Type", "text/html"),)},
        {"fields": (("X-A", "1"),) * 101},
        {"in_reply_to": "<a b@c>"},
        {"in_reply_to": "<a@b>\r\nX: y"},
        {"references": ("x",)},
        {"attachments": (Attached(b"", "a\r\nb.txt"),)},
        {"attachments": (Attached(b"", media_type='text/plain\r\nX: "y"'),)},
        {"attachments": (Attached(b"", media_type="multipart/mixed"),)},
        {"attachments": (Attached(b"", content_id="a>\r\nb"),)},
        {"attachments": (Attached(b"", disposition="form-data"),)},
        {"attachments": (Attached(b""),) * 1001},
        {"further": (Alternative("text", b""),)},
    ],
)
def test_attack_100_nothing_writes_a_field_or_a_part_of_its_own(parts):
    with pytest.raises(BadMessage):
        compose(composition(**parts))


@given(
    st.text(max_size=200), st.text(max_size=100), st.binary(max_size=300),
    st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), max_size=100),
)  # fmt: skip
def test_whatever_is_handed_in_comes_back_or_is_refused(text, subject, octets, file_name):
    try:
        written = compose(composition(subject=subject, text=text, attachments=(Attached(octets, file_name),)))
    except BadMessage:
        return
    facts = message_facts(written)
    assert [part.media_type for part in facts.parts][:2] == ["multipart/mixed", "text/plain"]
    assert len(facts.parts) == 3 + (facts.parts[2].is_message)
    (attached,) = parsed_message(written)["attachments"]
    if not facts.parts[2].is_message:
        assert bytes(attached["content"]["data"]) == octets
    assert attached.get("filename", "") == file_name
