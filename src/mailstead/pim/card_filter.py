"""Whether a contact is what an addressbook-query asks for.

Spec: RFC 6352 §8.6, §10.5.
"""

from __future__ import annotations

from mailstead.model.dav import ResourceQuery
from mailstead.pim.calendar_filter import text_matches
from mailstead.pim.component import Property, unescaped
from mailstead.pim.filters import CardFilter, ParamFilter, PropFilter
from mailstead.pim.vcard import Card


def matches(card: Card, condition: CardFilter) -> bool:
    """Whether a contact matches; a filter without conditions takes all. Spec: RFC 6352 §10.5."""
    return _joined([_prop(card, each) for each in condition.props], is_any=condition.is_any)


def query_of(condition: CardFilter) -> ResourceQuery:
    """Give what the index can say about a filter: a superset of what matches."""
    if len(condition.props) == 1:
        (prop,) = condition.props
        if prop.name == "UID" and not prop.is_not_defined and not prop.params and len(prop.text_matches) == 1:
            (match,) = prop.text_matches
            if match.match_type == "equals" and not match.negates:
                return ResourceQuery(uid=match.text)
    return ResourceQuery()


def _prop(card: Card, condition: PropFilter) -> bool:
    group, _, name = condition.name.rpartition(".")
    found = [
        each for each in card.component.properties if each.name == name and (not group or each.group.upper() == group)
    ]
    if condition.is_not_defined or not found:
        return condition.is_not_defined and not found
    return any(_property(each, condition) for each in found)


def _property(prop: Property, condition: PropFilter) -> bool:
    value = unescaped(prop.value)
    results = [text_matches(value, each) for each in condition.text_matches]
    results += [_param(prop, each) for each in condition.params]
    return _joined(results, is_any=condition.is_any)


def _param(prop: Property, condition: ParamFilter) -> bool:
    # TYPE=HOME,WORK and TYPE="home,work" both stand for two values.
    values = [one for each in prop.parameter_values(condition.name) for one in each.split(",")]
    if condition.is_not_defined or not values:
        return condition.is_not_defined and not values
    match = condition.text_match
    return match is None or any(text_matches(each, match) for each in values)


def _joined(results: list[bool], *, is_any: bool) -> bool:
    return not results or (any(results) if is_any else all(results))
