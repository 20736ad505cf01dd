"""Filters of one's own mail as rules: listed in words, made in a form, tried on the last messages before they are kept.

The form has some rows of conditions and actions; a rule with more keeps those that are not shown. A rule that says what
the form cannot is not offered to be changed there; what is no simple rule is shown as its text. Both can be moved and
removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from starlette.responses import Response

from mailstead.model.errors import MailsteadError, PolicyRefused
from mailstead.model.flags import FLAGGED, SEEN
from mailstead.model.mailbox import INBOX
from mailstead.model.people import Listing
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _
from mailstead.sieve.rules.rule import Action, Condition, Field, Kind, Match, Rule, part_meant
from mailstead.sieve.rules.words import action_in_words, condition_in_words
from mailstead.usecases.filter_rules import Wish

ROWS: Final = 4
TRIED: Final = 20
MARKS: Final = {"read": SEEN, "flagged": FLAGGED}
"""What can be marked, beside words of one's own."""
FIELDS: Final = (Field.FROM, Field.RECIPIENT, Field.SUBJECT, Field.BODY, Field.LIST_ID, Field.ATTACHMENT, Field.SIZE)
MATCHES: Final = (Match.CONTAINS, Match.IS, Match.BEGINS, Match.ENDS)
KINDS: Final = (Kind.FILE, Kind.FLAG, Kind.REDIRECT, Kind.DISCARD, Kind.REJECT, Kind.KEEP)


async def filters(visit: Visit) -> Response:
    """List them."""
    return await _list(visit)


async def act(visit: Visit) -> Response:
    """Switch, move or remove one."""
    fields = await visit.fields()
    verbs, version, number = visit.house.filter_rules, fields.get("version", ""), _number(fields.get("number", ""))
    try:
        match fields.get("verb"):
            case "on" | "off" as verb:
                await verbs.switch(visit.actor, version, number, is_on=verb == "on")
            case "up":
                await verbs.move(visit.actor, version, number, max(number - 1, 1))
            case "down":
                await verbs.move(visit.actor, version, number, number + 1)
            case "delete":
                await verbs.delete(visit.actor, version, number)
            case _:
                raise PolicyRefused(_("That cannot be done with filters"))
    except MailsteadError as error:
        return await _list(visit, error)
    return visit.go("/me/filters", told="changed")


async def edit(visit: Visit) -> Response:
    """Show the form: empty, for a rule by its number, or begun from a message."""
    query, verbs = visit.request.query_params, visit.house.filter_rules
    found = await verbs.list(visit.actor)
    rule, number = Rule(), 0
    if message_id := query.get("message"):
        rule = (await verbs.suggest(visit.actor, message_id)).rule
    elif query.get("number"):
        number = _number(query["number"])
        there = next((each.rule for each in found.entries if each.number == number), None)
        if there is None or not fits_the_form(there):
            raise PolicyRefused(_("That filter says more than the form has room for; change its script"))
        rule = there
    return await _form(visit, rule, found.version, number)


async def save(visit: Visit) -> Response:
    """Keep the rule, or only try it on the last messages of the inbox."""
    fields, verbs = await visit.fields(), visit.house.filter_rules
    version, number = fields.get("version", ""), _number(fields.get("number", "0"))
    found = await verbs.list(visit.actor)
    before = next((each.rule for each in found.entries if each.number == number), None)
    rule = Rule()
    try:
        rule = rule_of(fields, before)
        if fields.get("verb") == "try":
            wish = Wish(rule, number or None)
            wishes = [wish if each.number == number else Wish(number=each.number) for each in found.entries]
            trials = await verbs.try_on_mailbox(visit.actor, INBOX, TRIED, wishes if number else [*wishes, wish])
            return await _form(visit, rule, version, number, trials=trials)
        if number:
            await verbs.change(visit.actor, version, number, rule)
        else:
            await verbs.add(visit.actor, version, rule)
    except MailsteadError as error:
        return await _form(visit, rule, found.version, number, error)
    return visit.go("/me/filters", told="changed")


def rule_of(fields: Mapping[str, str], before: Rule | None) -> Rule:
    """Give the rule that a form says. Errors: PolicyRefused, for what the form cannot say."""
    try:
        conditions = [
            _condition(fields, row) for row in range(ROWS) if _is_said(fields, f"value-{row}", f"field-{row}")
        ]
        actions = [_action(fields, row) for row in range(ROWS) if fields.get(f"kind-{row}")]
    except ValueError:
        raise PolicyRefused(_("Choose from what the form offers")) from None
    hidden = before or Rule()
    return replace(
        hidden,
        name=fields.get("name", "").strip(),
        conditions=(*conditions, *hidden.conditions[ROWS:]),
        actions=(*actions, *hidden.actions[ROWS:]),
        is_any=fields.get("is_any") == "yes",
        stops=fields.get("stops") == "yes",
        is_on=hidden.is_on,
    )


def _is_said(fields: Mapping[str, str], value: str, field: str) -> bool:
    return bool(fields.get(value, "").strip()) or fields.get(field) == Field.ATTACHMENT.value


def _condition(fields: Mapping[str, str], row: int) -> Condition:
    field = Field(fields.get(f"field-{row}", ""))
    text, is_not = fields.get(f"value-{row}", "").strip(), fields.get(f"not-{row}") == "yes"
    if field is Field.ATTACHMENT:
        return Condition(field, is_not=is_not)
    if field is Field.SIZE:
        return Condition(field, Match.OVER, is_not=is_not, size_octets=int(float(text.replace(",", ".")) * 2**20))
    match = Match(fields.get(f"match-{row}", ""))
    if field not in FIELDS or match not in MATCHES:
        raise ValueError(match)
    return Condition(field, match, (text,), is_not, part_meant(field, match))


def _action(fields: Mapping[str, str], row: int) -> Action:
    kind, text = Kind(fields[f"kind-{row}"]), fields.get(f"text-{row}", "").strip()
    if kind is Kind.FLAG:
        return Action(kind, flags=(MARKS.get(text, text),))
    creates = kind is Kind.FILE and fields.get(f"creates-{row}") != "no"
    return Action(kind, text, is_copy=fields.get(f"copy-{row}") == "yes", creates=creates)


def fields_of(rule: Rule) -> dict[str, str]:
    """Give what the form sends back for a rule that nobody changes."""
    fields = {"name": rule.name, "is_any": _yes(rule.is_any), "stops": _yes(rule.stops)}
    for row, condition in enumerate(rule.conditions[:ROWS]):
        value = f"{condition.size_octets / 2**20:.12g}" if condition.size_octets else "".join(condition.values[:1])
        fields |= {
            f"field-{row}": condition.field.value,
            f"match-{row}": condition.match.value,
            f"value-{row}": value,
            f"not-{row}": _yes(condition.is_not),
        }
    for row, action in enumerate(rule.actions[:ROWS]):
        marked = "".join(action.flags[:1])
        fields |= {
            f"kind-{row}": action.kind.value,
            f"text-{row}": action.text or next((word for word, flag in MARKS.items() if flag == marked), marked),
            f"copy-{row}": _yes(action.is_copy),
            f"creates-{row}": "yes" if action.creates else "no",
        }
    return fields


def fits_the_form(rule: Rule) -> bool:
    """Whether the form says all of a rule: others are not offered to be changed there, as something would be lost."""
    try:
        return rule_of(fields_of(rule), rule) == rule
    except PolicyRefused:
        return False


def _yes(is_so: bool) -> str:
    return "yes" if is_so else ""


def _number(text: str) -> int:
    """Errors: PolicyRefused."""
    if not text.isdecimal() or len(text) > 6:
        raise PolicyRefused(_("There is no such filter"))
    return int(text)


async def _list(visit: Visit, error: MailsteadError | None = None) -> Response:
    found = await visit.house.filter_rules.list(visit.actor)
    status = 200 if error is None else status_of(error)
    return visit.show(
        "me/filters.html",
        status,
        found=found,
        condition_in_words=condition_in_words,
        action_in_words=action_in_words,
        fits_the_form=fits_the_form,
        error=error,
    )


async def _form(
    visit: Visit,
    rule: Rule,
    version: str,
    number: int,
    error: MailsteadError | None = None,
    trials: object = None,
) -> Response:
    folders = await visit.house.folders.find(visit.actor, Listing(limit=1000))
    return visit.show(
        "me/filter.html",
        200 if error is None else status_of(error),
        rule=rule,
        version=version,
        number=number,
        rows=range(ROWS),
        choices={"fields": FIELDS, "matches": MATCHES, "kinds": KINDS},
        marks={flag: word for word, flag in MARKS.items()},
        folders=folders.items,
        trials=trials,
        error=error,
    )


PAGES: Final = (
    Page("/me/filters", filters, Who.OWNER),
    Page("/me/filters", act, Who.OWNER, ("POST",)),
    Page("/me/filters/edit", edit, Who.OWNER),
    Page("/me/filters/edit", save, Who.OWNER, ("POST",)),
)
