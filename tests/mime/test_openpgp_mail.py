"""OpenPGP in mail, by its outside."""

import base64
from datetime import UTC, datetime

import pytest

from mailstead.mime.composition import Composition, Correspondent, compose
from mailstead.mime.header import header_end
from mailstead.mime.openpgp_mail import (
    attached_keys,
    autocrypt_field,
    autocrypt_of,
    canonical,
    encrypted_message,
    encrypted_payload,
    inline_payload,
    protected,
    protected_subject,
    signed_message,
    signed_payload,
)
from mailstead.mime.tree import part_tree

ALICE, BOB, EVE = (Correspondent("", f"{name}@example.test") for name in ("alice", "bob", "eve"))
WRITTEN = compose(
    Composition(
        datetime(2026, 11, 28, tzinfo=UTC), "<1@example.test>", (ALICE,), to=(BOB,), bcc=(EVE,), subject="Größe",
        text="Hello", html="<p>Hello</p>",
    ),
    has_bcc=True,
)  # fmt: skip
ARMORED = b"-----BEGIN PGP MESSAGE-----\n\nabcd\n-----END PGP MESSAGE-----\n"


def test_the_outside_tells_no_subject_and_the_inside_no_blind_copy():
    made = protected(WRITTEN, hides=True)
    assert b"Subject: [...]\r\n" in made.outer
    assert b"Gr" not in made.outer
    assert b"Bcc: eve@example.test" in made.outer
    assert b"eve" not in made.inner
    assert protected_subject(made.inner) == "Größe"
    assert b"HP-Outer: Subject: [...]\r\n" in made.inner
    assert b"HP-Outer: To: bob@example.test\r\n" in made.inner
    assert b'hp="cipher"' in made.inner
    tree = part_tree(made.inner)
    assert [each.media_type for each in tree] == ["multipart/alternative", "text/plain", "text/html"]


def test_what_is_only_signed_hides_nothing():
    made = protected(WRITTEN, hides=False)
    assert b"[...]" not in made.outer + made.inner
    assert b"HP-Outer" not in made.inner
    assert b'hp="clear"' in made.inner


def test_what_was_encrypted_is_found_again():
    message = encrypted_message(protected(WRITTEN, hides=True).outer, ARMORED, "mark")
    parts = part_tree(message)
    assert encrypted_payload(message, parts, 0).split() == ARMORED.split()
    assert b"\n" not in message.replace(b"\r\n", b"")
    assert signed_payload(message, parts, 0) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"application/pgp-encrypted\r\n\r\nVersion", b"text/plain\r\n\r\nVersion"),
        (b"application/octet-stream", b"text/html"),
        (b"--mark--", b"--mark\r\nContent-Type: text/html\r\n\r\n<img src='https://evil.test/\r\n--mark--"),
        (b"multipart/encrypted", b"multipart/mixed"),
    ],
)
def test_attack_088_what_is_not_exactly_a_multipart_encrypted_is_none(old, new):
    message = encrypted_message(b"From: a@b.test\r\n", ARMORED, "mark").replace(old, new)
    assert encrypted_payload(message, part_tree(message), 0) is None


def test_a_signature_covers_what_stands_there_and_nothing_else():
    inner = canonical(protected(WRITTEN, hides=False).inner)
    message = signed_message(b"From: a@b.test\r\n", inner, b"-----BEGIN PGP SIGNATURE-----\n\nx\n", "mark")
    found = signed_payload(message, part_tree(message), 0)
    assert found.covered == inner
    assert message[found.content_start : found.content_end] == inner
    assert found.signature.startswith(b"-----BEGIN PGP SIGNATURE-----")
    assert message[: header_end(message)].count(b"Content-Type") == 1


SIGNED = (
    b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nYes\n-----BEGIN PGP SIGNATURE-----\n\nx\n"
    b"-----END PGP SIGNATURE-----\n"
)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (ARMORED, "encrypted"),
        (b"\r\n" + ARMORED, "encrypted"),
        (SIGNED, "signed"),
        (b"Look:\n" + ARMORED, None),
        (ARMORED + b"more", None),
        (ARMORED + ARMORED, None),
        (b"Not covered\n" + SIGNED, None),
        (SIGNED + b"Not covered\n", None),
        (SIGNED + SIGNED, None),
        (b"text", None),
    ],
)
def test_attack_088_a_text_is_a_block_and_nothing_around_it(text, kind):
    found = inline_payload(text)
    assert (found and found[0]) == kind


KEY = b"\x98\x01\x02" * 40


def test_an_autocrypt_field_comes_back():
    header = b"From: Bob <bob@else.test>\r\n" + autocrypt_field("bob@else.test", KEY) + b"\r\n"
    assert max(map(len, header.split(b"\r\n"))) < 79
    assert autocrypt_of(header) == ("bob@else.test", KEY)


@pytest.mark.parametrize(
    "header",
    [
        b"From: eve@else.test\r\n" + autocrypt_field("bob@else.test", KEY),
        b"From: bob@else.test, eve@else.test\r\n" + autocrypt_field("bob@else.test", KEY),
        b"From: bob@else.test\r\n" + autocrypt_field("bob@else.test", KEY) * 2,
        b"From: bob@else.test\r\nAutocrypt: addr=bob@else.test; new=1; keydata=mAEC\r\n",
        b"From: bob@else.test\r\nAutocrypt: addr=bob@else.test; keydata=!!!\r\n",
        b"From: bob@else.test\r\nAutocrypt: addr=bob@else.test; keydata=\r\n",
        b"From: bob@else.test\r\n" + autocrypt_field("bob@else.test", b"x" * 70_000),
        b"From: bob@else.test\r\n",
    ],
)
def test_attack_103_an_autocrypt_field_that_is_not_exactly_one_of_the_sender_is_none(header):
    assert autocrypt_of(header + b"\r\n") is None


def test_attached_keys_are_found():
    message = (
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: application/pgp-keys\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(KEY) + b"\r\n--b--\r\n"
    )
    assert attached_keys(message, part_tree(message)) == [KEY]


def test_a_subject_that_is_not_protected_is_none():
    assert protected_subject(b"Subject: x\r\nContent-Type: text/plain\r\n\r\ny") is None
    assert protected_subject(b'Subject: x\r\nContent-Type: text/plain; protected-headers="v1"\r\n\r\ny') == "x"
