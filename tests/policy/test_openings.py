"""Which names and passwords new accounts may have, and when there is room."""

import dataclasses

import pytest

from mailstead.model.address import Address
from mailstead.model.directory import MIB, DomainTerms
from mailstead.model.secret import Secret
from mailstead.model.verdict import Decision
from mailstead.policy.openings import HouseFacts, has_room, may_open
from mailstead.policy.profiles import PROFILES

CHAT = dataclasses.replace(DomainTerms(**PROFILES["chatmail"]), username_length_min=6, username_length_max=10)


def verdict(name, password="nine chars", **terms):
    return may_open(dataclasses.replace(CHAT, **terms), Address(name, "chat.test"), Secret(password))


@pytest.mark.parametrize("name", ["abcdef", "abcdefg", "abcdefghij", "a.b-c_d", "123456789"])
def test_names_that_can_be_had(name):
    assert verdict(name).decision is Decision.ALLOW


@pytest.mark.parametrize(
    "name",
    ["abcde", "abcdefghijk", "Abcdef", "abc def", "abc+def", "abcdef!", "abc@def", "abc/def", "abc\\def", "абвгде",
     "postmaster", "webmaster", "hostmaster", "security"],
)  # fmt: skip
def test_names_that_cannot(name):
    found = verdict(name)
    assert (found.decision, bool(found.reasons[0])) == (Decision.REFUSE, True)


def test_names_of_the_house_are_reserved_whatever_the_lengths():
    for name in ("mailer-daemon", "dmarc-reports", "abuse", "root"):
        assert verdict(name, username_length_min=1, username_length_max=64).decision is Decision.REFUSE


@pytest.mark.parametrize("password", ["123456789", '"quotes" & \\', "a/b/c d e f", "пароль-да", "x" * 200])
def test_any_password_of_that_length_will_do(password):
    assert verdict("abcdef", password).decision is Decision.ALLOW


def test_a_short_password_will_not():
    assert "at least 9" in verdict("abcdef", "12345678").reasons[0]
    assert verdict("abcdef", "admin", password_length_min=8).decision is Decision.REFUSE


def test_an_invitation_is_the_beginning_of_the_password():
    tokens = {"invite_tokens": ("friends", "family")}
    assert verdict("abcdef", "family-and-more", **tokens).decision is Decision.ALLOW
    for password in ("friend-without-s", "my friends only", "no invitation"):
        assert "invitation" in verdict("abcdef", password, **tokens).reasons[0]


@pytest.mark.parametrize(
    ("facts", "decision", "said"),
    [
        (HouseFacts(), Decision.ALLOW, ""),
        (HouseFacts(False, 5.0, 200 * MIB, 1024 * MIB), Decision.ALLOW, ""),
        (HouseFacts(is_closed=True), Decision.REFUSE, "no new accounts"),
        (HouseFacts(load=5.01), Decision.DEFER, "load avg 5.01 > 5"),
        (HouseFacts(memory_available_octets=199 * MIB), Decision.DEFER, "available memory 199 MB < 200 MB"),
        (HouseFacts(disk_free_octets=1023 * MIB), Decision.DEFER, "free disk 1023 MB < 1024 MB"),
        (HouseFacts(load=9.0, disk_free_octets=0), Decision.DEFER, "load"),
    ],
)
def test_attack_101_there_is_no_room_above_the_marks(facts, decision, said):
    found = has_room(CHAT, facts)
    assert found.decision is decision
    assert said in " ".join(found.reasons)


def test_a_domain_that_opens_none_is_closed():
    assert has_room(DomainTerms(), HouseFacts()).decision is Decision.REFUSE
