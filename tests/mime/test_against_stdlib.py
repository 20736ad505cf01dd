"""Comparison with the standard library's parser on messages where that one is right."""

import email
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.mime.address import addresses_of, display_name
from mailstead.mime.binary import decoded_part
from mailstead.mime.date import date_of
from mailstead.mime.facts import message_facts
from mailstead.mime.text import part_text

words = st.text(
    st.characters(
        min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp", "Cn", "Co", "Cf"]
    ),
    min_size=1,
    max_size=20,
)


@st.composite
def messages(draw):
    message = EmailMessage(policy=policy.SMTP)
    message["Subject"] = " ".join(draw(st.lists(words, min_size=1, max_size=6)))
    message["From"] = Address(draw(words), "a", "example.test")
    message.set_content(
        "\n".join(draw(st.lists(words, max_size=5))) + "\n", cte=draw(st.sampled_from(["base64", "quoted-printable"]))
    )
    if draw(st.booleans()):
        message.add_alternative("<p>x</p>", subtype="html")
    for name in draw(st.lists(words, max_size=3)):
        message.add_attachment(draw(st.binary(max_size=100)), "application", "x-test", filename=name)
    if draw(st.booleans()):
        inner = EmailMessage(policy=policy.SMTP)
        inner["Subject"] = "inner"
        inner.set_content("inner\n")
        message.add_attachment(inner)
    for number, part in enumerate(message.walk()):
        if part.is_multipart() and part.get_content_maintype() == "multipart":
            part.set_boundary(f"=_{number}")
    return message.as_bytes()


@given(messages())
def test_same_parts_content_and_names(octets):
    reference = list(email.message_from_bytes(octets, policy=policy.SMTP).walk())
    facts = message_facts(octets)
    assert facts.subject == str(reference[0]["subject"])
    assert facts.display_from == reference[0]["from"].addresses[0].display_name
    assert [part.media_type for part in facts.parts] == [part.get_content_type() for part in reference]
    for part, other in zip(facts.parts, reference, strict=True):
        if part.is_message or other.is_multipart():
            continue
        assert decoded_part(octets[part.body_start : part.body_end], part.encoding) == other.get_payload(decode=True)
        assert dict(part.disposition_params).get("filename") == other.get_filename()
        if part.media_type == "text/plain":
            assert part_text(octets, part, 1 << 20) == other.get_payload(decode=True).decode()


@pytest.mark.parametrize(
    "value", ["Mon, 20 Nov 1995 19:12:08 -0500", "20 Nov 2026 01:02 +0530", "Fri, 1 Jan 1999 00:00:00 GMT"]
)
def test_same_dates(value):
    assert date_of(value.encode()) == parsedate_to_datetime(value)


@given(st.lists(st.tuples(words, st.from_regex(r"[a-z]{1,8}(\.[a-z]{1,8})?", fullmatch=True)), min_size=1, max_size=4))
def test_same_addresses(people):
    # Unfolded: Python 3.11.7 writes the comma before a fold as an encoded word, and so loses an address.
    message = EmailMessage(policy=policy.SMTP.clone(max_line_length=None))
    message["To"] = [Address(name, local_part, "example.test") for name, local_part in people]
    raw = message.as_bytes().partition(b":")[2]
    raw = raw[: raw.index(b"\r\n\r\n")]
    assert [(display_name(found), found.local_part.decode()) for found in addresses_of(raw)] == people
