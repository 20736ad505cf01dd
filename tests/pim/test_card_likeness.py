"""Who may be the same person: by address, number and name, and not by what a whole house shares."""

import pytest

from mailstead.pim.card_form import Labelled
from mailstead.pim.card_likeness import TOGETHER_MAX, Likeness, folded_name, folded_phone, likenesses
from mailstead.pim.card_sheet import CardSheet


def who(name, *addresses, phones=()):
    return CardSheet(name, emails=[Labelled(each) for each in addresses], phones=[Labelled(each) for each in phones])


def test_by_address_number_and_name():
    sheets = [
        who("Ada Lovelace", "ada@engines.test"),
        who("Bob", phones=["+44 20 7946 0958"]),
        who("LOVELACE, Áda"),
        who("Robert", phones=["0044 (0)20-7946-0958"]),
        who("The countess", "ADA@engines.test"),
        who("Carol", "carol@x.test", phones=["12"]),
        who("Dave", "", phones=["12", ""]),
        who("", ""),
        who(""),
    ]
    assert likenesses(sheets) == [Likeness((0, 2, 4), ("email", "name")), Likeness((1, 3), ("phone",))]
    assert likenesses([]) == []


def test_what_a_house_shares_makes_nobody_the_same():
    house = [who(f"P{each}", "info@house.test", phones=["+49 30 123456"]) for each in range(TOGETHER_MAX + 1)]
    assert likenesses(house) == []
    assert likenesses(house[:-1]) == [Likeness(tuple(range(TOGETHER_MAX)), ("email", "phone"))]


def test_a_chain_does_not_grow_without_end():
    chain = [who(f"P{each}", f"m{each}@x.test", f"m{each + 1}@x.test") for each in range(20)]
    found = likenesses(chain)
    assert all(2 <= len(each.places) <= TOGETHER_MAX for each in found)
    assert sum(len(each.places) for each in found) == len({place for each in found for place in each.places}) == 20


def test_many_contacts_take_no_time_by_pairs():
    sheets = [who(f"Name {each % 5000}", f"m{each}@x.test") for each in range(10_000)]
    assert len(likenesses(sheets)) == 5000


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Ada Lovelace", "lovelace,  ada", True),
        ("Émilie", "emilie", True),
        ("김영희", "김영희", True),
        ("かき", "がき", False),
        ("Ann", "Anne", False),
    ],
)
def test_names_without_what_programs_write_otherwise(one, other, same):
    assert (folded_name(one) == folded_name(other)) is same


def test_numbers_without_what_people_write_between():
    assert folded_phone("tel:+49-30-12") == folded_phone("0049 30/12") == folded_phone("+49 (0)30 12") == "+493012"
    assert folded_phone("030 12") == "03012"
    assert folded_phone("1-800-FLOWERS") == "1-800-flowers"
