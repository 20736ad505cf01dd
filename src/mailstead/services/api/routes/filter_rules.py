"""An account's filters as rules, without Sieve: listed, changed, tried on mail, made from a message.

Every change names the version of the list it was made from; 412 says that somebody else was quicker. Entries that are
no simple rule are shown as their text; they can be moved and deleted. Commands: ``mailstead filter``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Final

from pydantic import Field as Limited

from mailstead.model.mailbox import INBOX
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right, Shown
from mailstead.services.api.errors import Refusal
from mailstead.sieve.rules.rule import (
    ACTIONS_MAX,
    CONDITIONS_MAX,
    NAME_CHARACTERS_MAX,
    TEXT_CHARACTERS_MAX,
    VALUE_CHARACTERS_MAX,
    VALUES_MAX,
    Action,
    Condition,
    Field,
    Kind,
    Match,
    Part,
    Rule,
    part_meant,
)
from mailstead.sieve.rules.words import action_in_words, condition_in_words
from mailstead.usecases.filter_rules import ENTRIES_MAX, TRIED_MAX, FilterList, Wish
from mailstead.usecases.rule_trials import Trial

_OWN: Final = "/v1/filter-rules"
_Text = Annotated[str, Limited(max_length=VALUE_CHARACTERS_MAX)]
_Texts = Annotated[list[_Text], Limited(max_length=VALUES_MAX)]
_Version = Annotated[str, Limited(max_length=64, description="Of the list that this was made from.")]


class ConditionGiven(Model):
    """What a message must be like; any of the values will do."""

    field: Field
    match: Match = Match.CONTAINS
    values: _Texts = Limited(default_factory=list)
    is_not: bool = False
    part: Part | None = None
    """What of an address field is compared; null: the address, or for contains and pattern the whole text."""
    headers: _Texts = Limited(default_factory=list)
    """Names of header fields, where the field is header."""
    size_octets: int = Limited(0, ge=0, le=1 << 40)


class ActionGiven(Model):
    """What is done with a message."""

    kind: Kind
    text: str = Limited("", max_length=TEXT_CHARACTERS_MAX)
    """The mailbox (file), the address (redirect), or what the sender is told (reject)."""
    flags: _Texts = Limited(default_factory=list)
    is_copy: bool = False
    creates: bool = False
    is_ereject: bool = False


class RuleGiven(Model):
    """A rule; without conditions it holds for every message."""

    name: str = Limited("", max_length=NAME_CHARACTERS_MAX)
    is_on: bool = True
    is_any: bool = False
    """Any condition will do, not all are needed."""
    conditions: Annotated[list[ConditionGiven], Limited(max_length=CONDITIONS_MAX)] = Limited(default_factory=list)
    actions: Annotated[list[ActionGiven], Limited(max_length=ACTIONS_MAX)] = Limited(default_factory=list)
    stops: bool = False
    """Where it holds, nothing after it is looked at."""


class FilterGiven(Model):
    """An old entry by its number, a new rule, or both: the old entry becomes this rule."""

    number: int | None = None
    rule: RuleGiven | None = None


_Entries = Annotated[list[FilterGiven], Limited(max_length=ENTRIES_MAX)]


class FiltersGiven(Model):
    """The whole list, in its order."""

    version: _Version
    entries: _Entries


class NewRule(Model):
    """A rule to be added."""

    version: _Version
    rule: RuleGiven
    at: int | None = Limited(None, ge=1)
    """Its number then; null: the last."""


class RuleChange(Model):
    """What an entry is to be: another rule, or only switched on or off."""

    version: _Version
    rule: RuleGiven | None = None
    is_on: bool | None = None


class FilterMoved(Model):
    """Where an entry is to be."""

    version: _Version
    to: int = Limited(ge=1)


class FiltersNamed(Model):
    """Which list is meant."""

    version: _Version


class TrialAsked(Model):
    """What is tried on which mail."""

    entries: _Entries | None = None
    """As they would be; null: as they are."""
    message_id: str | None = Limited(None, max_length=64)
    """One message; null: the last ones of a mailbox."""
    mailbox: str = Limited(INBOX, max_length=1000)
    limit: int = Limited(25, ge=1, le=TRIED_MAX)


class MessageNamed(Model):
    """A message."""

    message_id: str = Limited(max_length=64)


class ConditionShown(Shown):
    """As it can be given again."""

    field: Field
    match: Match
    values: list[str]
    is_not: bool
    part: Part
    headers: list[str]
    size_octets: int
    text: str
    """In plain English."""


class ActionShown(Shown):
    """As it can be given again."""

    kind: Kind
    text: str
    flags: list[str]
    is_copy: bool
    creates: bool
    is_ereject: bool
    does: str
    """In plain English."""


class RuleShown(Shown):
    """A rule."""

    name: str
    is_on: bool
    is_any: bool
    conditions: list[ConditionShown]
    actions: list[ActionShown]
    stops: bool


class FilterShown(Shown):
    """One entry of the list."""

    number: int
    name: str
    rule: RuleShown | None
    """Null: it is no simple rule."""
    script: str
    """Its piece of the Sieve script."""
    text: str
    """The rule in plain English."""


class FiltersShown(Shown):
    """All entries, in their order."""

    version: str
    script_name: str
    """Of the Sieve script behind it; empty: there is none yet."""
    entries: list[FilterShown]


class ReasonShown(Shown):
    """What an entry has to do with a message."""

    number: int
    name: str
    holds: bool | None
    """Null: it is no simple rule."""
    because: list[str]
    does: list[str]
    ends: bool
    text: str


class TrialShown(Shown):
    """What would happen to a message."""

    message_id: str
    subject: str
    sender: str
    mailboxes: list[str]
    does: list[str]
    reasons: list[ReasonShown]
    problems: list[str]


class SuggestionShown(Shown):
    """A rule to be finished, and what else it could ask for."""

    rule: RuleShown
    conditions: list[ConditionShown]


def _rule(given: RuleGiven) -> Rule:
    return Rule(
        given.name,
        tuple(
            Condition(
                each.field,
                each.match,
                tuple(each.values),
                each.is_not,
                part_meant(each.field, each.match) if each.part is None else each.part,
                tuple(each.headers),
                each.size_octets,
            )
            for each in given.conditions
        ),
        tuple(
            Action(each.kind, each.text, tuple(each.flags), each.is_copy, each.creates, each.is_ereject)
            for each in given.actions
        ),
        given.is_any,
        given.is_on,
        given.stops,
    )


def _wishes(given: Sequence[FilterGiven]) -> list[Wish]:
    return [Wish(_rule(each.rule) if each.rule else None, each.number) for each in given]


def _condition_shown(condition: Condition) -> ConditionShown:
    return ConditionShown(
        field=condition.field,
        match=condition.match,
        values=list(condition.values),
        is_not=condition.is_not,
        part=condition.part,
        headers=list(condition.names),
        size_octets=condition.size_octets,
        text=condition_in_words(condition),
    )


def _rule_shown(rule: Rule) -> RuleShown:
    return RuleShown(
        name=rule.name,
        is_on=rule.is_on,
        is_any=rule.is_any,
        conditions=list(map(_condition_shown, rule.conditions)),
        actions=[
            ActionShown(
                kind=action.kind,
                text=action.text,
                flags=list(action.flags),
                is_copy=action.is_copy,
                creates=action.creates,
                is_ereject=action.is_ereject,
                does=action_in_words(action),
            )
            for action in rule.actions
        ],
        stops=rule.stops,
    )


def _shown(found: FilterList) -> Answer:
    entries = [
        FilterShown(
            number=entry.number,
            name=entry.name,
            rule=_rule_shown(entry.rule) if entry.rule else None,
            script=entry.text,
            text=entry.words,
        )
        for entry in found.entries
    ]
    return Answer(FiltersShown(version=found.version, script_name=found.script_name, entries=entries))


def _trial_shown(trial: Trial) -> TrialShown:
    return TrialShown(
        message_id=trial.object_id,
        subject=trial.subject,
        sender=trial.sender,
        mailboxes=list(trial.mailboxes),
        does=list(trial.does),
        reasons=[
            ReasonShown(
                number=reason.number,
                name=reason.name,
                holds=reason.holds,
                because=list(reason.because),
                does=list(reason.does),
                ends=reason.ends,
                text=reason.text,
            )
            for reason in trial.reasons
        ],
        problems=list(trial.problems),
    )


def _number(call: Call) -> int:
    digits = call.path["number"]
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise Refusal(404, "There is no such entry")
    return int(digits)


async def show(call: Call) -> Answer:
    """Give all entries."""
    return _shown(await call.house.filter_rules.list(call.actor))


async def replace(call: Call) -> Answer:
    """Let the list be another one."""
    return _shown(await call.house.filter_rules.replace(call.actor, call.body.version, _wishes(call.body.entries)))


async def add(call: Call) -> Answer:
    """Add a rule."""
    body: NewRule = call.body
    return _shown(await call.house.filter_rules.add(call.actor, body.version, _rule(body.rule), body.at))


async def change(call: Call) -> Answer:
    """Change a rule, or switch it on or off."""
    body, number, rules = call.body, _number(call), call.house.filter_rules
    if (body.rule is None) == (body.is_on is None):
        raise Refusal(400, "Give either rule or is_on")
    if body.rule is not None:
        return _shown(await rules.change(call.actor, body.version, number, _rule(body.rule)))
    return _shown(await rules.switch(call.actor, body.version, number, is_on=body.is_on))


async def move(call: Call) -> Answer:
    """Move an entry."""
    return _shown(await call.house.filter_rules.move(call.actor, call.body.version, _number(call), call.body.to))


async def delete(call: Call) -> Answer:
    """Remove an entry."""
    return _shown(await call.house.filter_rules.delete(call.actor, call.query.version, _number(call)))


async def dry_run(call: Call) -> Answer:
    """Say what would happen, and why."""
    body: TrialAsked = call.body
    wishes = None if body.entries is None else _wishes(body.entries)
    rules = call.house.filter_rules
    if body.message_id is not None:
        trials: Sequence[Trial] = [await rules.try_on_message(call.actor, body.message_id, wishes)]
    else:
        trials = await rules.try_on_mailbox(call.actor, body.mailbox, body.limit, wishes)
    return Answer(list(map(_trial_shown, trials)))


async def suggest(call: Call) -> Answer:
    """Make a rule from a message."""
    made = await call.house.filter_rules.suggest(call.actor, call.query.message_id)
    return Answer(SuggestionShown(rule=_rule_shown(made.rule), conditions=list(map(_condition_shown, made.conditions))))


_ours: Final = partial(
    Endpoint, tag="filter rules", auth=Auth.ALIAS, right=Right.CALLER, shows=FiltersShown, is_ours=True
)

ENDPOINTS: Final = (
    _ours("GET", _OWN, "list-filter-rules", "Filters as rules", handler=show, command="filter list"),
    _ours("PUT", _OWN, "replace-filter-rules", "Replace all filters", handler=replace, body=FiltersGiven),
    _ours("POST", _OWN, "add-filter-rule", "Add a rule", handler=add, body=NewRule, command="filter add"),
    _ours(
        "PUT",
        f"{_OWN}/{{number}}",
        "change-filter-rule",
        "Change a rule, or switch it on or off",
        handler=change,
        body=RuleChange,
        command="filter on, filter off",
    ),
    _ours(
        "POST",
        f"{_OWN}/{{number}}/move",
        "move-filter-rule",
        "Move a rule",
        handler=move,
        body=FilterMoved,
        command="filter move",
    ),
    _ours(
        "DELETE",
        f"{_OWN}/{{number}}",
        "delete-filter-rule",
        "Delete a rule",
        handler=delete,
        query=FiltersNamed,
        command="filter delete",
    ),
    _ours(
        "POST",
        f"{_OWN}/dry-run",
        "try-filter-rules",
        "What rules would do with mail that is there, and why",
        handler=dry_run,
        body=TrialAsked,
        shows=list[TrialShown],
        command="filter dry-run",
    ),
    _ours(
        "GET",
        f"{_OWN}/suggestion",
        "suggest-filter-rule",
        "A rule made from a message; it is not kept",
        handler=suggest,
        query=MessageNamed,
        shows=SuggestionShown,
    ),
)
