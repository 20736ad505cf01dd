r"""Aliases that are regular expressions: ``/^sales-(.+)$/`` takes mail for ``sales-anything``.

The engine is RE2: its time grows with the length of what is read and with nothing else, whatever the expression
(attack row 59); back references and look-around, which would cost more, do not exist in it. Case never matters. An
expression need not match from end to end: ``^`` and ``$`` say so.

In the local part of a target ``$1`` to ``$9`` stand for what the groups have matched and ``$&`` for the whole match.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

import re2

from mailstead.model.address import LOCAL_PART_OCTETS_MAX, Address, normal_domain
from mailstead.model.directory import Target
from mailstead.model.errors import BadAddress, BadTarget

PATTERN_CHARACTERS_MAX: Final = 200
PROGRAM_OCTETS_MAX: Final = 256 * 1024
"""Memory of one compiled expression: nested repetitions such as ``((a{100}){100}){10}`` are refused."""

_WRITTEN: Final = re.compile(r"/(.+)/([a-z]*)", re.DOTALL)
_FLAGS: Final = frozenset("dgimsuvy")
"""Flags that other servers allow behind the second slash; as case never matters, none of them says anything here."""
_REFERENCE: Final = re.compile(r"\$([1-9&])")
_CARRIED: Final = re.compile(r"[^\s\x00-\x20\x7f()<>\[\]:;@\\,\"%!]+")
"""Local parts that strangers may choose for an address elsewhere: nothing that could be read as a route (row 12)."""

_OPTIONS: Final = re2.Options()
_OPTIONS.case_sensitive = False
_OPTIONS.log_errors = False
_OPTIONS.max_mem = PROGRAM_OCTETS_MAX


class Pattern:
    """A compiled expression. Errors: BadAddress, with the reason."""

    __slots__ = ("_expression", "group_count")

    def __init__(self, local_part: str) -> None:
        text = local_part[1:-1]
        if len(text) > PATTERN_CHARACTERS_MAX:
            raise BadAddress(f"A regular expression has at most {PATTERN_CHARACTERS_MAX} characters")
        try:
            self._expression: Any = re2.compile(text, _OPTIONS)
        except re2.error as error:
            raise BadAddress(f"The regular expression cannot be used: {_reason(error)}") from None
        except UnicodeEncodeError:
            raise BadAddress("The regular expression has characters that are none") from None
        self.group_count: int = self._expression.groups

    def match(self, local_part: str) -> Match | None:
        """Give what it finds in a local part; None where it does not match."""
        try:
            found = self._expression.search(local_part)
        except UnicodeEncodeError:  # half a surrogate pair is no text
            return None
        return Match((found.group(), *found.groups())) if found else None

    def must_allow(self, target: Target) -> None:
        """Errors: BadTarget, when the target asks for a group that is not there."""
        for reference in _references(target):
            if int(reference) > self.group_count:
                raise BadTarget(f"{target} asks for ${reference}, but the expression has {self.group_count} groups")


class Match:
    """What an expression has found: the whole, then its groups (None: a group that took no part)."""

    __slots__ = ("_texts",)

    def __init__(self, texts: tuple[str | None, ...]) -> None:
        self._texts = texts

    def substituted(self, target: Address) -> Address | None:
        """Give the address with its ``$1`` … ``$9`` and ``$&`` replaced; None if that makes none to send mail to."""
        if "$" not in target.local_part:
            return target
        local_part = _REFERENCE.sub(lambda reference: self._text(reference[1]), target.local_part)
        return Address(local_part, target.domain) if may_be_carried(local_part) else None

    def _text(self, reference: str) -> str:
        number = 0 if reference == "&" else int(reference)
        return (self._texts[number] or "") if number < len(self._texts) else ""


@lru_cache(maxsize=1024)
def compiled(local_part: str) -> Pattern:
    """Give the pattern of an alias (``/…/``). Errors: BadAddress."""
    return Pattern(local_part)


def matched(pattern: str, local_part: str) -> Match | None:
    """Give what the pattern of an alias finds in a local part.

    What cannot be compiled matches nothing: it was an ordinary name in a first release, and is taken no more.
    """
    try:
        return compiled(pattern).match(local_part)
    except BadAddress:
        return None


def may_be_carried(local_part: str) -> bool:
    """Whether a local part that a stranger chose may go on to another address."""
    return (
        len(local_part.encode("utf-8", "replace")) <= LOCAL_PART_OCTETS_MAX
        and bool(_CARRIED.fullmatch(local_part))
        and "" not in local_part.split(".")
    )


def alias_address(text: str) -> Address:
    """Read the address of an alias: ``name@domain``, ``*@domain`` or ``/expression/@domain``; ``**`` is ``*``.

    Errors: BadAddress.
    """
    name, at, domain = text.rpartition("@")
    if name.startswith("/") and at:
        return Address(pattern_name(name), normal_domain(domain)) if _WRITTEN.fullmatch(name) else Address.parse(text)
    if name and not name.strip("*"):
        return Address("*", normal_domain(domain))
    return Address.parse(text)


def pattern_name(text: str) -> str:
    """Give ``/expression/`` for ``/expression/flags``. Errors: BadAddress for flags that nobody knows."""
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise BadAddress("A regular expression stands between slashes, as /^sales-(.+)$/")
    if unknown := set(written[2]) - _FLAGS:
        raise BadAddress(f"A regular expression has no flag {min(unknown)!r}; case never matters")
    return f"/{written[1]}/"


def _references(target: Target) -> list[str]:
    if not isinstance(target, Address):
        return []
    return [reference for reference in _REFERENCE.findall(target.local_part) if reference != "&"]


def _reason(error: Exception) -> str:
    cause = error.args[0] if error.args else ""
    text = cause.decode("utf-8", "replace") if isinstance(cause, bytes) else str(cause)
    if re.search(r"invalid escape sequence: \\[1-9]", text) or text == "invalid perl operator: (?P":
        return "back references such as \\1 are not possible"
    if text.startswith("invalid perl operator: (?"):
        return f"look-around such as {text.removeprefix('invalid perl operator: ')} is not possible"
    if "pattern too large" in text:
        return "its repetitions make it too large"
    return text
