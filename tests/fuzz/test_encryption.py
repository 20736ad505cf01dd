"""Damaged mail is judged, and what is let through as encrypted really has the shape of it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailstead.mime import openpgp
from mailstead.model.address import Address
from mailstead.policy.encryption import Direction, judge, structural_flaw
from mailstead.policy.privacy import outgoing, stored
from policy.pgp import MESSAGE, armored, data, mail, packet, secure_join, session_key, setup_message

ALICE = Address("alice1234", "chat.test")
changes = st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=5)
MAILS = [mail(), secure_join(), setup_message()]


def damaged(octets, changed, cut=0):
    octets = bytearray(octets)
    for position, value in changed:
        octets[position % len(octets)] = value
    return bytes(octets[: len(octets) - cut])


@given(st.sampled_from(MAILS), changes, st.integers(0, 200), st.sampled_from(Direction))
def test_attack_102_damaged_mail_is_judged(octets, changed, cut, direction):
    judged = judge(damaged(octets, changed, cut), direction, ALICE, [ALICE])
    assert judged.code in {250, 500, 523}
    assert (judged.kind == "cleartext") == (not judged.is_allowed)


def is_well_formed(octets):
    """Say the same by the simplest of parsers, which holds everything and takes the new form only."""
    at = 0
    while at < len(octets):
        if octets[at] & 0xC0 != 0xC0:
            return None
        tag, at, size, is_partial = octets[at] & 0x3F, at + 1, 0, True
        if tag not in {1, 3, 18}:
            return False
        while is_partial:
            if at >= len(octets):
                return False
            first = octets[at]
            is_partial = 224 <= first < 255
            if first < 192 or is_partial:
                size, at = (1 << (first & 31) if is_partial else first), at + 1
            elif first < 224:
                if at + 1 >= len(octets):
                    return False
                size, at = (first - 192 << 8) + octets[at + 1] + 192, at + 2
            else:
                if at + 5 > len(octets):
                    return False
                size, at = int.from_bytes(octets[at + 1 : at + 5], "big"), at + 5
            at += size
        if tag == 18:
            return at == len(octets)
    return False


packets = st.lists(
    st.builds(
        packet,
        st.sampled_from([1, 3, 18, 18, 11, 8]),
        st.binary(min_size=1, max_size=700),
        st.sampled_from(["new", "five"]),
    )
    | st.just(packet(18, b"x" * 600, "partial")),
    max_size=4,
).map(b"".join)


@given(packets, st.integers(0, 6), changes | st.just([]), st.sampled_from([17, 40, 66, 1 << 18]))
@example(session_key() + data(), 0, [], 40)
@example(b"", 0, [], 40)
def test_packets_are_followed_as_the_simplest_parser_does(octets, cut, changed, chunk):
    """Whatever pieces the base64 is read in."""
    octets = octets[: len(octets) - cut]
    if changed and octets:
        octets = damaged(octets, changed)
    wanted = is_well_formed(octets)
    if wanted is None:
        return  # the old form: the parser above does not know it
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openpgp, "_CHUNK_OCTETS", chunk)
        try:
            openpgp.check_encrypted(armored(octets, checksum=False), takes_armor_headers=False)
            found = True
        except openpgp.Flaw:
            found = False
    assert found == bool(wanted)


@given(changes)
def test_attack_102_damaged_armor_is_never_more_than_it_was(changed):
    octets = damaged(armored(MESSAGE), changed)
    if structural_flaw(mail(octets), Direction.OUTGOING) is None:
        assert octets.startswith(b"-----BEGIN PGP MESSAGE-----\r\n")
        assert octets.rstrip(b"\r\n").endswith(b"-----END PGP MESSAGE-----")


@given(
    st.lists(st.sampled_from([b"Received: x\r\n", b"Subject: y\r\n z\r\n", b"To: a\r\n", b"x", b"\n", b"\r\n", b":"]))
)
def test_attack_104_headers_lose_lines_and_nothing_else(pieces):
    header = b"".join(pieces)
    once = stored(header)
    assert stored(once) == once
    assert outgoing(outgoing(header)) == outgoing(header)
    assert len(once) <= len(header)
