"""From the pieces of a command to the command. Spec: RFC 5804 §4 (formal syntax)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from mailstead.proto.managesieve import types

Argument = bytes | int
"""A string, or a number."""

NUMBER_MAX: Final = 2**32 - 1
ARGUMENTS_MAX: Final = 3
"""No command has more."""

#   command names are atoms: 1*1024 of ASCII letters and digits
_KEYWORD: Final = re.compile(rb"[A-Za-z0-9-]{1,32}")
#   quoted = <"> *1024QUOTED-CHAR <"> ; QUOTED-CHAR = SAFE-UTF8-CHAR / "\" QUOTED-SPECIALS
_ARGUMENT: Final = re.compile(rb' +(?:"((?:[^"\\\r\n\0]|\\["\\])*)"|([0-9]{1,10})(?= |\Z)|(\{[0-9]{1,10}\+\})\Z)')
_ESCAPED: Final = re.compile(rb'\\(["\\])')
_MECHANISM: Final = re.compile(rb"[A-Za-z0-9_-]{1,20}")

# Spec: attack row 26 (ALPACA). No command of ManageSieve looks like one of these.
_HTTP_VERB: Final = re.compile(rb"(?:GET|POST|PUT|HEAD|DELETE|OPTIONS|PATCH|TRACE|CONNECT|PRI) ")


class BadCommand(Exception):
    """The line is no command, or has the wrong arguments; the text says what is expected."""


def looks_like_http(line: bytes) -> bool:
    """Whether another protocol is speaking to us. Spec: attack row 26."""
    return _HTTP_VERB.match(line) is not None


def parse(pieces: Sequence[bytes]) -> types.Command:
    """Read one command.

    Errors: BadCommand.
    """
    keyword = _KEYWORD.match(pieces[0])
    reader = _READERS.get(keyword[0].upper()) if keyword else None
    if keyword is None or reader is None:
        raise BadCommand("Unknown command")
    return reader(_arguments(pieces, keyword.end()))


def response(pieces: Sequence[bytes]) -> bytes:
    """Read the one string that a client sends within SASL. Spec: RFC 5804 §2.1.

    Errors: BadCommand.
    """
    arguments = _arguments([b" " + pieces[0], *pieces[1:]], 0)
    if len(arguments) != 1 or not isinstance(arguments[0], bytes):
        raise BadCommand("One string is expected")
    return arguments[0]


def _arguments(pieces: Sequence[bytes], position: int) -> list[Argument]:
    found: list[Argument] = []
    for index in range(0, len(pieces), 2):
        line = pieces[index]
        while position < len(line):
            match = _ARGUMENT.match(line, position)
            if match is None or len(found) >= ARGUMENTS_MAX:
                raise BadCommand('Arguments are "strings", {n+} literals and numbers, each behind a space')
            position = match.end()
            quoted, number, announced = match.groups()
            if quoted is not None:
                found.append(_ESCAPED.sub(rb"\1", quoted))
            elif number is not None:
                found.append(int(number))
            elif announced is not None and index + 1 < len(pieces):
                found.append(pieces[index + 1])
        position = 0
    return found


def _plain(command: types.Command) -> Callable[[list[Argument]], types.Command]:
    """A command without arguments."""

    def read(arguments: list[Argument]) -> types.Command:
        if arguments:
            raise BadCommand("No argument is expected")
        return command

    return read


def _names(arguments: list[Argument], count: int) -> list[str]:
    """Read so many names. What may be in them is decided by who keeps scripts. Spec: RFC 5804 §1.6."""
    names: list[str] = []
    for argument in arguments:
        if not isinstance(argument, bytes):
            raise BadCommand("A name is a string")
        try:
            names.append(argument.decode("utf-8"))
        except UnicodeDecodeError:
            raise BadCommand("A name is UTF-8") from None
    if len(names) != count:
        raise BadCommand(f"{count} name{'s are' if count > 1 else ' is'} expected")
    return names


def _authenticate(arguments: list[Argument]) -> types.Command:
    """AUTHENTICATE. Spec: RFC 5804 §2.1."""
    match arguments:
        case [bytes() as mechanism] if _MECHANISM.fullmatch(mechanism):
            return types.Authenticate(mechanism.decode("ascii").upper(), None)
        case [bytes() as mechanism, bytes() as initial_response] if _MECHANISM.fullmatch(mechanism):
            return types.Authenticate(mechanism.decode("ascii").upper(), initial_response)
        case _:
            raise BadCommand("AUTHENTICATE is followed by a mechanism and, if wanted, its first response in base64")


def _have_space(arguments: list[Argument]) -> types.Command:
    """HAVESPACE. Spec: RFC 5804 §2.5."""
    if len(arguments) != 2 or not isinstance(arguments[1], int):
        raise BadCommand("HAVESPACE is followed by a name and a size")
    return types.HaveSpace(_names(arguments[:1], 1)[0], min(arguments[1], NUMBER_MAX))


def _put_script(arguments: list[Argument]) -> types.Command:
    """PUTSCRIPT. Spec: RFC 5804 §2.6."""
    if len(arguments) != 2 or not isinstance(arguments[1], bytes):
        raise BadCommand("PUTSCRIPT is followed by a name and a script")
    return types.PutScript(_names(arguments[:1], 1)[0], arguments[1])


def _check_script(arguments: list[Argument]) -> types.Command:
    """CHECKSCRIPT. Spec: RFC 5804 §2.12."""
    if len(arguments) != 1 or not isinstance(arguments[0], bytes):
        raise BadCommand("CHECKSCRIPT is followed by a script")
    return types.CheckScript(arguments[0])


def _noop(arguments: list[Argument]) -> types.Command:
    """NOOP. Spec: RFC 5804 §2.13."""
    match arguments:
        case []:
            return types.Noop(None)
        case [bytes() as tag]:
            return types.Noop(tag)
        case _:
            raise BadCommand("NOOP is followed by nothing or one string")


_READERS: Final[dict[bytes, Callable[[list[Argument]], types.Command]]] = {
    b"CAPABILITY": _plain(types.Capability()),
    b"STARTTLS": _plain(types.StartTls()),
    b"AUTHENTICATE": _authenticate,
    b"UNAUTHENTICATE": _plain(types.Unauthenticate()),
    b"LOGOUT": _plain(types.Logout()),
    b"NOOP": _noop,
    b"HAVESPACE": _have_space,
    b"PUTSCRIPT": _put_script,
    b"LISTSCRIPTS": _plain(types.ListScripts()),
    b"SETACTIVE": lambda arguments: types.SetActive(_names(arguments, 1)[0]),
    b"GETSCRIPT": lambda arguments: types.GetScript(_names(arguments, 1)[0]),
    b"DELETESCRIPT": lambda arguments: types.DeleteScript(_names(arguments, 1)[0]),
    b"RENAMESCRIPT": lambda arguments: types.RenameScript(*_names(arguments, 2)),
    b"CHECKSCRIPT": _check_script,
}

KEYWORDS: Final = frozenset(_READERS)
