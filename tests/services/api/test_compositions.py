"""Messages from fields: read again by our own reader; whatever comes in, a message or a refusal comes out."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mailstead.mime.parsed import parsed_message
from mailstead.model.address import Address
from mailstead.model.errors import MailsteadError
from mailstead.services.api.compositions import Composed, octets_of
from mailstead.services.api.endpoints import File

NOW = datetime(2026, 11, 28, 10, tzinfo=UTC)
ALICE = Address("alice", "example.test")


def written(files=(), **fields):
    return octets_of(Composed.model_validate(fields), files, NOW, ALICE)


def read(files=(), **fields):
    return parsed_message(written(files, **fields))


def addresses(field):
    return [(each["name"], each["address"]) for each in field["value"]]


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        ("a@b.test", [("", "a@b.test")]),
        ("Ann Ö <a@b.test>, b@b.test", [("Ann Ö", "a@b.test"), ("", "b@b.test")]),
        ({"name": 'Ann "the" Ö', "address": "a@b.test"}, [('Ann "the" Ö', "a@b.test")]),
        (["a@b.test", {"address": "b@b.test"}], [("", "a@b.test"), ("", "b@b.test")]),
        ("team: a@b.test, b@b.test;", [("", "a@b.test"), ("", "b@b.test")]),
        ("a@bücher.test", [("", "a@xn--bcher-kva.test")]),
    ],
)
def test_people(people, expected):
    assert addresses(read(to=people, text="x")["to"]) == expected


def test_all_that_programs_say():
    found = read(
        files=(File("attachments", "C:\\fake\\b.txt", "text/plain", b"two"),),
        **{
            "from": "Bob <bob@example.test>",
            "replyTo": "r@b.test",
            "inReplyTo": "1@b.test",
            "references": ["<0@b.test>", "1@b.test"],
            "subject": "Größe",
            "html": {"content": "PGI+aGk8L2I+", "encoding": "base64"},
            "text": "hi",
            "amp": "<html amp4email>",
            "icalEvent": {"method": "request", "content": "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"},
            "alternatives": [{"contentType": "text/x-web", "content": "other"}],
            "attachments": [
                {"filename": "a.bin", "content": {"type": "Buffer", "data": [0, 255]}, "cid": "pic@x"},
                {"filename": "h.txt", "content": "6869", "encoding": "hex", "contentType": "text/plain"},
            ],
            "priority": "high",
            "list": {"unsubscribe": ["https://b.test/u", "u@b.test"], "id": "list.b.test"},
            "headers": [{"key": "X-One", "value": "1"}],
        },
    )
    assert addresses(found["from"]) == [("Bob", "bob@example.test")]
    assert (found["inReplyTo"], found["references"]) == ("<1@b.test>", ["<0@b.test>", "<1@b.test>"])
    assert (found["text"], found["html"], found["subject"]) == ("hi", "<b>hi</b>", "Größe")
    files = {each.get("filename"): bytes(each["content"]["data"]) for each in found["attachments"]}
    assert (files["a.bin"], files["h.txt"], files["b.txt"]) == (b"\0\xff", b"hi", b"two")
    for line in (
        "X-Priority: 1 (Highest)",
        "Importance: High",
        "List-Unsubscribe: <https://b.test/u>, <mailto:u@b.test>",
        "List-ID: <list.b.test>",
        "X-One: 1",
    ):
        assert line in found["headers"].replace("\r\n ", " ").split("\r\n"), line
    kinds = {each["contentType"] for each in found["attachments"]}
    assert {"text/x-amp-html", "text/calendar", "text/x-web"} <= kinds


def test_headers_as_an_object_may_have_lists():
    header = read(text="x", headers={"X-A": ["1", "2"], "X-B": "3"})["headers"]
    assert [line for line in header.split("\r\n") if line.startswith("X-")] == ["X-A: 1", "X-A: 2", "X-B: 3"]


def test_pictures_of_the_page_become_attachments():
    found = read(html='<img src="data:image/png;base64,iVBORw==">', attachDataUrls=True)
    [picture] = found["attachments"]
    assert (picture["contentType"], bytes(picture["content"]["data"])) == ("image/png", b"\x89PNG")
    assert f'src="cid:{picture["cid"]}"' in found["html"]
    assert "data:" in read(html='<img src="data:image/png;base64,iVBORw==">')["html"]


def test_raw_is_kept_but_for_line_ends():
    assert written(raw="A: 1\n\r\nb\rc") == b"A: 1\r\n\r\nb\r\nc"
    assert written(raw={"content": "QTogMQ==", "encoding": "base64"}) == b"A: 1"
    assert written(raw={"type": "Buffer", "data": [65]}) == b"A"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
words = st.text(max_size=30) | st.sampled_from(
    ["a@b.test", "A <a@b.test>, b@c.test", "\r\nBcc: x@y.test", "base64", "<1@x>"]
)
attachments = st.fixed_dictionaries(
    {},
    optional={
        "content": words,
        "filename": words,
        "encoding": words,
        "contentType": words | st.sampled_from(["text/plain", "multipart/mixed", "message/rfc822"]),
        "cid": words,
        "headers": st.dictionaries(words, words, max_size=2),
    },
)
messages = st.fixed_dictionaries(
    {},
    optional={
        name.alias or key: words | values
        if "list" not in str(name.annotation)
        else words | values | st.lists(attachments)
        for key, name in Composed.model_fields.items()
    },
)


@given(messages)
def test_attack_093_a_message_or_a_refusal_and_no_field_of_somebody_else(fields):
    try:
        octets = written(**fields)
    except (MailsteadError, ValidationError):
        return
    if "raw" in fields and fields["raw"] is not None:
        return
    header = octets.partition(b"\r\n\r\n")[0]
    assert header.lower().count(b"\r\nbcc:") <= ("bcc" in fields)
    assert b"\r" not in octets.replace(b"\r\n", b"")
    assert b"\n" not in octets.replace(b"\r\n", b"")
    parsed_message(octets)
