"""Where mail from another provider goes, by special use, by name, by label."""

import pytest

from mailstead.model.mailbox import normal_name
from mailstead.policy.label_names import keyword_of
from mailstead.policy.remote_mailboxes import Place, covered, fitting, labelled, place_of, suggested


@pytest.mark.parametrize(
    ("levels", "special_use", "place"),
    [
        (["INBOX"], None, (None, "INBOX")),
        (["inbox"], None, (None, "INBOX")),
        (["Gesendet"], "\\Sent", ("\\Sent", "Sent")),
        (["Sent Items"], None, ("\\Sent", "Sent")),
        (["보낸편지함"], None, ("\\Sent", "Sent")),
        (["INBOX", "Deleted Messages"], None, ("\\Trash", "Trash")),
        (["Work", "Sent"], None, (None, "Work/Sent")),
        (["[Gmail]", "All Mail"], "\\All", ("\\Archive", "Archive")),
        (["[Gmail]", "Spam"], "\\Junk", ("\\Junk", "Junk")),
        (["[Gmail]", "Important"], "\\Important", (None, "Important")),
        (["INBOX", "Lists", "a"], None, (None, "Lists/a")),
        (["Lists", "a/b"], None, (None, "Lists/a_b")),
        (["100%*"], None, (None, "100__")),
        (["", "x", ""], None, (None, "x")),
        ([""], None, (None, "Imported")),
        (["a\x00b"], None, (None, "a_b")),
    ],
)
def test_a_mailbox_has_its_place(levels, special_use, place):
    assert place_of(levels, special_use) == Place(*place)


@pytest.mark.parametrize("name", ["", "/", "a//b", "x" * 2000, "/".join("x" * 60), "\u2028", "a%b/\x07", "../../etc"])
def test_attack_051_every_name_becomes_one_that_mailboxes_have_here(name):
    assert normal_name(fitting(name)) == fitting(name)


def test_what_shows_only_others_mail_junk_and_trash_is_not_suggested():
    mailboxes = [
        ("INBOX", None),
        ("A", "\\All"),
        ("F", "\\Flagged"),
        ("S", "\\Sent"),
        ("J", "\\Junk"),
        ("T", "\\Trash"),
    ]
    assert suggested(mailboxes, by_labels=False) == {"INBOX", "S"}
    assert suggested(mailboxes, by_labels=True) == {"A"}
    hidden = [each for each in mailboxes if each[0] != "A"]  # who has hidden "All Mail" from IMAP gets its labels
    assert suggested(hidden, by_labels=True) == {"INBOX", "S"}
    assert [covered(special_use) for special_use in (None, "\\Sent", "\\All", "\\Junk", "\\Trash")] == [
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("labels", "name", "flags"),
    [
        ((), "Archive", set()),
        (("\\Inbox",), "INBOX", set()),
        (("\\Inbox", "\\Sent", "Work"), "INBOX", {"Work"}),
        (("\\Sent", "\\Starred"), "Sent", {"\\Flagged"}),
        (("\\Draft", "\\Inbox"), "Drafts", set()),
        (("\\Important",), "Archive", {"$Important"}),
        (("b", "a/c", "(d) e"), "(d) e", {"b", "a/c"}),
        (("Работа", "여행"), "Работа", {"여행".encode("idna").decode()}),
        (("a", "я" * 100), "a", {keyword_of("я" * 58)}),
        (("x", "y" * 100), "x", {"y" * 64}),
    ],
)
def test_labels_say_one_place_and_the_others_become_keywords(labels, name, flags):
    found = labelled(labels)
    assert (found.place.name, found.flags) == (name, flags)
