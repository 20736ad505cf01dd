"""The filter of encrypted mail: every row of the relay's table, every rule of the armor and of the packets."""

import re
import tracemalloc

import pytest

from mailstead.mime import openpgp
from mailstead.model.address import Address
from mailstead.policy.encryption import NOT_ENCRYPTED, Direction, author_of, judge, structural_flaw
from policy.pgp import (
    MESSAGE,
    armored,
    data,
    mail,
    packet,
    plain,
    report,
    secure_join,
    session_key,
    setup_message,
)

OUT, IN = Direction.OUTGOING, Direction.INCOMING
ALICE = Address("alice1234", "chat.test")
BOB = Address("bob456789", "chat.test")


def verdict(octets, direction, mail_from=ALICE, to=(BOB,), **more):
    judged = judge(octets, direction, mail_from, to, **more)
    assert judged.is_allowed == (judged.code == 250)
    assert (judged.text == NOT_ENCRYPTED) == (judged.code == 523)
    return judged.code


# the table. Spec: reference chatmail, section 5.7


@pytest.mark.parametrize(
    ("name", "octets", "outgoing", "incoming"),
    [
        ("encrypted", mail(), 250, 250),
        ("plain", plain(), 523, 523),
        ("fake-encrypted", plain(text=armored(b"Hi!")), 523, 523),
        ("literal", mail(armored(packet(11, b"b\0\0\0\0\0Hi!"))), 523, 523),
        ("mdn", report("alice1234@chat.test", kind=b"disposition-notification"), 523, 523),
        ("mailer-daemon", report(), 500, 250),
        ("securejoin-vc", secure_join(), 250, 250),
        ("securejoin-vc-fake", secure_join(text="Buy now, this is cheap"), 523, 523),
        ("asm", setup_message(), 523, 523),
    ],
)
def test_the_table_of_verdicts(name, octets, outgoing, incoming):
    assert (verdict(octets, OUT), verdict(octets, IN)) == (outgoing, incoming), name


def test_an_autocrypt_setup_message_goes_to_oneself_only():
    assert judge(setup_message(), OUT, ALICE, [ALICE]).kind == "autocrypt-setup"
    assert verdict(setup_message(), OUT, to=[ALICE, BOB]) == 523
    assert verdict(setup_message(), OUT, to=[]) == 523
    assert verdict(setup_message(subject="Autocrypt Setup Message!"), OUT, to=[ALICE]) == 523
    assert verdict(setup_message(), IN, to=[ALICE]) == 523


VALID = armored(MESSAGE)


@pytest.mark.parametrize(
    ("name", "armor", "outgoing", "incoming"),
    [
        ("valid", VALID, True, True),
        ("version", armored(MESSAGE, headers=b"Version: 1\r\n"), False, True),
        ("comment", armored(MESSAGE, headers=b"Version: ProtonMail\r\nComment: https://x.test\r\n"), False, True),
        ("stray =", VALID.replace(b"\r\n=", b"=\r\n="), False, False),
        ("english", armored(b"This is just English text, and no packets at all."), False, False),
        ("clear text", b"-----BEGIN PGP MESSAGE-----\r\n\r\nHi there!\r\n-----END PGP MESSAGE-----\r\n", False, False),
        ("only end", b"-----END PGP MESSAGE-----\r\n", False, False),
        ("only begin", b"-----BEGIN PGP MESSAGE-----\r\n", False, False),
        ("nothing", b"", False, False),
        ("empty", armored(b""), False, False),
        ("something before", b"x\r\n" + VALID, False, False),
        ("an empty line before", b"\r\n" + VALID, False, False),
        ("something behind", VALID + b"x\r\n", False, False),
        ("empty lines behind", VALID + b"\r\n\r\n", True, True),
        ("not a header", armored(MESSAGE, headers=b"Version 1\r\n"), False, False),
        ("signed", VALID.replace(b"PGP MESSAGE", b"PGP SIGNATURE"), False, False),
        ("glued lines", VALID.replace(b"BEGIN PGP MESSAGE-----\r\n\r\n", b"BEGIN PGP MESSAGE-----"), False, False),
        ("two armors", VALID + VALID, False, False),
    ],
)
def test_armor(name, armor, outgoing, incoming):
    assert structural_flaw(mail(armor), OUT) is None if outgoing else structural_flaw(mail(armor), OUT), name
    assert structural_flaw(mail(armor), IN) is None if incoming else structural_flaw(mail(armor), IN), name


@pytest.mark.parametrize("size", range(300, 306))
@pytest.mark.parametrize("checksum", [True, False])
def test_padding_with_and_without_a_checksum(size, checksum):
    assert structural_flaw(mail(armored(session_key() + data(size), checksum=checksum)), OUT) is None


def test_a_bad_checksum_is_not_looked_at_as_its_use_is_over():
    """RFC 9580 §6.1: it is to be ignored."""
    changed = re.sub(rb"\r\n=....\r\n", b"\r\n=AAAA\r\n", VALID)
    assert changed != VALID
    assert structural_flaw(mail(changed), OUT) is None


# packets


@pytest.mark.parametrize(
    "octets",
    [
        data(),
        session_key(3) + data(),
        session_key(1) + session_key(3) + data(),
        session_key(form="old1") + data(),
        session_key(form="old2") + session_key(form="old4") + data(),
        session_key(form="five") + data(10_000),
        session_key(size=300) + data(600, form="partial"),
        session_key() + data(10_000_000),
        b"".join([session_key()] * 1000) + data(),
    ],
    ids=["alone", "password", "both", "old", "old longer", "five octets", "partial", "10 MB", "1000 recipients"],
)
def test_packets_of_encrypted_messages(octets):
    assert structural_flaw(mail(armored(octets, checksum=False)), OUT) is None


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (packet(11, b"literal"), "type 11"),
        (packet(8, b"compressed"), "type 8"),
        (session_key() + data(tag=9), "type 9"),
        (session_key() + data(tag=20), "type 20"),
        (packet(2, b"signature") + data(), "type 2"),
        (packet(13, b"a user id that is clear text") + data(), "type 13"),
        (session_key(), "no encrypted data"),
        (session_key() + data()[:-1], "cut short"),
        (session_key() + data() + b"\0", "follows"),
        (data() + data(), "follows"),
        (data() + session_key(), "follows"),
        (session_key()[:1], "nothing"),
        (session_key() + data()[:2], "cut short"),
        (session_key(form="old-indeterminate") + data(), "how long"),
        (data(600, form="partial")[:514], "cut short"),
        (b"\0\0\0", "no OpenPGP"),
        (b"Hi there", "no OpenPGP"),
    ],
)
def test_attack_102_other_packets_are_clear_text(octets, said):
    assert said in structural_flaw(mail(armored(octets)), IN)


def test_attack_103_a_million_tiny_packets_cost_nothing():
    octets = packet(1, b"") * 1_000_000 + data()
    assert "too many" in structural_flaw(mail(armored(octets, checksum=False)), IN)
    with pytest.raises(openpgp.Flaw, match="too many"):
        openpgp.check_encrypted(
            armored(bytes([0xC0 | 18]) + b"\xe0x" * 50_000, checksum=False), takes_armor_headers=True
        )


def test_a_large_message_is_read_as_a_stream():
    octets = mail(armored(session_key() + data(20_000_000), checksum=False))
    tracemalloc.start()
    try:
        assert structural_flaw(octets, OUT) is None
        assert tracemalloc.get_traced_memory()[1] < 1.5 * len(octets)
    finally:
        tracemalloc.stop()


# the MIME around it


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (mail(top=b"multipart/mixed"), "not multipart/encrypted"),
        (mail(first=b"Content-Type: text/plain\r\n\r\nVersion: 1\r\n"), "first part"),
        (mail(first=b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 2\r\n"), "Version: 1"),
        (mail(first=b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\nHi!\r\n"), "Version: 1"),
        (mail(first=b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1" + b" " * 70_000), "Version: 1"),
        (mail(second=b"Content-Type: text/plain\r\n\r\n"), "second part"),
        (mail(second=b"\r\n"), "second part"),
        (mail(second=b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: x\r\n\r\n"), "encoding"),
        (mail(extra=b"--b\r\nContent-Type: text/plain\r\n\r\nHi!\r\n"), "two parts"),
        (mail(second=b'Content-Type: multipart/mixed; boundary="c"\r\n\r\n--c\r\n\r\n'), "two parts"),
        (b"From: <alice1234@chat.test>\r\nContent-Type: multipart/encrypted\r\n\r\nHi!\r\n", "multipart/encrypted"),
        (b"", "multipart/encrypted"),
    ],
)
def test_attack_102_other_shapes_are_clear_text(octets, said):
    assert said in structural_flaw(octets, IN)


def test_case_and_transfer_encodings_do_not_matter():
    upper = mail(
        top=b"Multipart/ENCRYPTED",
        first=b"Content-Type: Application/PGP-Encrypted\r\nContent-Description: x\r\n\r\n\r\n Version: 1 \r\n",
        second=b'Content-Type: Application/Octet-Stream; name="encrypted.asc"\r\n\r\n',
    )
    assert structural_flaw(upper, OUT) is None
    quoted = VALID.replace(b"=", b"=3D")
    second = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    assert structural_flaw(mail(quoted, second=second), OUT) is None
    assert structural_flaw(bytearray(mail()), OUT) is None


@pytest.mark.parametrize("further", [b"Content-Type: text/plain\r\n", b"From: <alice1234@chat.test>\r\n"])
def test_attack_102_a_field_that_stands_twice_is_read_in_two_ways(further):
    assert verdict(mail(further=further), IN) == 523


# secure join


@pytest.mark.parametrize("header", ["vc-request", "vg-request"])
@pytest.mark.parametrize("text", ["secure-join: vc-request", "  Secure-Join: VG-REQUEST \r\n"])
def test_who_asks_to_join_may_ask_in_clear(header, text):
    for direction in Direction:
        assert judge(secure_join(header, text), direction, ALICE, [BOB]).kind == "securejoin"


@pytest.mark.parametrize(
    "octets",
    [
        secure_join("VC-request"),
        secure_join("vc-auth-required"),
        secure_join(text="Secure-Join: vc-request\r\nand more"),
        secure_join(extra=b"--b\r\nContent-Type: text/plain\r\n\r\nHi!\r\n"),
        secure_join().replace(b"Secure-Join: vc-request\r\nContent", b"Secure-Join: vc-request\r\n" * 2 + b"Content"),
        secure_join().replace(b"text/plain", b"text/html"),
        plain(text=b"secure-join: vc-request", further=b"Secure-Join: vc-request\r\n"),
    ],
)
def test_attack_102_what_only_looks_like_joining_is_clear_text(octets):
    assert (verdict(octets, OUT), verdict(octets, IN)) == (523, 523)


# who has written it, and to whom


@pytest.mark.parametrize(
    ("octets", "mail_from", "code"),
    [
        (mail(), ALICE, 250),
        (mail(), Address("Alice1234", "chat.test"), 250),
        (mail(sender="ALICE1234@Chat.Test"), ALICE, 250),
        (mail(), BOB, 500),
        (mail(), None, 500),
        (mail(sender="someone@example.org"), ALICE, 500),
        (plain(sender="someone@example.org"), ALICE, 500),
        (mail().replace(b"From: <alice1234@chat.test>\r\n", b""), ALICE, 500),
        (mail(sender="alice1234@chat.test>, <bob456789@chat.test"), ALICE, 500),
        (mail(further=b"From: <bob456789@chat.test>\r\n"), ALICE, 500),
    ],
)
def test_what_goes_out_is_in_the_author_s_name(octets, mail_from, code):
    assert verdict(octets, OUT, mail_from) == code


def test_the_texts_of_wrong_names_are_those_of_the_relay():
    assert judge(mail(), OUT, BOB, [ALICE]).text == "Invalid FROM alice1234@chat.test for bob456789@chat.test"
    assert judge(b"\r\nx", OUT, BOB, [ALICE]).text.startswith("Invalid FROM header")


def test_authors_at_addresses_of_machines():
    assert author_of([b"<user@[127.0.0.1]>"]) == Address("user", "[127.0.0.1]")


@pytest.mark.parametrize(
    ("sender", "submitted", "code"),
    [
        ("MAILER-DAEMON@other.test", b"Auto-Submitted: auto-replied\r\n", 250),
        ("mailer-daemon@other.test", b"Auto-Submitted: x\r\n", 250),
        ("MAILER-DAEMON@other.test", b"", 523),
        ("MAILER-DAEMON@other.test", b"Auto-Submitted:\r\n", 523),
        ("postmaster@other.test", b"Auto-Submitted: auto-replied\r\n", 523),
    ],
)
def test_reports_of_servers_come_in(sender, submitted, code):
    assert verdict(report(sender, submitted), IN, None) == code


def test_some_may_send_or_get_clear_text():
    assert verdict(plain(), OUT, cleartext_senders=["alice1234@chat.test"]) == 250
    assert verdict(plain(), OUT, cleartext_senders=["bob456789@chat.test"]) == 523
    to_company = [Address("x", "example.com"), Address("y", "example.com")]
    assert verdict(plain(), OUT, to=to_company, cleartext_recipients=["@example.com"]) == 250
    assert verdict(plain(), OUT, to=[Address("x", "sub.example.com")], cleartext_recipients=["@example.com"]) == 523
    assert verdict(plain(), OUT, to=[*to_company, BOB], cleartext_recipients=["@example.com"]) == 523
    assert verdict(plain(), OUT, to=[BOB], cleartext_recipients=[BOB.key]) == 250
    assert verdict(plain(), OUT, to=[], cleartext_recipients=[BOB.key]) == 523
    assert verdict(plain(), IN, to=[BOB], accepts_cleartext=lambda address: address == BOB) == 250
    assert verdict(plain(), IN, to=[BOB, ALICE], accepts_cleartext=lambda address: address == BOB) == 523
