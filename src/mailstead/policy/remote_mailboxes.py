r"""Where mail from another provider goes: mailboxes by their special use, else by their names; labels of Gmail.

Spec: RFC 6154 §2 (special use), RFC 8457 (``\Important``, ``$Important``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from mailstead.model.errors import BadMailboxName
from mailstead.model.flags import FLAGGED, Flags
from mailstead.model.mailbox import DEFAULT_MAILBOXES, DELIMITER, INBOX, normal_name
from mailstead.policy.label_names import keyword_of

ALL: Final = "\\All"
ARCHIVE: Final = "\\Archive"
DRAFTS: Final = "\\Drafts"
SENT: Final = "\\Sent"
JUNK: Final = "\\Junk"
TRASH: Final = "\\Trash"
_VIEWS: Final = frozenset({ALL, "\\Flagged", "\\Important"})
"""Mailboxes of these show what lies elsewhere, too."""
_NOT_SUGGESTED: Final = _VIEWS | {JUNK, TRASH}
_DEFAULT_NAME: Final = {special_use: name for name, special_use in DEFAULT_MAILBOXES if special_use}
_WITHOUT_NAME: Final = "Imported"

_QUIRK_TOP_LEVELS: Final = frozenset({"[gmail]", "[google mail]"})
"""Gmail puts its own mailboxes below these, which hold nothing themselves."""

_BY_NAME: Final[Mapping[str, str]] = {
    name: special_use
    for special_use, names in (
        (
            SENT,
            "sent|sent items|sent messages|sent mail|gesendet|gesendete objekte|gesendete elemente|messages envoyés",
        ),
        (SENT, "éléments envoyés|envoyés|enviados|elementos enviados|отправленные|보낸편지함|보낸 편지함|보낸메일함"),
        (DRAFTS, "drafts|draft|entwürfe|brouillons|borradores|черновики|임시보관함|임시 보관함"),
        (TRASH, "trash|bin|deleted|deleted items|deleted messages|papierkorb|gelöschte objekte|gelöschte elemente"),
        (TRASH, "corbeille|éléments supprimés|papelera|elementos eliminados|корзина|удаленные|удалённые|휴지통"),
        (JUNK, "junk|spam|junk e-mail|junk email|junk mail|bulk mail|spamverdacht|courrier indésirable|indésirables"),
        (JUNK, "correo no deseado|спам|нежелательная почта|스팸메일함|스팸 편지함|스팸편지함"),
        (ARCHIVE, "archive|archives|archiv|archivo|архив|보관함"),
    )
    for name in names.split("|")
}
"""Servers that do not tell a special use; of each language the names that large providers give."""

_UNFIT: Final = re.compile(r"[*%/\x00-\x1f\x7f]")
_UNFIT_FOR_KEYWORD: Final = re.compile(r'[\s\x00-\x1f\x7f-\x9f]+|[(){%*"\\\]\[]+')
KEYWORD_CHARACTERS_MAX: Final = 64


class Place(NamedTuple):
    """Where a mailbox would go."""

    special_use: str | None
    name: str
    """What it is called where nobody has a mailbox of that special use."""


class Labelled(NamedTuple):
    """Where a message with labels goes, and what becomes of the further ones."""

    place: Place
    flags: Flags


def place_of(levels: Sequence[str], special_use: str | None) -> Place:
    """Say where a mailbox of another server goes."""
    names = [level for level in levels if level]
    if len(names) > 1 and (names[0].casefold() in _QUIRK_TOP_LEVELS or names[0].upper() == INBOX):
        del names[0]  # some servers keep all mailboxes below INBOX
    special_use = special_use or (_BY_NAME.get(names[0].casefold()) if len(names) == 1 else None)
    if special_use == ALL:
        special_use = ARCHIVE
    if special_use in _DEFAULT_NAME:
        return Place(special_use, _DEFAULT_NAME[special_use])
    return Place(None, fitting(DELIMITER.join(_UNFIT.sub("_", name) for name in names)))


def fitting(name: str) -> str:
    """Give a name in the form that mailboxes have here, whatever it takes."""
    try:
        return normal_name(name)
    except BadMailboxName:
        pass
    try:
        return normal_name(DELIMITER.join(_UNFIT.sub("_", level) for level in name.split(DELIMITER) if level))
    except BadMailboxName:
        return _WITHOUT_NAME


def suggested(mailboxes: Iterable[tuple[str, str | None]], *, by_labels: bool) -> set[str]:
    """Choose from mailboxes (name, special use) what somebody who moves house wants; never one message twice.

    Labels: the mailbox that holds all of them is enough. Else: all but junk, trash and what only shows others' content.
    """
    listed = list(mailboxes)
    everything = {name for name, special_use in listed if special_use == ALL}
    if by_labels and everything:
        return everything
    return {name for name, special_use in listed if special_use not in _NOT_SUGGESTED}


def covered(special_use: str | None) -> bool:
    r"""Whether, with labels, a mailbox's messages are also in the one of special use ``\All``."""
    return special_use not in {ALL, JUNK, TRASH}


def labelled(labels: Sequence[str]) -> Labelled:
    r"""Say where a message with labels goes, once: to Drafts, INBOX or Sent, by its own first label, or to the archive.

    Further labels become keywords, as far as they can be written as such; ``\Starred`` is ``\Flagged``.
    """
    system = {label.casefold() for label in labels if label.startswith("\\")}
    own = sorted(label for label in labels if not label.startswith("\\"))
    flags: set[str] = set()
    if "\\starred" in system:
        flags.add(FLAGGED)
    if "\\important" in system:
        flags.add("$Important")
    first: list[str] = []
    if "\\draft" in system or "\\drafts" in system:
        place = Place(DRAFTS, _DEFAULT_NAME[DRAFTS])
    elif "\\inbox" in system:
        place = Place(None, INBOX)
    elif "\\sent" in system:
        place = Place(SENT, _DEFAULT_NAME[SENT])
    elif own:
        first = own[:1]
        place = Place(None, fitting(first[0]))
    else:
        place = Place(ARCHIVE, _DEFAULT_NAME[ARCHIVE])
    flags |= {keyword for label in own if label not in first and (keyword := _keyword(label))}
    return Labelled(place, frozenset(flags))


def _keyword(label: str) -> str:
    """Give a label as a keyword; empty, where nothing of it is left."""
    fit = _UNFIT_FOR_KEYWORD.sub("_", label[: 2 * KEYWORD_CHARACTERS_MAX]).strip("_")[:KEYWORD_CHARACTERS_MAX]
    while len(keyword := keyword_of(fit)) > KEYWORD_CHARACTERS_MAX:
        fit = fit[:-1]
    return keyword
