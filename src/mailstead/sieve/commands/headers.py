"""Tests of header fields and of the envelope, of the message or of one of its parts.

Spec: RFC 5228 §5.1, §5.4, §5.5, §5.7, §5.9; RFC 5233 (subaddress); RFC 5260 §6 (index); RFC 5703 §4 (mime).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from mailstead.mime import charset
from mailstead.mime.parameters import valued
from mailstead.sieve.call import Call
from mailstead.sieve.forms import ADDRESS_PART_TAGS, INDEX_TAGS, MATCH_TAGS, MIME_TAGS, Check, TagForm, Takes, TestForm
from mailstead.sieve.gather import DETAIL_SEPARATOR
from mailstead.sieve.matching import matcher
from mailstead.sieve.message import HeaderField
from mailstead.sieve.run import Run
from mailstead.sieve.words import BadWords

MIME_OPTIONS: Final = (
    TagForm("type", "mimeoption", needs="mime", after="mime"),
    TagForm("subtype", "mimeoption", needs="mime", after="mime"),
    TagForm("contenttype", "mimeoption", needs="mime", after="mime"),
    TagForm("param", "mimeoption", Takes.TEXTS, needs="mime", after="mime"),
)
"""Spec: RFC 5703 §4.2."""

Fields = Callable[[Run], Iterable[HeaderField]]


def fields_of(call: Call, names_at: int) -> Fields:
    """Make what finds the fields that a test is about: names, ``:index``, ``:mime``, ``:anychild``.

    A name that no field can have is no error; it finds nothing. Spec: RFC 5228 §2.4.2.2.
    """
    names = call.read_all(names_at, str.lower)
    pick = index_of(call)
    if call.has("mime"):
        is_deep = call.has("anychild")

        def fields_of_parts(run: Run) -> list[HeaderField]:
            part = max(run.part, 0)
            parts = [part, *run.message.below(part)] if is_deep else [part]
            run.budget.spend(len(parts))
            return [field for at in parts for name in names(run) for field in pick(run.message.named(name, at))]

        return fields_of_parts

    def fields_of_message(run: Run) -> list[HeaderField]:
        wanted = names(run)
        run.budget.spend(len(wanted))
        return [field for name in wanted for field in pick(run.message.named(name))]

    return fields_of_message


def index_of(call: Call) -> Callable[[Sequence[HeaderField]], Sequence[HeaderField]]:
    """Make what picks the field of ``:index``, counted from the end with ``:last``. Spec: RFC 5260 §6."""
    if not call.has("index"):
        return lambda fields: fields
    number = call.number("index")
    if number < 1:
        call.wrong("index", '":index" counts from 1')
    if call.has("last"):
        return lambda fields: fields[len(fields) - number : len(fields) - number + 1] if number <= len(fields) else ()
    return lambda fields: fields[number - 1 : number]


def _header(call: Call) -> Check:
    """Spec: RFC 5228 §5.7; RFC 5703 §4.2."""
    fields = fields_of(call, 0)
    match = matcher(call, 1)
    option = call.first_of("type", "subtype", "contenttype", "param")
    if option is None:
        return lambda run: match(run, [field.text for field in fields(run)])
    params = call.read_all("param", str.lower) if option == "param" else None

    def holds(run: Run) -> bool:
        wanted = params(run) if params else [option]
        return match(run, [value for field in fields(run) for value in _mime_values(field, wanted, option)])

    return holds


def _mime_values(field: HeaderField, wanted: Sequence[str], option: str) -> list[str]:
    """Give one aspect of a Content-Type or a Content-Disposition. Spec: RFC 5703 §4.2."""
    value, params, _ = valued(field.raw)
    if option == "param":
        return [text for name, text in params if name in wanted]
    if option == "contenttype":
        return [value]
    main, _, sub = value.partition("/")
    return [main if option == "type" else sub]


def _exists(call: Call) -> Check:
    """Spec: RFC 5228 §5.5."""
    names = call.read_all(0, str.lower)
    is_mime, is_deep = call.has("mime"), call.has("anychild")

    def all_exist(run: Run) -> bool:
        wanted = names(run)
        part = max(run.part, 0) if is_mime else 0
        parts = [part, *run.message.below(part)] if is_deep else [part]
        run.budget.spend(len(wanted) * len(parts))
        return all(any(run.message.named(name, at) for at in parts) for name in wanted)

    return all_exist


def _address(call: Call) -> Check:
    """Spec: RFC 5228 §5.1."""
    fields = fields_of(call, 0)
    match = matcher(call, 1)
    part = call.first_of("localpart", "domain", "user", "detail") or "all"

    def holds(run: Run) -> bool:
        values: list[str] = []
        for field in fields(run):
            for address in run.message.addresses(field):
                local_part = charset.decoded(address.local_part or b"")
                value = address_part(local_part, charset.decoded(address.domain or b""), part)
                if value is not None:
                    values.append(value)
        return match(run, values)

    return holds


def address_part(local_part: str, domain: str, part: str) -> str | None:
    """Give a part of an address; None for a detail that it does not have. Spec: RFC 5228 §2.7.4; RFC 5233 §4."""
    if part == "localpart":
        return local_part
    if part == "domain":
        return domain
    if part == "all":
        return f"{local_part}@{domain}" if domain else local_part
    user, separator, detail = local_part.partition(DETAIL_SEPARATOR)
    if part == "user":
        return user
    return detail if separator else None


def _envelope(call: Call) -> Check:
    """Spec: RFC 5228 §5.4."""
    names = call.read_all(0, _envelope_part)
    match = matcher(call, 1)
    part = call.first_of("localpart", "domain", "user", "detail") or "all"

    def holds(run: Run) -> bool:
        facts = run.facts
        known = {"from": facts.mail_from, "to": facts.rcpt_to, "auth": facts.auth or None}
        values: list[str] = []
        for name in names(run):
            text = known[name]
            if text is None:
                continue
            # The null sender is empty, whatever part of it is asked for.
            value = address_part(*_cut(text), part) if text else ""
            if value is not None:
                values.append(value)
        return match(run, values)

    return holds


def _envelope_part(text: str) -> str:
    name = text.lower()
    if name not in {"from", "to", "auth"}:
        raise BadWords(f'An envelope has "from", "to" and "auth", but no "{text[:60]}"')
    return name


def _cut(text: str) -> tuple[str, str]:
    """Cut an address of the envelope into local part, without quotes, and domain."""
    local_part, at, domain = text.rpartition("@")
    if not at:
        return text, ""
    if local_part.startswith('"') and local_part.endswith('"') and len(local_part) > 1:
        local_part = local_part[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return local_part, domain


def _size(call: Call) -> Check:
    """Spec: RFC 5228 §5.9."""
    if call.has("over"):
        limit = call.number("over")
        return lambda run: run.message.size_octets > limit
    if not call.has("under"):
        call.wrong("under", '"size" needs :over or :under and a number')
        return lambda _: False
    limit = call.number("under")
    return lambda run: run.message.size_octets < limit


_TWO_LISTS: Final = (Takes.TEXTS, Takes.TEXTS)
TESTS: Final = (
    TestForm("header", _TWO_LISTS, (*MATCH_TAGS, *INDEX_TAGS, *MIME_TAGS, *MIME_OPTIONS), build=_header),
    TestForm("exists", (Takes.TEXTS,), MIME_TAGS, build=_exists),
    TestForm("address", _TWO_LISTS, (*MATCH_TAGS, *ADDRESS_PART_TAGS, *INDEX_TAGS, *MIME_TAGS), build=_address),
    TestForm("envelope", _TWO_LISTS, (*MATCH_TAGS, *ADDRESS_PART_TAGS), ("envelope",), build=_envelope),
    TestForm(
        "size", tags=(TagForm("over", "limit", Takes.NUMBER), TagForm("under", "limit", Takes.NUMBER)), build=_size
    ),
)
EXTENSIONS: Final = (
    "envelope",
    "subaddress",
    "relational",
    "comparator-i;octet",
    "comparator-i;ascii-casemap",
    "comparator-i;ascii-numeric",
    "index",
    "regex",
)
