"""What is done with the messages that are chosen: in a list by checkboxes, or with the conversation that is open.

A form names messages in fields that begin with ``c-``, those of one conversation in one field. Of very long
conversations a list knows the newest messages only; then all of it is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.responses import Response

from mailstead.model.errors import PolicyRefused
from mailstead.model.flags import FLAGGED, SEEN
from mailstead.model.mailbox import INBOX
from mailstead.model.people import Listing
from mailstead.policy.label_names import keyword_of
from mailstead.services.web.site.pages import Page, Visit, Who, local_path
from mailstead.services.web.site.words import _

FOLDERS_MAX: Final = 1000
FORM_OCTETS_MAX: Final = 512 * 1024
"""A page of conversations, of twenty messages each."""
LISTED_MAX: Final = 20
"""So many messages of a conversation a list names; where there are as many, there may be more."""
SPECIAL: Final = {"archive": "\\Archive", "junk": "\\Junk", "trash": "\\Trash"}
"""What a button means, as the folder's special use. Spec: RFC 6154."""
NAMES: Final = {"archive": "Archive", "junk": "Junk", "trash": "Trash", "inbox": INBOX}
"""Of folders that are not there yet."""
FLAGS: Final = {
    "read": (SEEN, True),
    "unread": (SEEN, False),
    "flag": (FLAGGED, True),
    "unflag": (FLAGGED, False),
}
"""What a button does: which flag, and whether it is set."""
_OF_ONE: Final = ("flag", "unflag", "unlabel")
"""Names of buttons that say themselves what they are about, beside those that say what is done with all chosen."""
_WITHIN: Final = frozenset({"archive", "junk", "move", "inbox"})
"""Verbs that leave alone what a conversation has in other folders, as one's own answers in Sent."""
_STAYING: Final = frozenset({*FLAGS, "label", "unlabel"} - {"unread"})
"""Verbs behind which the conversation stays open."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a form asks for."""

    verb: str
    groups: list[list[str]]
    """Messages by conversation."""
    label: str

    @property
    def ids(self) -> list[str]:
        """All messages, each once."""
        return list(dict.fromkeys(each for group in self.groups for each in group))


async def act(visit: Visit) -> Response:
    """Do something with the messages that are chosen: flags, labels, folders, rest, or away with them."""
    fields = await visit.fields(FORM_OCTETS_MAX)
    wish = _wish(fields)
    if not wish.ids:
        return _back(visit, fields, wish.verb, "none")
    ids = await _all_ids(visit, wish)
    within = folder_of(fields.get("then", ""))
    if within and (wish.verb in _WITHIN or wish.verb.startswith("snooze-")):
        ids = [*await visit.house.chosen_messages.within(visit.actor, ids, within)] or ids
    if wish.verb == "delete" and fields.get("sure") != "yes":
        then = local_path(fields.get("then", ""), "/mail")
        return visit.show("mail/sure.html", ids=ids, count=len(wish.groups), then=then)
    return _back(visit, fields, wish.verb, await _do(visit, wish, ids, fields.get("folder", "")))


async def _do(visit: Visit, wish: Wish, ids: list[str], folder: str) -> str:
    """Do it; give what the next page says. Errors: PolicyRefused, NoSuchMailbox, and those of the verbs."""
    chosen, verb = visit.house.chosen_messages, wish.verb
    if verb in FLAGS:
        flag, is_set = FLAGS[verb]
        await chosen.flag(visit.actor, ids, flag, is_set=is_set)
        return ""
    if verb in {"label", "unlabel"}:
        if not wish.label:
            raise PolicyRefused(_("Say which label"))
        await chosen.flag(visit.actor, ids, keyword_of(wish.label), is_set=verb == "label")
        return "labelled"
    if verb == "delete":
        await chosen.delete(visit.actor, ids)
        return "deleted"
    if verb.startswith("snooze-"):
        until = snoozes(visit.house.clock.now()).get(verb.removeprefix("snooze-"))
        if until is None:
            raise PolicyRefused(_("That cannot be done with messages"))
        await visit.house.snoozing.snooze(visit.actor, ids, until)
        return "snoozed"
    if verb == "move":
        path = (await visit.house.folders.show(visit.actor, folder)).mailbox.name
    elif verb in NAMES:
        path = await _special(visit, verb)
    else:
        raise PolicyRefused(_("That cannot be done with messages"))
    await chosen.move(visit.actor, ids, path)
    return "trashed" if verb == "trash" else "moved"


def folder_of(then: str) -> str:
    """Give the folder that a list shows, by its address; empty: messages of all."""
    query = dict(parse_qsl(urlsplit(then).query))
    return query.get("folder", "") or ("" if query.get("q") or query.get("label") else INBOX)


def snoozes(now: datetime) -> dict[str, datetime]:
    """Give until when messages may rest."""
    tomorrow = (now + timedelta(days=1)).replace(hour=8, minute=0, second=0, microsecond=0)
    return {"hours": now + timedelta(hours=3), "tomorrow": tomorrow, "week": tomorrow + timedelta(days=6)}


def with_query(path: str, **query: str) -> str:
    """Give a path of ours with some of its query set anew; what is empty is taken away."""
    parts = urlsplit(path)
    pairs = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in query]
    text = urlencode([*pairs, *((name, value) for name, value in query.items() if value)])
    return f"{parts.path}?{text}" if text else parts.path


def _wish(fields: Mapping[str, str]) -> Wish:
    for name in _OF_ONE:
        if name in fields and name == "unlabel":
            return Wish(name, _groups(fields), fields[name])
        if name in fields:
            return Wish(name, [fields[name].split()], "")
    return Wish(fields.get("verb", ""), _groups(fields), fields.get("label", "").strip())


def _groups(fields: Mapping[str, str]) -> list[list[str]]:
    return [value.split() for name, value in fields.items() if name.startswith("c-") and value.split()]


async def _all_ids(visit: Visit, wish: Wish) -> list[str]:
    longest = [each for group in wish.groups if len(group) >= LISTED_MAX for each in group]
    if not longest:
        return wish.ids
    whole = await visit.house.chosen_messages.conversations_of(visit.actor, longest)
    return list(dict.fromkeys([*wish.ids, *whole]))


async def _special(visit: Visit, verb: str) -> str:
    """Give the path of the folder that a button means; it is made by the first message, where it is not there."""
    folders = await visit.house.folders.find(visit.actor, Listing(limit=FOLDERS_MAX))
    use = SPECIAL.get(verb)
    return next((each.mailbox.name for each in folders.items if use and each.mailbox.special_use == use), NAMES[verb])


def _back(visit: Visit, fields: Mapping[str, str], verb: str, told: str) -> Response:
    then = fields.get("here", "") if verb in _STAYING and fields.get("here") else fields.get("then", "")
    return visit.go(with_query(local_path(then, "/mail"), told=told, all=""))


PAGES: Final = (Page("/mail/act", act, Who.OWNER, ("POST",)),)
