"""A rule made from a message, for its owner to finish: what one would ask for to catch more of the same.

Spec: RFC 2919 §3 (List-Id).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from mailstead.mime import charset
from mailstead.mime.address import addresses_of, display_name
from mailstead.mime.header import first_values, text_of
from mailstead.model.mailbox import INBOX
from mailstead.model.message import OctetRange
from mailstead.ports.storage import AccountStore
from mailstead.sieve.rules.rule import NAME_CHARACTERS_MAX, Action, BadRule, Condition, Field, Kind, Match, Part, Rule
from mailstead.sieve.rules.rule import checked as checked_rule
from mailstead.usecases.message_views import MessageView

HEADER_OCTETS_MAX: Final = 256 * 1024
_LIST_ID: Final = re.compile(r"(.*?)<([^<>\s]+)>", re.DOTALL)
_REPLY: Final = re.compile(r"(?:(?:re|fwd?|aw|sv)\s*:\s*)+", re.IGNORECASE)
_NO_TARGETS: Final = frozenset({"\\Junk", "\\Trash", "\\Sent", "\\Drafts", "\\All"})


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A rule to begin with, and what else could be asked for."""

    rule: Rule
    """One condition; files into the mailbox where the message is, or (in INBOX, Junk …) does nothing yet."""
    conditions: tuple[Condition, ...]
    """All that the message offers, that of the rule first."""


async def suggestion(store: AccountStore, view: MessageView, own_addresses: frozenset[str]) -> Suggestion:
    """Make a rule from a message: its list goes before its sender. Errors: of the store."""
    (octets,) = await store.read_octets([OctetRange(view.record.blob_id, 0, _header_octets(view))])
    values = first_values(octets)
    name, conditions = _offered(values, {address.casefold() for address in own_addresses})
    mailbox = view.mailbox
    is_target = mailbox.name != INBOX and mailbox.special_use not in _NO_TARGETS
    actions = (Action(Kind.FILE, mailbox.name),) if is_target else ()
    return Suggestion(Rule(name, conditions[:1], actions), conditions)


def _header_octets(view: MessageView) -> int:
    return min(view.record.header_octets, HEADER_OCTETS_MAX)


def _offered(values: dict[bytes, bytes], own: set[str]) -> tuple[str, tuple[Condition, ...]]:
    """Give a name for the rule, and conditions, the best one first."""
    name = ""
    offered: list[Condition] = []
    if found := _LIST_ID.search(text_of(values.get(b"list-id", b""))):
        name = found[1].strip().strip('"') or found[2]
        offered.append(Condition(Field.LIST_ID, Match.CONTAINS, (f"<{found[2]}>",)))
    for listed in addresses_of(values.get(b"from", b""))[:1]:
        if listed.local_part is not None and listed.domain is not None:
            domain = charset.decoded(listed.domain)
            address = f"{charset.decoded(listed.local_part)}@{domain}"
            name = name or display_name(listed) or address
            offered.append(Condition(Field.FROM, Match.IS, (address,), part=Part.ADDRESS))
            offered.append(Condition(Field.FROM, Match.IS, (domain,), part=Part.DOMAIN))
    for field in (b"to", b"cc"):
        for listed in addresses_of(values.get(field, b"")):
            if listed.local_part is None or listed.domain is None:
                continue
            address = f"{charset.decoded(listed.local_part)}@{charset.decoded(listed.domain)}"
            plain = f"{address.partition('@')[0].partition('+')[0]}@{charset.decoded(listed.domain)}"
            if {address.casefold(), plain.casefold()} & own:
                offered.append(Condition(Field.RECIPIENT, Match.IS, (address,), part=Part.ADDRESS))
    subject = _REPLY.sub("", " ".join(text_of(values.get(b"subject", b"")).split()), count=1)
    if subject:
        offered.append(Condition(Field.SUBJECT, Match.CONTAINS, (subject,)))
    name = "".join(character for character in " ".join(name.split()) if character.isprintable())
    return name[:NAME_CHARACTERS_MAX], tuple(dict.fromkeys(filter(_is_good, offered)))


def _is_good(condition: Condition) -> bool:
    """Whether a rule can ask for it: strangers write what they like into their mail (attack row 60)."""
    try:
        checked_rule(Rule("", (condition,), stops=True))
    except BadRule:
        return False
    return True
