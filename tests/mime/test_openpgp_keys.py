"""Keys as people hand them in, and what of them is published."""

import base64
import shutil
import subprocess

import pytest

from mailstead.mime.openpgp import Flaw
from mailstead.mime.openpgp_keys import (
    KEY_OCTETS_MAX,
    PUBLIC_KEY,
    PUBLIC_SUBKEY,
    SIGNATURE,
    USER_ATTRIBUTE,
    USER_ID,
    Packet,
    packets,
    published,
)

ALICE = """-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawrnQRYJKwYBBAHaRw8BAQdADgCiwZI5vMhAeCbcctlMBl+5Vq71gUA/joYg
KVQGZV20GkFsaWNlIDxBbGljZUBleGFtcGxlLnRlc3Q+iJAEExYIADgWIQRKYL/7
I4W2YRyd/qAIHKNZULnVrgUCawrnQQIbAwULCQgHAgYVCgkICwIEFgIDAQIeAQIX
gAAKCRAIHKNZULnVrnCYAQDtdML/m0P+QNfND/vYn49SfM4hzCf+hKXtd3VMMItf
LAD+Kg0B4IultJuFo4bWh7c7zoZXrr55xx36rx566ZR+1g+0H0FsaWNlIGF0IHdv
cmsgPGFsaWNlQHdvcmsudGVzdD6IkAQTFggAOBYhBEpgv/sjhbZhHJ3+oAgco1lQ
udWuBQJrCudCAhsDBQsJCAcCBhUKCQgLAgQWAgMBAh4BAheAAAoJEAgco1lQudWu
MzMA/R+Fi6pM5sWS7LrSOTsVyAAwsmaeDdDF1A0ozS5wJqVwAPoDin5BB/vCp17x
n/MLI8IcUf6kmESgfJTQijwnpN1HDbg4BGsK50ESCisGAQQBl1UBBQEBB0D7WFoO
l2spGIDNd3Thvdtc6IFc+JI03T32BMTCT/dcTAMBCAeIeAQYFggAIBYhBEpgv/sj
hbZhHJ3+oAgco1lQudWuBQJrCudBAhsMAAoJEAgco1lQudWuHHgA/0P2Aa3SsZh2
/PaoqW83tLeqXqlfALBqLpMKwdbR4OV/AQCLgs/rOoesLXnQfN4NdYm42RWfuYFK
ZBKdmll4BUAvAA==
=oLZV
-----END PGP PUBLIC KEY BLOCK-----
"""
"""With the user ids ``Alice <Alice@example.test>`` and ``Alice at work <alice@work.test>``."""
ADDRESS = "alice@example.test"
WHOLE = [PUBLIC_KEY, USER_ID, SIGNATURE, USER_ID, SIGNATURE, PUBLIC_SUBKEY, SIGNATURE]
OF_ONE = [PUBLIC_KEY, USER_ID, SIGNATURE, PUBLIC_SUBKEY, SIGNATURE]


def armored(*found):
    octets = found[0] if isinstance(found[0], bytes) else b"".join(each.octets for each in found)
    text = base64.encodebytes(octets).decode()
    return f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{text}-----END PGP PUBLIC KEY BLOCK-----\n"


def tags(octets):
    return [each.tag for each in packets(armored(octets))]


def test_a_key_is_taken_apart_and_written_again():
    found = packets(ALICE)
    assert [each.tag for each in found] == WHOLE
    assert found[1].body == b"Alice <Alice@example.test>"
    assert packets(armored(*found)) == found


@pytest.mark.parametrize("count", [0, 1, 191, 192, 8383, 8384, 70_000])
def test_packets_of_all_lengths_come_back(count):
    found = [packets(ALICE)[0], Packet(SIGNATURE, bytes(count))]
    assert packets(armored(*found)) == found


def test_only_user_ids_of_the_address_are_published():
    found = published(ALICE, ADDRESS)
    assert tags(found) == OF_ONE
    assert b"work" not in found
    assert b"Alice <Alice@example.test>" in found
    assert b"example.test" not in published(ALICE, "alice@work.test")


def test_pictures_and_trust_are_not_published():
    found = packets(ALICE)
    more = [*found[:3], Packet(12, b"x"), Packet(USER_ATTRIBUTE, b"picture"), found[4], *found[5:], Packet(21, b"pad")]
    assert tags(published(armored(*more), ADDRESS)) == OF_ONE


def test_an_old_key_behind_the_new_one_stays():
    found = packets(ALICE)
    assert tags(published(armored(*found, *found), ADDRESS)) == OF_ONE * 2
    assert tags(published(ALICE + "\n" + ALICE, ADDRESS)) == OF_ONE * 2


def test_a_key_of_others_behind_the_owners_is_left_out():
    found = packets(ALICE)
    other = [found[0], Packet(USER_ID, b"Mallory <mallory@example.test>"), found[2]]
    assert tags(published(armored(*found, *other), ADDRESS)) == OF_ONE


@pytest.mark.parametrize(
    "user_id",
    ["alice@example.test", "<alice@example.test>", "A <B> <ALICE@Example.Test> ", "Ä (x) <alice@example.test>"],
)
def test_addresses_are_found_in_user_ids_of_all_kinds(user_id):
    key, _, signature, *_ = packets(ALICE)
    assert published(armored(key, Packet(USER_ID, user_id.encode()), signature), ADDRESS)


@pytest.mark.parametrize(
    "user_id",
    ["Alice", "alice@example.test <mallory@x.test>", "alice@example.test.evil", "xalice@example.test", "\xff"],
)
def test_a_key_without_the_address_is_not_published(user_id):
    key, _, signature, *_ = packets(ALICE)
    with pytest.raises(Flaw, match="has the address"):
        published(armored(key, Packet(USER_ID, user_id.encode("latin-1")), signature), ADDRESS)


def test_armor_may_have_headers_other_line_ends_text_around_it_and_no_checksum():
    head, blank, rest = ALICE.partition("\n\n")
    text = f"My key:\n{head}\nVersion: x\nComment: y{blank}{rest}bye".replace("=oLZV\n", "")
    assert packets(text) == packets(text.replace("\n", "\r\n")) == packets(ALICE)


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        ("", "no armored public key"),
        ("no key at all", "no armored public key"),
        (ALICE.replace("mDME", "mD!!"), "no base64"),
        (ALICE.replace("mDME", "mD\x80\x85"), "no base64"),
        (ALICE.partition("-----END")[0], "cut short"),
        (ALICE.replace("\n\n", "\n", 1), "cut short"),
        (armored(b"hello"), "no OpenPGP packets"),
        (armored(packets(ALICE)[0].octets[:-1]), "cut short"),
        (armored(b"\xc6\xff\x00\x00"), "cut short"),
        (armored(b"\x9b"), "how long"),
        (armored(b"\xc6\xe1\x00\x00"), "pieces"),
        (armored(packets(ALICE)[1]), "no public key"),
        (armored(packets(ALICE)[0], Packet(11, b"data")), "no public key"),
        (" " * (KEY_OCTETS_MAX * 2 + 1), "too large"),
        (armored(b"\xc2\x00" * 2001), "too large"),
    ],
)
def test_what_is_no_key_is_told_so(text, flaw):
    with pytest.raises(Flaw, match=flaw):
        published(text, ADDRESS)


def test_a_secret_key_is_never_published():
    found = packets(ALICE)
    for position, tag in ((0, 5), (5, 7)):
        secret = [*found[:position], Packet(tag, found[position].body), *found[position + 1 :]]
        with pytest.raises(Flaw, match="secret key"):
            published(armored(*secret), ADDRESS)
    with pytest.raises(Flaw, match="secret key"):
        published(ALICE + ALICE.replace("PUBLIC", "PRIVATE"), ADDRESS)


@pytest.mark.skipif(not shutil.which("gpg"), reason="missing: gpg; run `make setup-tools` as root")
def test_gpg_takes_what_is_published(tmp_path):
    tmp_path.chmod(0o700)
    gpg = ["gpg", "--homedir", str(tmp_path), "--batch", "--no-autostart"]
    subprocess.run([*gpg, "--import"], input=published(ALICE, ADDRESS), check=True, capture_output=True)
    listed = subprocess.run([*gpg, "--with-colons", "--list-keys"], check=True, capture_output=True, text=True).stdout
    assert [line.split(":")[9] for line in listed.splitlines() if line.startswith("uid:")] == [
        "Alice <Alice@example.test>"
    ]
    assert "sub:" in listed
