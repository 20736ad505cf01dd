"""From a command line to a command.

Spec: RFC 1939 §3: keyword and arguments are separated by single spaces; keywords are three or four characters and
case-insensitive (AUTH, CAPA, STLS, UTF8 came later and keep to it).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from mailstead.model.secret import Secret
from mailstead.proto.pop3 import types

NUMBER_MAX: Final = 2**31 - 1
"""Larger numbers are answered as unknown message or, for TOP, mean the whole message (attack row 56)."""

_NUMBER: Final = re.compile(rb"[0-9]{1,19}")
#   mechanism = sasl-mech (RFC 4422 §3.1): 1*20 of A-Z 0-9 - _ ; initial-response = base64 / "="
_AUTH: Final = re.compile(rb"([A-Za-z0-9_-]{1,20})(?: ([A-Za-z0-9+/=]+))?")

# Spec: attack row 26 (ALPACA). No POP3 keyword looks like one of these.
_HTTP_VERB: Final = re.compile(rb"(?:GET|POST|PUT|HEAD|DELETE|OPTIONS|PATCH|TRACE|CONNECT|PRI) ")


class BadCommand(Exception):
    """The line is no command, or has the wrong arguments; the text says what is expected."""


def looks_like_http(line: bytes) -> bool:
    """Whether another protocol is speaking to us. Spec: attack row 26."""
    return _HTTP_VERB.match(line) is not None


def keyword_of(line: bytes) -> bytes:
    """Give the keyword in upper case."""
    return line.partition(b" ")[0].upper()


def parse(line: bytes) -> types.Command:
    """Read one command line.

    Errors: BadCommand.
    """
    keyword, space, argument = line.partition(b" ")
    reader = _READERS.get(keyword.upper())
    if reader is None:
        raise BadCommand("Unknown command")
    if b"\0" in argument:
        raise BadCommand("NUL is not allowed")
    return reader(argument if space else None)


def _plain(command: types.Command) -> Callable[[bytes | None], types.Command]:
    """A command without arguments."""

    def read(argument: bytes | None) -> types.Command:
        if argument:
            raise BadCommand("No argument is expected")
        return command

    return read


def _number(text: bytes | None) -> int:
    if text is None or not _NUMBER.fullmatch(text):
        raise BadCommand("A message number is expected")
    return min(int(text), NUMBER_MAX)


def _top(argument: bytes | None) -> types.Command:
    """TOP. Spec: RFC 1939 §7."""
    number, _, line_count = (argument or b"").strip().partition(b" ")
    if not _NUMBER.fullmatch(line_count):
        raise BadCommand("TOP is followed by a message number and a count of lines")
    return types.Top(_number(number), min(int(line_count), NUMBER_MAX))


def _auth(argument: bytes | None) -> types.Command:
    """AUTH. Spec: RFC 5034 §4."""
    match = _AUTH.fullmatch(argument or b"")
    if not match:
        raise BadCommand("AUTH is followed by a mechanism and, if wanted, its first response in base64")
    return types.Auth(match[1].decode("ascii").upper(), match[2])


def _text(argument: bytes | None) -> str:
    """Read a name or password: everything behind the first space, spaces included. Spec: RFC 1939 §7, RFC 6856 §2.2.

    UTF-8 is taken also without the UTF8 command: the alternative is a log-in that fails for no visible reason.
    """
    if not argument:
        raise BadCommand("An argument is missing")
    try:
        return argument.decode("utf-8")
    except UnicodeDecodeError:
        raise BadCommand("The argument is not UTF-8") from None


_READERS: Final[dict[bytes, Callable[[bytes | None], types.Command]]] = {
    b"CAPA": _plain(types.Capa()),
    b"STLS": _plain(types.Stls()),
    b"AUTH": _auth,
    b"USER": lambda argument: types.User(_text(argument)),
    b"PASS": lambda argument: types.Pass(Secret(_text(argument))),
    b"UTF8": _plain(types.Utf8()),
    b"STAT": _plain(types.Stat()),
    b"LIST": lambda argument: types.List(_number(argument) if argument else None),
    b"UIDL": lambda argument: types.Uidl(_number(argument) if argument else None),
    b"RETR": lambda argument: types.Retr(_number(argument)),
    b"TOP": _top,
    b"DELE": lambda argument: types.Dele(_number(argument)),
    b"RSET": _plain(types.Rset()),
    b"NOOP": _plain(types.Noop()),
    b"QUIT": _plain(types.Quit()),
}

KEYWORDS: Final = frozenset(_READERS)
