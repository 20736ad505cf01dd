"""Rules tried on mail that is there already: what would happen to a message, and which rules would make it happen.

Nothing is changed or sent. A vacation setting and what policy takes for junk are looked at by deliveries, not here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from mailstead.mime.header import first_values, header_end, text_of
from mailstead.model.ids import Uid
from mailstead.model.mailbox import INBOX, normal_name
from mailstead.model.message import OctetRange
from mailstead.model.people import ObjectId
from mailstead.model.place import Place
from mailstead.ports.storage import AccountStore
from mailstead.sieve import actions
from mailstead.sieve.budget import Budget
from mailstead.sieve.rules.document import Document
from mailstead.sieve.rules.following import Following, Reached
from mailstead.sieve.rules.rule import Condition, Rule
from mailstead.sieve.rules.words import action_in_words, condition_in_words
from mailstead.usecases.dryruns import DELIVERIES_WORTH_MAX, OCTETS_MAX, Grounds, facts_of, latest
from mailstead.usecases.message_views import MessageView
from mailstead.usecases.rulings import in_words

SHOWN_CHARACTERS_MAX: Final = 500
"""Of Subject and From."""


@dataclass(frozen=True, slots=True)
class Reason:
    """What one entry of the list has to do with it."""

    number: int
    """Of the entry, from 1."""
    name: str
    holds: bool | None
    """None: it is no simple rule."""
    because: tuple[str, ...]
    """Conditions that hold, in words."""
    does: tuple[str, ...]
    """In words."""
    ends: bool
    """Nothing after it was looked at."""
    text: str
    """All of that in a sentence."""
    rule: Rule | None = None
    held: tuple[Condition, ...] = ()
    """`because` and `rule` as values, for pages in other languages."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What would happen to one message."""

    object_id: ObjectId
    """Of the message."""
    uid: Uid
    subject: str
    sender: str
    mailboxes: tuple[str, ...]
    """Where it would be; none: nowhere."""
    does: tuple[str, ...]
    """All that would happen, in words."""
    reasons: tuple[Reason, ...]
    """In the order of the list; what was not reached, or is off, is not among them."""
    problems: tuple[str, ...] = ()
    """What is wrong; a message is kept then."""
    actions: tuple[actions.Action, ...] = ()
    """`does` as values."""


async def tried(store: AccountStore, document: Document, grounds: Grounds, view: MessageView) -> Trial:
    """Try rules on one message; of each rule that it comes to it is said whether it holds.

    Errors: BadScript; of the store.
    """
    record = view.record
    (octets,) = await store.read_octets([OctetRange(record.blob_id, 0, OCTETS_MAX)])

    def work() -> Trial:
        attempt = _Attempt(document, Following(document), grounds)
        return attempt.made(view.place, octets, names_all=True)[0]

    return await asyncio.to_thread(work)


async def tried_on_last(
    store: AccountStore, document: Document, grounds: Grounds, mailbox: str, limit: int
) -> list[Trial]:
    """Try rules on the last messages of a mailbox, the newest first; names only entries that do something.

    Rules that take very many steps are not tried on all of them.
    Errors: NoSuchMailbox, BadScript; of the store.
    """
    found = await store.mailbox(normal_name(mailbox))
    attempt = _Attempt(document, await asyncio.to_thread(Following, document), grounds)
    steps_left = grounds.steps_max * DELIVERIES_WORTH_MAX
    trials: list[Trial] = []
    async with aclosing(latest(store, found.name, limit)) as batches:
        async for batch, texts in batches:
            places = [Place(found.mailbox_id, found.uidvalidity, record.uid) for record in batch]
            made, steps = await asyncio.to_thread(attempt.made_of, places, texts)
            trials += made
            steps_left -= steps
            if steps_left <= 0:
                break
    return trials


@dataclass(frozen=True, slots=True)
class _Attempt:
    document: Document
    following: Following
    grounds: Grounds

    def made_of(self, places: Sequence[Place], texts: Sequence[bytes]) -> tuple[list[Trial], int]:
        made = [self.made(place, octets, names_all=False) for place, octets in zip(places, texts, strict=True)]
        return [trial for trial, _ in made], sum(steps for _, steps in made)

    def made(self, place: Place, octets: bytes, *, names_all: bool) -> tuple[Trial, int]:
        grounds = self.grounds
        values = first_values(octets[: header_end(octets)])
        outcome, reached = self.following.run(
            facts_of(grounds, octets, values), Budget(grounds.steps_max, grounds.redirects_max)
        )
        reasons = (self._reason(each) for each in reached if names_all or _acts(each))
        trial = Trial(
            place.object_id,
            place.uid,
            text_of(values.get(b"subject", b""))[:SHOWN_CHARACTERS_MAX],
            text_of(values.get(b"from", b""))[:SHOWN_CHARACTERS_MAX],
            tuple(dict.fromkeys(name for action in outcome.actions if (name := self._mailbox(action)))),
            tuple(self._said(action) for action in outcome.actions),
            tuple(reasons),
            tuple(map(str, outcome.problems)),
            outcome.actions,
        )
        return trial, outcome.steps_used

    def _mailbox(self, action: actions.Action) -> str:
        """Give where an action files; INBOX takes what is for a mailbox that is not there."""
        if isinstance(action, actions.FileInto):
            return action.mailbox if action.creates or action.mailbox in self.grounds.mailboxes else INBOX
        return INBOX if isinstance(action, actions.Keep) else ""

    def _said(self, action: actions.Action) -> str:
        flagged = ""
        if isinstance(action, actions.Keep | actions.FileInto) and action.flags:
            flagged = f", marked {' '.join(sorted(action.flags))}"
        match action:
            case actions.Keep():
                return f"stays in INBOX{flagged}"
            case actions.FileInto(mailbox) if self._mailbox(action) != mailbox:
                return f"stays in INBOX, as there is no mailbox {mailbox}{flagged}"
            case actions.FileInto(mailbox):
                return f"goes into {mailbox}{flagged}"
            case actions.Redirect(address):
                return f"is sent on to {address}"
            case actions.Reject():
                return "is rejected"
            case actions.Discard():
                return "is thrown away"
        return in_words(action)

    def _reason(self, reached: Reached) -> Reason:
        block = self.document.blocks[reached.number]
        rule = block.rule
        held = tuple(rule.conditions[index] for index in reached.held) if rule else ()
        because = tuple(map(condition_in_words, held))
        does: tuple[str, ...]
        if rule is not None:
            does = tuple(map(action_in_words, rule.actions)) if reached.holds else ()
        else:
            flags = (f"sets {' '.join(reached.flags)}",) if reached.flags else ()
            does = (*flags, *map(in_words, reached.does))
        if reached.ends:
            does = (*does, "goes no further")
        text = _sentence(block.name, rule, reached, because, does)
        return Reason(reached.number + 1, block.name, reached.holds, because, does, reached.ends, text, rule, held)


def _acts(reached: Reached) -> bool:
    return bool(reached.holds or reached.does or reached.flags or reached.ends)


def _sentence(name: str, rule: Rule | None, reached: Reached, because: Sequence[str], does: Sequence[str]) -> str:
    called = f"“{name}”" if name else f"No. {reached.number + 1}"
    if rule is None:
        return f"{called}, which is no simple rule: {', '.join(does) or 'does nothing with it'}"
    if reached.holds is None:
        return f"{called} failed"
    if not reached.holds:
        return f"{called} does not hold"
    why = f"holds, because {' and '.join(because)}" if because else "holds for every message"
    return f"{called} {why}: {', '.join(does)}"
