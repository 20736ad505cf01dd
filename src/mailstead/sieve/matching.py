"""How a test compares values with keys: comparators and match types.

Spec: RFC 5228 §2.7.1 to §2.7.3, RFC 5231 (relational), RFC 4790 (comparators), draft-ietf-sieve-regex.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from mailstead.sieve.call import Call
from mailstead.sieve.globs import Glob
from mailstead.sieve.regex import PROGRAM_MAX, BadRegex, Regex, regex
from mailstead.sieve.run import Run
from mailstead.sieve.words import MATCHED_MAX, BadWords, all_filled, constants

Matcher = Callable[[Run, Sequence[str]], bool]
"""Whether any of the values fits any of the keys."""
Compared = TypeVar("Compared", str, int, float)

OCTET: Final = "i;octet"
CASEMAP: Final = "i;ascii-casemap"
NUMERIC: Final = "i;ascii-numeric"
_INFINITE: Final = float("inf")
_DIGITS_MAX: Final = 300
_DIGITS: Final = re.compile("[0-9]+")
_UPPER: Final = {ord(letter): ord(letter) - 32 for letter in "abcdefghijklmnopqrstuvwxyz"}
_RELATIONS: Final[dict[str, Callable[[float | str, float | str], bool]]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
}


def casemapped(text: str) -> str:
    """Give the form that i;ascii-casemap compares: ASCII letters in upper case, nothing else changed.

    Spec: RFC 4790 §9.2.1.
    """
    return text.upper() if text.isascii() else text.translate(_UPPER)


def number_of(text: str) -> float:
    """Give the number that i;ascii-numeric sees: leading digits, or positive infinity.

    Spec: RFC 4790 §9.1.1.
    """
    found = _DIGITS.match(text)
    # Exact up to there; what is longer is beyond all counting anyhow.
    return int(found[0]) if found and found.end() <= _DIGITS_MAX else _INFINITE


def _as_is(text: str) -> str:
    return text


_FOLDS: Final[dict[str, Callable[[str], str]]] = {OCTET: _as_is, CASEMAP: casemapped}


def matcher(call: Call, keys_at: int | str, *, sets_variables: bool = True) -> Matcher:
    """Make the comparison that a test asks for with its tags and its list of keys.

    Shapes: `keys_at` says which argument holds the keys. `sets_variables`: whether ``:matches`` and ``:regex`` set the
    match variables (RFC 5229 §3.2), where the script uses variables.
    """
    match_type = call.first_of("is", "contains", "matches", "count", "value", "regex") or "is"
    comparator = _comparator(call, match_type)
    keeps = sets_variables and call.requires("variables")
    if match_type == "matches":
        return _matches(call, keys_at, comparator, keeps_matched=keeps)
    if match_type == "regex":
        return _regex(call, keys_at, comparator, keeps_matched=keeps)
    if match_type in {"count", "value"}:
        relation = call.constant(match_type).lower()
        if relation not in _RELATIONS:
            call.wrong(match_type, f'":{match_type}" is followed by one of "gt", "ge", "lt", "le", "eq", "ne"')
            relation = "eq"
        if match_type == "count":
            return _count(call, keys_at, _RELATIONS[relation])
        if comparator == NUMERIC:
            return _value(call, keys_at, _RELATIONS[relation], number_of)
        return _value(call, keys_at, _RELATIONS[relation], _FOLDS[comparator])
    if comparator == NUMERIC:
        return _value(call, keys_at, operator.eq, number_of)
    if match_type == "is":
        return _is(call, keys_at, _FOLDS[comparator])
    return _contains(call, keys_at, _FOLDS[comparator])


def _comparator(call: Call, match_type: str) -> str:
    if not call.has("comparator"):
        return CASEMAP
    name = call.constant("comparator")
    if name not in {OCTET, CASEMAP, NUMERIC}:
        call.not_here("comparator", f'There is no comparator "{name[:60]}" here; take "{CASEMAP}" or "{OCTET}"')
    call.needs("comparator", f'"{name}"', f"comparator-{name}")
    if name == NUMERIC and match_type in {"contains", "matches", "regex"}:
        call.wrong("comparator", f'"{NUMERIC}" compares numbers; ":{match_type}" does not go with it')
        return CASEMAP
    return name


def _is(call: Call, keys_at: int | str, fold: Callable[[str], str]) -> Matcher:
    words = call.texts(keys_at)
    fixed = constants(words)
    if fixed is not None:
        keys = frozenset(map(fold, fixed))

        def is_fixed(run: Run, values: Sequence[str]) -> bool:
            for value in values:
                run.budget.spend(1 + (len(value) >> 8))
                if fold(value) in keys:
                    return True
            return False

        return is_fixed

    def is_one(run: Run, values: Sequence[str]) -> bool:
        keys = frozenset(map(fold, all_filled(words, run)))
        for value in values:
            run.budget.spend(1 + (len(value) >> 8))
            if fold(value) in keys:
                return True
        return False

    return is_one


def _contains(call: Call, keys_at: int | str, fold: Callable[[str], str]) -> Matcher:
    words = call.texts(keys_at)
    fixed = constants(words)
    folded = None if fixed is None else [fold(key) for key in fixed]

    def contains_one(run: Run, values: Sequence[str]) -> bool:
        keys = folded if folded is not None else [fold(key) for key in all_filled(words, run)]
        for value in values:
            run.budget.spend(len(keys) * (1 + (len(value) >> 8)))
            folded_value = fold(value)
            for key in keys:
                if key in folded_value:
                    return True
        return False

    return contains_one


def _matches(call: Call, keys_at: int | str, comparator: str, *, keeps_matched: bool) -> Matcher:
    fold = _FOLDS[comparator]
    globs_of = call.read_all(keys_at, lambda key: Glob(fold(key)))

    def matches_one(run: Run, values: Sequence[str]) -> bool:
        globs = globs_of(run)
        for value in values:
            folded_value = fold(value)
            for glob in globs:
                run.budget.spend(1 + (len(value) * glob.weight >> 8))
                starts = glob.match(folded_value)
                if starts is not None:
                    if keeps_matched:
                        run.matched = glob.matched(value, starts)[: MATCHED_MAX + 1]
                    return True
        return False

    return matches_one


def _regex(call: Call, keys_at: int | str, comparator: str, *, keeps_matched: bool) -> Matcher:
    folds_case = comparator == CASEMAP

    is_fixed = constants(call.texts(keys_at)) is not None
    checker = call.checker

    def read(key: str) -> Regex:
        if is_fixed and checker.regex_room <= 0:
            raise BadWords("The regular expressions of this script are too many or too large; take some of them out")
        try:
            expression = regex(key, folds_case=folds_case)
        except BadRegex as error:
            checker.regex_room -= PROGRAM_MAX
            raise BadWords(str(error)) from None
        checker.regex_room -= max(expression.weight, 500)
        return expression

    expressions_of = call.read_all(keys_at, read)

    def finds_one(run: Run, values: Sequence[str]) -> bool:
        expressions = expressions_of(run)
        if not is_fixed:
            # Made just now, perhaps; that costs more than a try.
            run.budget.spend(sum(expression.weight * 4 for expression in expressions))
        for value in values:
            for expression in expressions:
                run.budget.spend(expression.cost(value))
                found = expression.match(value)
                if found is not None:
                    if keeps_matched:
                        run.matched = found[: MATCHED_MAX + 1]
                    return True
        return False

    return finds_one


def _count(call: Call, keys_at: int | str, relation: Callable[[float | str, float | str], bool]) -> Matcher:
    """Compare how many values there are. Spec: RFC 5231 §4.2 (numbers, whatever the comparator)."""
    words = call.texts(keys_at)

    def counts(run: Run, values: Sequence[str]) -> bool:
        return any(relation(len(values), number_of(key)) for key in all_filled(words, run))

    return counts


def _value(
    call: Call,
    keys_at: int | str,
    relation: Callable[[float | str, float | str], bool],
    fold: Callable[[str], float | str],
) -> Matcher:
    """Compare order. Spec: RFC 5231 §4.1."""
    words = call.texts(keys_at)
    fixed = constants(words)
    folded = None if fixed is None else [fold(key) for key in fixed]

    def is_in_relation(run: Run, values: Sequence[str]) -> bool:
        keys = folded if folded is not None else [fold(key) for key in all_filled(words, run)]
        for value in values:
            run.budget.spend(len(keys) * (1 + (len(value) >> 8)))
            folded_value = fold(value)
            if any(relation(folded_value, key) for key in keys):
                return True
        return False

    return is_in_relation
