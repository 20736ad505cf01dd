"""Senders rewritten and found again; attacks on return addresses."""

import base64
import hashlib
import hmac
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.model.address import LOCAL_PART_OCTETS_MAX, Address
from mailstead.model.errors import NoSuchAddress
from mailstead.policy.srs import DAYS_MAX, Fault, Srs, SrsRefused, is_handle, is_rewritten

KEY = b"k" * 32
SRS = Srs([KEY])
TODAY = date(2026, 11, 27)
ALICE = Address.parse("alice@example.org")
OURS = "forward.test"


def fault_of(address, on=TODAY, srs=SRS):
    with pytest.raises(SrsRefused) as caught:
        srs.reverse(address, on)
    return caught.value.fault


def flipped(address, at):
    """Change one character of a local part into another that could stand there."""
    old = address.local_part[at]
    new = "7" if old != "7" else "6"
    return Address(address.local_part[:at] + new + address.local_part[at + 1 :], address.domain)


@pytest.mark.parametrize(
    ("sender", "rewritten"),
    [
        ("alice@example.org", "SRS0=@@=TL=example.org=alice"),
        ('"a b"@example.org', "SRS0=@@=TL=example.org=a b"),
        ("SRS0=HHH=TT=orig.test=bob@first.test", "SRS1=@@=first.test==HHH=TT=orig.test=bob"),
        ("srs0+HHH=TT=orig.test=bob@first.test", "SRS1=@@=first.test=+HHH=TT=orig.test=bob"),
        ("SRS1=HH=first.test==HHH=TT=orig.test=b@second.test", "SRS1=@@=first.test==HHH=TT=orig.test=b"),
    ],
)
def test_forms(sender, rewritten):
    found = SRS.forward(Address.parse(sender), OURS, TODAY)
    digest = found.local_part[5:21]
    assert found == Address(rewritten.replace("@@", digest), OURS)
    assert is_rewritten(found)


def test_the_hash_is_what_is_said_of_it():
    """Computed here from nothing but the description."""

    def expected(*covered):
        text = "\0".join((OURS, "739947", *covered)).encode()
        return base64.b32encode(hmac.new(KEY, text, hashlib.sha256).digest())[:16].decode()

    assert TODAY.toordinal() == 739947
    assert (
        SRS.forward(ALICE, OURS, TODAY).local_part
        == f"SRS0={expected('0', 'example.org', 'alice')}=TL=example.org=alice"
    )
    assert str(SRS.forward(ALICE, OURS, TODAY)) == "SRS0=YJUTJNEC3UGZ2EOC=TL=example.org=alice@forward.test"


def test_there_and_back():
    assert SRS.reverse(SRS.forward(ALICE, OURS, TODAY), TODAY) == ALICE


def test_a_second_hop_leads_back_to_the_first_one():
    first, second, third = (Srs([bytes([number]) * 32]) for number in (1, 2, 3))
    short = Address("b", "x.test")
    one = first.forward(short, "a.test", TODAY)
    two = second.forward(one, "b.test", TODAY)
    three = third.forward(two, "c.test", TODAY)
    assert two.local_part.startswith("SRS1=")
    assert len(three.local_part) == len(two.local_part)
    assert third.reverse(three, TODAY) == second.reverse(two, TODAY) == one
    assert first.reverse(one, TODAY) == short


def test_letter_case_means_nothing():
    address = SRS.forward(Address("Alice", "example.org"), OURS, TODAY)
    for local_part in (address.local_part.lower(), address.local_part.upper()):
        assert SRS.reverse(Address(local_part, OURS), TODAY).key == ALICE.key


@pytest.mark.parametrize("separator", "=+-")
def test_any_separator_may_come_back(separator):
    address = SRS.forward(ALICE, OURS, TODAY)
    assert SRS.reverse(Address(f"SRS0{separator}{address.local_part[5:]}", OURS), TODAY) == ALICE


def test_keys_are_rotated():
    old = SRS.forward(ALICE, OURS, TODAY)
    both = Srs([b"n" * 32, KEY])
    assert both.reverse(old, TODAY) == ALICE
    new = both.forward(ALICE, OURS, TODAY)
    assert new != old
    assert fault_of(new) is Fault.FORGED


@pytest.mark.parametrize("keys", [[], [b""], [KEY, b""]])
def test_there_must_be_a_key(keys):
    with pytest.raises(ValueError):
        Srs(keys)


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=40),
    st.sampled_from(["x.test", "example.org", "[192.0.2.1]", "a-rather-long-name.of-a-domain.example"]),
    st.integers(0, DAYS_MAX),
)
def test_every_sender_that_fits_is_found_again(local_part, domain, age):
    sender = Address(local_part, domain)
    address = SRS.forward(sender, OURS, TODAY)
    if address is None:
        assert len(f"{local_part}{domain}".encode()) > LOCAL_PART_OCTETS_MAX - 35
        return
    assert len(str(address).rpartition("@")[0].encode()) <= LOCAL_PART_OCTETS_MAX
    found = SRS.reverse(address, TODAY + timedelta(age))
    assert found == sender or local_part[:4].casefold() in {"srs0", "srs1"}


def test_a_sender_that_does_not_fit_has_a_handle():
    long = Address("x" * 38, "example.org")
    assert SRS.forward(long, OURS, TODAY) is None
    address = SRS.handle("a" * 39, OURS, TODAY)
    assert len(address.local_part) == LOCAL_PART_OCTETS_MAX
    assert is_rewritten(address)
    assert SRS.handle_of(Address(address.local_part.upper(), OURS), TODAY) == "a" * 39
    with pytest.raises(ValueError):
        SRS.handle("a" * 40, OURS, TODAY)


@pytest.mark.parametrize(
    "local_part", ["alice", "SRS", "SRS0", "SRS0=", "SRS0=x=y", "SRS1=a==b", "xSRS0=A=B=c=d", "srs2=x", ""]
)
def test_what_is_no_rewritten_address(local_part):
    assert fault_of(Address(local_part, OURS)) is Fault.NOT_SRS
    with pytest.raises(SrsRefused):
        SRS.handle_of(Address(local_part, OURS), TODAY)


def test_addresses_that_only_look_so_are_told():
    assert is_rewritten(Address("SRS0=anything", OURS))
    assert not is_rewritten(ALICE)
    assert not is_rewritten(Address("srsly", OURS))


def test_handles_are_told_from_the_others():
    assert is_handle(SRS.handle("x", OURS, TODAY))
    assert not is_handle(SRS.forward(ALICE, OURS, TODAY))


# Attacks


def test_attack_014_no_character_of_a_return_address_can_be_changed():
    for address in (
        SRS.forward(ALICE, OURS, TODAY),
        SRS.forward(Address("SRS0=HHH=TT=orig.test=bob", "first.test"), OURS, TODAY),
    ):
        for at in range(5, len(address.local_part)):
            if address.local_part[at] != "=":
                assert fault_of(flipped(address, at)) in {Fault.FORGED, Fault.NOT_SRS}, at


def test_attack_014_a_short_hash_is_not_enough():
    address = SRS.forward(ALICE, OURS, TODAY)
    digest = address.local_part[5:21]
    for cut in (digest[:4], digest[:15], "", digest + "A"):
        changed = address.local_part.replace(digest, cut)
        assert fault_of(Address(changed, OURS)) in {Fault.FORGED, Fault.NOT_SRS}


def test_attack_014_an_address_of_another_domain_or_form_is_forged():
    address = SRS.forward(ALICE, OURS, TODAY)
    assert fault_of(Address(address.local_part, "other.test")) is Fault.FORGED
    handle = SRS.handle("example.org=alice", OURS, TODAY)
    assert fault_of(Address(handle.local_part.replace("SRSH", "SRS0"), OURS)) is Fault.FORGED


@pytest.mark.parametrize("age", [0, 1, DAYS_MAX])
def test_attack_014_within_its_days_an_address_is_good(age):
    assert SRS.reverse(SRS.forward(ALICE, OURS, TODAY), TODAY + timedelta(age)) == ALICE
    assert SRS.reverse(SRS.forward(ALICE, OURS, TODAY + timedelta(1)), TODAY) == ALICE


@pytest.mark.parametrize("age", [DAYS_MAX + 1, 500, 1022])
def test_attack_014_an_old_address_has_expired(age):
    later = TODAY + timedelta(age)
    assert fault_of(SRS.forward(ALICE, OURS, TODAY), later) is Fault.EXPIRED
    again = SRS.forward(Address("SRS0=HHH=TT=orig.test=bob", "first.test"), OURS, TODAY)
    assert fault_of(again, later) is Fault.FORGED
    assert SRS.reverse(again, TODAY + timedelta(DAYS_MAX)).domain == "first.test"
    with pytest.raises(SrsRefused):
        SRS.handle_of(SRS.handle("x", OURS, TODAY), later)


@pytest.mark.parametrize("age", [1023, 1024, 1025, 2048])
def test_attack_014_an_old_address_is_not_good_again_when_the_days_come_round(age):
    assert fault_of(SRS.forward(ALICE, OURS, TODAY), TODAY + timedelta(age)) is Fault.FORGED


def test_attack_014_to_strangers_it_is_an_unknown_address():
    """The same answer as for any other that does not exist."""
    with pytest.raises(NoSuchAddress):
        SRS.reverse(Address("SRS0=AAAAAAAAAAAAAAAA=AA=victim.test=bob", OURS), TODAY)
