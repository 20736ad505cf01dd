"""Laws of published keys: garbage gives octets or a flaw, packets come back, no secret and no other address gets out."""

import base64
import contextlib

from hypothesis import given
from hypothesis import strategies as st

from mailstead.mime.openpgp import Flaw
from mailstead.mime.openpgp_keys import PUBLIC_KEY, SECRET_KEY, SECRET_SUBKEY, USER_ID, Packet, packets, published

ADDRESS = "alice@example.test"
OTHERS = "mallory@other.test"
USER_IDS = st.sampled_from([f"A <{ADDRESS}>", ADDRESS, f"M <{OTHERS}>", OTHERS, f"{ADDRESS} <{OTHERS}>", ""])
PACKETS = st.one_of(
    st.builds(Packet, st.sampled_from([2, 6, 12, 14, 17, 21]), st.binary(max_size=300)),
    st.builds(Packet, st.integers(0, 63), st.binary(max_size=20)),
    USER_IDS.map(lambda text: Packet(USER_ID, text.encode())),
)


def armored(octets):
    text = base64.encodebytes(octets).decode()
    return f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{text}-----END PGP PUBLIC KEY BLOCK-----\n"


def check(text):
    with contextlib.suppress(Flaw):
        found = packets(armored(published(text, ADDRESS)))
        assert found[0].tag == PUBLIC_KEY
        assert not {each.tag for each in found} & {SECRET_KEY, SECRET_SUBKEY}
        for each in found:
            if each.tag == USER_ID:
                assert not each.body.decode().endswith((OTHERS, f"{OTHERS}>"))


@given(st.lists(PACKETS, max_size=12))
def test_whatever_packets_there_are_only_a_public_key_of_the_address_gets_out(found):
    check(armored(b"".join(each.octets for each in [Packet(PUBLIC_KEY, b"key"), *found])))


@given(st.binary(max_size=400))
def test_octets_that_are_no_packets_are_a_flaw(octets):
    check(armored(octets))


@given(st.text(max_size=300))
def test_texts_that_are_no_armor_are_a_flaw(text):
    check(text)
    check(f"-----BEGIN PGP PUBLIC KEY BLOCK-----{text}-----END PGP PUBLIC KEY BLOCK-----")


@given(st.lists(st.builds(Packet, st.sampled_from([2, 6, 13, 14, 17]), st.binary(max_size=9000)), max_size=4))
def test_what_is_written_is_read_back(found):
    whole = [Packet(PUBLIC_KEY, b"key"), *found]
    assert packets(armored(b"".join(each.octets for each in whole))) == whole
