"""Address lists: who a message says it is from and to.

A short way for the form nearly all senders write, and a full reader for the rest. Both give the raw octets of the
display name, as ENVELOPE wants them; `display_name` decodes.

Spec: RFC 5322 §3.4 and §4.4 (obsolete forms), RFC 6532 §3.2.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from mailstead.mime.header import text_of, unfolded


class ListedAddress(NamedTuple):
    """One address structure. Spec: RFC 9051 §7.5.2 (address).

    A group is an entry with only a local part (its name), the members, and an entry with nothing.
    """

    name: bytes | None
    """Display name, unquoted, encoded words left as they are."""
    route: bytes | None
    """Spec: RFC 5322 §4.4 (obs-route)."""
    local_part: bytes | None
    domain: bytes | None
    """Empty for a mailbox without one; None marks a group."""


GROUP_END: Final = ListedAddress(None, None, None, None)
_CACHED_OCTETS: Final = 200

# RFC 5322 §3.4:  name-addr = [display-name] angle-addr ; angle-addr = "<" addr-spec ">" ; addr-spec
# without comments, quoted pairs, routes and groups.
_SHORT: Final = re.compile(
    rb'([^"(),:;<>@\[\\\]]*)(?:"([^"\\]*)"[ \t]*)?<([^"(),:;<>@\[\\\]\s]+)@([^"(),:;<>@\[\\\]\s]+)>[ \t\r\n]*(?:,|\Z)'
    rb'|[ \t\r\n]*([^"(),:;<>@\[\\\]\s]+)@([^"(),:;<>@\[\\\]\s]+)[ \t\r\n]*(?:,|\Z)'
)
# One token: white space, quoted string, domain literal, comment start, special, or atom with dots.
_TOKEN: Final = re.compile(
    rb'[ \t\r\n]+|"([^"\\]*(?:\\.[^"\\]*)*)"?|(\[[^\]]*\]?)|(\()|([<>@,;:])|([^\s"\[(<>@,;:]+)|.', re.DOTALL
)
_COMMENT_EDGE: Final = re.compile(rb"\\.|[()]", re.DOTALL)
_QUOTED_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)


def addresses_of(value: bytes) -> tuple[ListedAddress, ...]:
    """Read an address list; what makes no sense is read as well as it can be, never refused.

    Spec: RFC 5322 §3.4, §4.4.
    """
    return _read_cached(value) if len(value) <= _CACHED_OCTETS else _read(value)


def _read(value: bytes) -> tuple[ListedAddress, ...]:
    addresses: list[ListedAddress] = []
    position, end = 0, len(value)
    while position < end:
        found = _SHORT.match(value, position)
        if found is None:
            break
        position = found.end()
        words, quoted, local_part, domain, bare_local_part, bare_domain = found.groups()
        if bare_local_part is not None:
            addresses.append(ListedAddress(None, None, bare_local_part, bare_domain))
            continue
        words = unfolded(words)
        if quoted is not None:
            words = b" ".join((words, unfolded(quoted))) if words else unfolded(quoted)
        addresses.append(ListedAddress(words or None, None, local_part, domain))
    if position < end and value[position:].strip():
        addresses += _Reader().read(value[position:])
    return tuple(addresses)


_read_cached = lru_cache(maxsize=4096)(_read)


def display_name(address: ListedAddress) -> str:
    """Give the decoded display name, or the address itself when it has none; empty for nothing.

    Spec: RFC 5957 §2.
    """
    name = text_of(address.name) if address.name else ""
    if name:
        return name
    local_part = text_of(address.local_part or b"")
    return f"{local_part}@{text_of(address.domain)}" if address.domain and local_part else local_part


def search_text_of(value: bytes) -> str:
    """Give all addresses of a field decoded, for substring search. Spec: RFC 9051 §6.4.4 (FROM, TO, CC, BCC)."""
    texts: list[str] = []
    for address in addresses_of(value):
        spec = b"@".join(part for part in (address.local_part, address.domain) if part)
        name = text_of(address.name) if address.name else ""
        if name and spec:
            texts.append(f"{name} <{text_of(spec)}>")
        elif name or spec:
            texts.append(name or text_of(spec))
    return ", ".join(texts)


class _Reader:
    """The full reader: one pass over tokens, keeping what belongs to the address being read."""

    def __init__(self) -> None:
        self.addresses: list[ListedAddress] = []
        self.is_in_group = False
        self._begin()

    def _begin(self) -> None:
        self.words: list[tuple[bytes, bool]] = []
        """Words so far, each with whether white space stood before it."""
        self.spec: list[bytes] = []
        """What stands between < and >."""
        self.is_in_angle = False
        self.had_angle = False
        self.at_word = -1
        """Index of the last word before a bare @."""
        self.comment: bytes | None = None

    def read(self, value: bytes) -> list[ListedAddress]:
        """Read all addresses."""
        position, end = 0, len(value)
        is_spaced = True
        while position < end:
            found = _TOKEN.match(value, position)
            assert found is not None  # the last branch takes any octet
            position = found.end()
            quoted, literal, comment, special, atom = found.groups()
            if quoted is not None:
                self._word(unfolded(_QUOTED_PAIR.sub(rb"\1", quoted)), is_spaced=is_spaced)
            elif comment is not None:
                position = self._comment(value, position)
            elif special is not None:
                self._special(special)
            elif literal is not None or atom is not None:
                self._word(literal or atom, is_spaced=is_spaced)
            else:
                is_spaced = True
                continue
            is_spaced = False
        self._finish()
        if self.is_in_group:
            self.addresses.append(GROUP_END)
        return self.addresses

    def _word(self, word: bytes, *, is_spaced: bool) -> None:
        if self.is_in_angle:
            self.spec.append(word)
        elif not self.had_angle:
            self.words.append((word, is_spaced))

    def _comment(self, value: bytes, position: int) -> int:
        """Pass over a comment, nested or not; the text of the last one may serve as a name."""
        start, depth = position, 1
        while depth:
            edge = _COMMENT_EDGE.search(value, position)
            if edge is None:
                self.comment = unfolded(value[start:])
                return len(value)
            position = edge.end()
            depth += {b"(": 1, b")": -1}.get(edge[0], 0)
        self.comment = unfolded(_QUOTED_PAIR.sub(rb"\1", value[start : position - 1]))
        return position

    def _special(self, special: bytes) -> None:
        if special == b"<" and not self.is_in_angle:
            self.is_in_angle, self.spec = True, []
        elif special == b">":
            self.had_angle, self.is_in_angle = self.had_angle or self.is_in_angle, False
        elif self.is_in_angle and not (special == b";" and self.is_in_group):
            # Commas and colons in angle brackets belong to a route.
            self.spec.append(special)
        elif special == b",":
            self._finish()
        elif special == b";":
            self._finish()
            if self.is_in_group:
                self.addresses.append(GROUP_END)
                self.is_in_group = False
        elif special == b":" and not self.is_in_group and not self.had_angle:
            name = b" ".join(word for word, _ in self.words)
            self.addresses.append(ListedAddress(None, None, name, None))
            self.is_in_group = True
            self._begin()
        elif special == b"@" and not self.had_angle:
            if self.at_word >= 0:
                # Of several, the last one stands before the domain.
                self.words.insert(self.at_word, (b"@", False))
            self.at_word = len(self.words)

    def _finish(self) -> None:
        """Make an address of what was read since the last comma."""
        if self.had_angle or self.is_in_angle:
            name = b" ".join(word for word, _ in self.words) or self.comment
            self.addresses.append(_of_angle(name or None, self.spec))
        elif self.words:
            self.addresses.append(self._bare())
        self._begin()

    def _bare(self) -> ListedAddress:
        """Make an address of words without angle brackets; a comment is its name."""
        if self.at_word < 0:
            return ListedAddress(self.comment, None, b" ".join(word for word, _ in self.words), b"")
        before, after = self.words[: self.at_word], self.words[self.at_word :]
        # RFC 5322 §4.4 allows white space around the dots of a local part; other words before it are a name.
        first = len(before) - 1
        while first > 0 and (not before[first][1] or before[first][0][:1] == b"." or before[first - 1][0][-1:] == b"."):
            first -= 1
        first = max(first, 0)
        last = 1
        while last < len(after) and (
            not after[last][1] or after[last][0][:1] == b"." or after[last - 1][0][-1:] == b"."
        ):
            last += 1
        name = b" ".join(word for word, _ in before[:first]) or self.comment
        return ListedAddress(
            name or None,
            None,
            b"".join(word for word, _ in before[first:]),
            b"".join(word for word, _ in after[:last]),
        )


def _of_angle(name: bytes | None, spec: list[bytes]) -> ListedAddress:
    """Make an address of what stood in angle brackets: ``[route ":"] local-part "@" domain``."""
    route = None
    if spec[:1] == [b"@"] and b":" in spec:
        colon = spec.index(b":")
        route, spec = b"".join(spec[:colon]), spec[colon + 1 :]
    if b"@" not in spec:
        return ListedAddress(name, route, b"".join(spec), b"")
    at = len(spec) - 1 - spec[::-1].index(b"@")
    return ListedAddress(name, route, b"".join(spec[:at]), b"".join(spec[at + 1 :]))
