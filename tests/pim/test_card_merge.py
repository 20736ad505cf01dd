"""Several contacts made one: nothing that they say is lost, nothing is said twice, and the first stays who he is."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.pim.card_differences import differences
from mailstead.pim.card_form import Labelled
from mailstead.pim.card_likeness import folded_email, folded_phone
from mailstead.pim.card_merge import merged
from mailstead.pim.card_sheet import photo, sheet
from mailstead.pim.component import unescaped
from mailstead.pim.vcard import card

GOLDEN = Path(__file__).parents[1] / "golden" / "pim"
CARDS = [each for each in sorted(GOLDEN.glob("*.vcf")) if each.read_bytes().count(b"BEGIN:VCARD") == 1]


def vcard(*lines, uid="one", version="3.0"):
    head = ["BEGIN:VCARD", f"VERSION:{version}", f"UID:{uid}"]
    return card("\r\n".join([*head, *lines, "END:VCARD", ""]).encode())


def one_of(*cards, **choices):
    return card(merged(cards, choices))


def values(found, name):
    return [unescaped(each.value) for each in found.component.all(name)]


def test_the_first_stays_and_what_others_say_comes_to_it():
    ada = vcard(
        "FN:Ada Lovelace", "N:Lovelace;Ada;;;", "EMAIL;TYPE=home:ada@home.test", "TEL:+44 20 7946 0958", "REV:1"
    )
    other = vcard(
        "FN:Ada King", "N:King;Ada;;;", "EMAIL;TYPE=work:ADA@HOME.test", "EMAIL:ada@engines.test", "ORG:Engines",
        "TEL;TYPE=CELL:0044-20-79460958", "BDAY:1815-12-10", "X-SOMETHING;A=b:kept", "REV:2", uid="two",
    )  # fmt: skip
    found = one_of(ada, other)
    assert (found.uid, found.version, values(found, "REV")) == ("one", "3.0", ["1"])
    said = sheet(found)
    assert (said.full_name, said.name.family, said.organisation, said.birthday) == (
        "Ada Lovelace", "Lovelace", "Engines", "1815-12-10",
    )  # fmt: skip
    assert said.emails == [Labelled("ada@home.test", "home"), Labelled("ada@engines.test")]
    assert said.phones == [Labelled("+44 20 7946 0958", "cell")]  # what it is for, the other knew
    assert values(found, "X-SOMETHING") == ["kept"]


def test_what_differs_is_chosen_and_its_parts_go_together():
    one = vcard("FN:Ada Lovelace", "N:Lovelace;Ada;;;", "TITLE:Analyst", "ORG:A;B", "BDAY:1815-12-10")
    two = vcard("FN:Ada King", "N:King;Ada;;;", "TITLE:analyst", "ORG:C", "BDAY:18151210", "ROLE:R", uid="two")
    assert [(each.part, each.texts) for each in differences([one, two])] == [
        ("name", ("Ada Lovelace", "Ada King")),
        ("organisation", ("A · B", "C")),
    ]
    found = one_of(one, two, name=1, organisation=1, title=7)
    assert (values(found, "FN"), values(found, "N"), values(found, "ORG")) == (["Ada King"], ["King;Ada;;;"], ["C"])
    assert (values(found, "TITLE"), values(found, "ROLE")) == (["Analyst"], ["R"])
    assert values(one_of(one, two, role=0), "ROLE") == ["R"]  # who says nothing is not taken


def test_the_same_name_in_other_parts():
    plain = vcard("FN:Ada Lovelace", "N:;;;;")
    parted, otherwise = vcard("FN:ada lovelace", "N:Lovelace;Ada;;;"), vcard("FN:Ada Lovelace", "N:Ada;Lovelace;;;")
    assert differences([plain, parted]) == []
    assert values(one_of(plain, parted), "N") == ["Lovelace;Ada;;;"]
    assert differences([plain, parted, otherwise])[0].texts == (
        "Ada Lovelace",
        "ada lovelace (Lovelace · Ada)",
        "Ada Lovelace (Ada · Lovelace)",
    )


def test_notes_nicknames_and_groups_are_joined():
    one = vcard("FN:A", "NOTE:met in\\, Paris", "CATEGORIES:Friends,Chess", "NICKNAME:Al")
    two = vcard("FN:A", "NOTE:likes tea", "CATEGORIES:chess,Work", "NICKNAME:al,Ally", uid="two")
    three = vcard("FN:A", "NOTE:likes tea", uid="three")
    found = sheet(one_of(one, two, three))
    assert (found.note, found.groups, found.nickname) == (
        "met in, Paris\nlikes tea", ["Friends", "Chess", "Work"], "Al, Ally",
    )  # fmt: skip


def test_labels_of_apple_stay_with_what_they_are_beside():
    one = vcard("FN:A", "item1.EMAIL:a@x.test", "item1.X-ABLabel:Club")
    two = vcard("FN:A", "item1.EMAIL:b@x.test", "item1.X-ABLabel:Boat", "item2.EMAIL:A@x.test", "item2.X-ABLabel:Z")
    assert sheet(one_of(one, two)).emails == [Labelled("a@x.test", "Club"), Labelled("b@x.test", "Boat")]
    assert b"Z\r\n" not in merged([one, two], {})  # of what is not there twice, nothing is left lying about


def test_of_two_preferred_ones_that_of_the_first_is_it():
    one = vcard("FN:A", "EMAIL;TYPE=pref:a@x.test")
    two = vcard("FN:A", "EMAIL;PREF=1;TYPE=work:b@x.test", "TEL;PREF=1:4711111", version="4.0", uid="two")
    found = one_of(one, two)
    assert [each.parameter("TYPE") for each in found.component.all("EMAIL")] == ["pref", "WORK"]
    assert [each.parameter("TYPE") for each in found.component.all("TEL")] == ["PREF"]


def test_versions_pictures_and_alternatives():
    gif = "R0lGODlhAQABAAAAACw="
    old = vcard("FN:A", f"PHOTO;ENCODING=b;TYPE=GIF:{gif}")
    new = vcard(
        "FN;ALTID=1;LANGUAGE=en:A", "PHOTO:data:image/gif;base64," + gif, "KIND:individual", "CLIENTPIDMAP:1;urn:x",
        "EMAIL;PID=1.1;ALTID=1:a@x.test", version="4.0", uid="two",
    )  # fmt: skip
    assert differences([old, new]) == []
    assert photo(one_of(old, new)) == photo(new)
    for found in (one_of(old, new), one_of(new, old)):
        assert len(list(found.component.all("PHOTO"))) == 1
    again = one_of(new, vcard("FN:A", "EMAIL;ALTID=1;PID=1.1:b@x.test", version="4.0", uid="three"))
    mine, other = again.component.all("EMAIL")
    assert mine.parameter("ALTID") != other.parameter("ALTID")
    assert (mine.parameter("PID"), other.parameter("PID")) == ("1.1", None)
    assert len(list(again.component.all("CLIENTPIDMAP"))) == 1


@pytest.mark.parametrize("file", CARDS, ids=lambda file: file.name)
def test_who_is_merged_with_himself_stays_as_he_is(file):
    found = card(file.read_bytes())
    again = one_of(found, found)
    assert sheet(again) == sheet(found)
    assert len(again.component.properties) <= len(found.component.properties)


@pytest.mark.parametrize("one", CARDS, ids=lambda file: file.name)
def test_cards_of_all_programs_can_be_merged(one):
    for two in CARDS:
        first, second = card(one.read_bytes()), card(two.read_bytes())
        found = one_of(first, second)
        assert (found.uid, found.version) == (first.uid, first.version)
        kept = {folded_email(each.value) for each in sheet(found).emails}
        assert kept == {folded_email(each.value) for of in (first, second) for each in sheet(of).emails}
        for prop in first.component.properties:
            if prop.name.startswith("X-") and prop.name not in {"X-ABLABEL", "X-ABADR"} and prop.value.strip("; "):
                assert prop.value in [each.value for each in found.component.all(prop.name)] or prop.name in {
                    "X-PHONETIC-FIRST-NAME", "X-PHONETIC-LAST-NAME", "X-ABSHOWAS", "X-ANNIVERSARY",
                }, prop  # fmt: skip


LOCAL = st.sampled_from(["a", "A", "b", "c"])
PHONE = st.sampled_from(["+49 30 1", "0049301", "tel:+49301", "030 1", "Ext 5"])
WORD = st.text(st.characters(blacklist_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=8)
VCARD = st.builds(
    lambda version, uid, emails, phones, groups, notes: vcard(
        "FN:A",
        *(f"EMAIL:{each}@x.test" for each in emails),
        *(f"TEL:{each}" for each in phones),
        *(["CATEGORIES:" + ",".join(_escaped(each) for each in groups)] if groups else []),
        *(f"NOTE:{_escaped(each)}" for each in notes),
        uid=uid,
        version=version,
    ),
    st.sampled_from(["3.0", "4.0"]), st.sampled_from(["u1", "u2", "u3"]), st.lists(LOCAL, max_size=4),
    st.lists(PHONE, max_size=4), st.lists(WORD, max_size=3), st.lists(WORD, max_size=1),
)  # fmt: skip


def _escaped(text):
    return text.replace("\\", "\\\\").replace(",", "\\,").replace(";", "\\;")


@given(st.lists(VCARD, min_size=2, max_size=5))
def test_nothing_is_lost_and_nothing_is_doubled(cards):
    found, said = one_of(*cards), [sheet(each) for each in cards]
    together = sheet(found)
    assert (found.uid, found.version) == (cards[0].uid, cards[0].version)
    for kind, folded in (("emails", folded_email), ("phones", folded_phone)):
        kept = [folded(each.value) for each in getattr(together, kind)]
        assert set(kept) == {folded(each.value) for of in said for each in getattr(of, kind)}
        own = [folded(each.value) for each in getattr(said[0], kind)]
        assert len(kept) == len(own) + len(set(kept) - set(own))  # what is new comes once
    assert {each.casefold() for each in together.groups} == {each.casefold() for of in said for each in of.groups}
    for each in said:
        assert each.note in together.note
    assert card(merged([found, *cards[1:]], {})).component == found.component  # once more changes nothing
