"""What the library is trusted with: the forms that EFAIL lived on give nothing, key bombs become small keys."""

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailstead.mime.openpgp import Flaw
from mailstead.model.errors import PolicyRefused
from mailstead.usecases import openpgp_engine as engine
from mailstead.usecases.openpgp_engine import Checked

VECTORS = Path(__file__).parent / "openpgp"
MESSAGE = b"Content-Type: text/plain\r\n\r\nThe secret\r\n"
NOW = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.fixture(scope="module")
def alice():
    return engine.unlocked(engine.make_secret("Alice <alice@example.test>"), "")


@pytest.fixture(scope="module")
def bob():
    return engine.unlocked(engine.make_secret("Bob <bob@else.test>"), "")


def binary(armored):
    lines = armored.decode().strip().splitlines()
    start = lines.index("") + 1
    return base64.b64decode("".join(line for line in lines[start:-1] if not line.startswith("=")))


def test_what_is_encrypted_and_signed_comes_back_with_its_signer(alice, bob):
    sent = bob.encrypt(MESSAGE, [alice.public, bob.public], signs=True)
    opened = alice.decrypt(sent, [bob.public])
    assert (opened.octets, opened.checked, opened.signer) == (MESSAGE, Checked.GOOD, bob.fingerprint)
    assert bob.decrypt(sent).octets == MESSAGE
    assert alice.decrypt(sent, [alice.public]).checked is Checked.UNKNOWN_KEY
    assert alice.decrypt(bob.encrypt(MESSAGE, [alice.public], signs=False), [bob.public]).checked is Checked.NONE
    assert "The secret" not in repr(opened)


def test_who_is_no_recipient_reads_nothing(alice, bob):
    with pytest.raises(Flaw, match="not encrypted for the key"):
        alice.decrypt(bob.encrypt(MESSAGE, [bob.public], signs=False))


def packets(octets):
    """Cut binary packets with lengths in the new form, whole or in pieces."""
    at = 0
    while at < len(octets):
        begin, at = at, at + 1
        while True:
            first = octets[at]
            if first < 192:
                at += 1 + first
            elif first < 224:
                at += 2 + (first - 192 << 8) + octets[at + 1] + 192
            elif first == 255:
                at += 5 + int.from_bytes(octets[at + 1 : at + 5])
            else:
                at += 1 + (1 << (first & 31))
                continue
            break
        yield octets[begin:at]


@pytest.fixture(scope="module")
def victim():
    return engine.unlocked(VECTORS.joinpath("victim.key").read_bytes(), "")


def vector(name):
    """Give a message that GnuPG made; see README.md there."""
    return VECTORS.joinpath(f"{name}.pgp").read_bytes()


def test_attack_088_a_message_without_protection_gives_nothing(victim):
    assert b"EFAIL was after" in victim.decrypt(vector("protected")).octets
    with pytest.raises(Flaw, match="not protected"):
        victim.decrypt(vector("unprotected"))


def test_attack_088_a_message_whose_protection_was_cut_off_gives_nothing(victim):
    """CVE-2017-17688: what is protected (tag 18) as what is not (tag 9), with and without its checksum."""
    *sessions, data = packets(vector("protected"))
    assert data[0] & 0x3F == 18
    body = data[2:]
    assert body[0] == 1  # version of the packet; behind it the same CFB as in tag 9
    for kept in (body[1:], body[1:-22]):
        head = bytes([0xC9, 0xFF]) + len(kept).to_bytes(4, "big")
        with pytest.raises(Flaw, match=r"nothing of it is shown|not encrypted"):
            victim.decrypt(b"".join(sessions) + head + kept)


@pytest.mark.parametrize("from_end", [1, 10, 21, 22, 30, 50])
def test_attack_088_cfb_gadgets_give_nothing(victim, from_end):
    whole = bytearray(vector("protected"))
    whole[-from_end] ^= 1
    with pytest.raises(Flaw):
        victim.decrypt(bytes(whole))


def test_a_signature_below_a_compression_is_told_as_unchecked(victim):
    opened = victim.decrypt(vector("compressed_signed"), [victim.public])
    assert b"EFAIL was after" in opened.octets
    assert opened.checked is Checked.UNCHECKED


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8, 0.99])
def test_attack_088_a_message_that_was_changed_gives_nothing(alice, bob, place):
    """CFB gadgets: any octet behind the session keys."""
    whole = binary(bob.encrypt(MESSAGE * 50, [alice.public], signs=False))
    begin = next(iter(packets(whole)))
    at = len(begin) + int((len(whole) - len(begin) - 1) * place)
    changed = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
    with pytest.raises(Flaw):
        alice.decrypt(changed)


def test_attack_088_a_message_that_was_cut_gives_nothing(alice, bob):
    whole = binary(bob.encrypt(MESSAGE * 5000, [alice.public], signs=False))
    for kept in (len(whole) // 2, len(whole) - 1, len(whole) - 22):
        with pytest.raises(Flaw):
            alice.decrypt(whole[:kept])


def test_detached_signatures_are_told_apart(alice, bob):
    signature = bob.sign(MESSAGE)
    assert engine.checked_detached(MESSAGE, signature, [bob.public]) == (Checked.GOOD, bob.fingerprint)
    assert engine.checked_detached(MESSAGE + b"x", signature, [bob.public])[0] is Checked.BAD
    assert engine.checked_detached(MESSAGE, signature, [alice.public])[0] is Checked.UNKNOWN_KEY
    assert engine.checked_detached(MESSAGE, b"no signature", [bob.public])[0] is Checked.BAD


def test_text_signed_within_itself_gives_only_what_is_covered(bob):
    from pysequoia import SignatureMode, sign

    octets = sign(bob._signer, b"Covered\n", mode=SignatureMode.CLEAR)
    opened, checked = engine.checked_inline(octets, [bob.public])
    assert (opened.octets.strip(), checked) == (b"Covered", Checked.GOOD)
    assert engine.checked_inline(octets.replace(b"Covered", b"Cowered"), [bob.public]) == (None, Checked.BAD)


def test_a_revoked_key_says_so_and_is_not_to_be_used(bob):
    (key,) = engine.public_keys(bob.revoked())
    assert key.is_revoked
    assert not key.can_be_used(NOW)
    (good,) = engine.public_keys(engine.armored(bob.public).encode())
    assert good.addresses == ("bob@else.test",)
    assert good.can_be_used(NOW)


def test_an_expired_key_is_not_to_be_used():
    from pysequoia import Tsk

    tsk = Tsk.generate("Old <old@else.test>", validity_seconds=3600)
    (key,) = engine.public_keys(bytes(tsk.extract_certificate()))
    assert key.can_be_used(key.expires_at - timedelta(seconds=1))
    assert not key.can_be_used(key.expires_at)


def test_attack_103_what_others_have_said_of_a_key_is_left_out(alice, bob):
    from pysequoia import Cert

    cert = Cert.from_bytes(bob.public)
    bombed = bytes(cert.add_user_id("Evil <evil@else.test>", alice._certifier))
    assert len(bombed) > len(bob.public)
    (key,) = engine.public_keys(bombed)
    assert key.addresses == ("bob@else.test",)


@pytest.mark.parametrize("text", [b"", b"junk", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n", b"x" * 600_000])
def test_attack_103_what_is_no_key_is_told(text):
    with pytest.raises(Flaw):
        engine.public_keys(text)


def test_a_secret_key_is_not_taken_for_a_public_one():
    with pytest.raises(Flaw, match="secret"):
        engine.public_keys(engine.make_secret("x"))


def test_no_secret_is_in_a_repr(alice):
    assert repr(alice) == f"SecretKey({alice.fingerprint})"


def test_a_key_that_cannot_be_encrypted_to_is_told(alice):
    from pysequoia import Cert
    from pysequoia.packet import PacketPile, Tag

    pile = list(PacketPile.from_bytes(alice.public))
    first = next(number for number, each in enumerate(pile) if each.tag == Tag.PublicSubkey)
    lame = bytes(Cert.from_packets(pile[:first]))
    with pytest.raises(PolicyRefused):
        alice.encrypt(MESSAGE, [lame], signs=False)
