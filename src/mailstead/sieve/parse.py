"""From tokens to the syntax tree.

Spec: RFC 5228 §8.2.
"""

from __future__ import annotations

from typing import Final

from mailstead.sieve.errors import PROBLEMS_MAX, Problem, SieveError
from mailstead.sieve.lexer import Kind, Lexer, Token
from mailstead.sieve.tree import Argument, Command, Number, Place, Tag, Test, Text, TextList, Tree

DEPTH_MAX: Final = 32
"""Of blocks and tests inside each other, together."""
LIST_MAX: Final = 4096
"""Strings in one list."""


def parse(text: str) -> Tree:
    """Read a script.

    Spec: RFC 5228 §8.2 (start).
    Errors: SieveError, with all that is wrong; after an error reading goes on at the next command.
    """
    lexer = Lexer(text)
    parser = _Parser(lexer.tokens(), lexer.problems)
    if lexer.is_cut:
        raise SieveError(lexer.problems)
    try:
        commands = parser.commands(0)
    except _GiveUp:
        commands = ()
    if parser.problems:
        raise SieveError(parser.problems)
    return Tree(commands)


class _Wrong(Exception):
    """A command cannot be read further; it has been told."""


class _GiveUp(Exception):
    """Nothing that follows can be made sense of; it has been told."""


class _Parser:
    def __init__(self, tokens: list[Token], problems: list[Problem]) -> None:
        self.tokens = tokens
        self.problems = problems
        self.at = 0

    # commands = *command ; command = identifier arguments (";" / block)
    # arguments = *argument [ test / test-list ] ; block = "{" commands "}"
    def commands(self, depth: int) -> tuple[Command, ...]:
        """Read commands up to the end of the block, or of the script at depth 0."""
        commands: list[Command] = []
        while True:
            comment = self._comment()
            token = self._peek()
            if token.kind is Kind.END or (token.value == "}" and token.kind is Kind.MARK and depth):
                return tuple(commands)
            try:
                commands.append(self._command(depth, comment))
            except _Wrong:
                self._go_on()

    def _command(self, depth: int, comment: tuple[str, ...]) -> Command:
        token = self._next()
        if token.kind is not Kind.IDENTIFIER:
            if token.kind is Kind.MARK and token.value == "}":
                self._tell(token.place, "There is no { for this }; remove it")
                return Command("stop", place=token.place)  # any will do: the script is refused
            raise self._wrong(token, f"A command is expected here, not {_shown(token)}")
        arguments = self._arguments()
        tests, is_list = self._tests(depth)
        end = self._next()
        if end.kind is Kind.MARK and end.value == ";":
            return Command(token.value, arguments, tests, is_list, None, comment, token.place)
        if end.kind is Kind.MARK and end.value == "{":
            self._must_not_be_deep(depth, end.place)
            block = self.commands(depth + 1)
            if self._next().kind is Kind.END:
                self._tell(end.place, "This block has no end; close it with }")
                raise _GiveUp
            return Command(token.value, arguments, tests, is_list, block, comment, token.place)
        raise self._wrong(end, f'{_shown(end)} does not fit behind "{token.value}"; is a ; missing before it?')

    # argument = string-list / number / tag ; string-list = "[" string *("," string) "]" / string
    def _arguments(self) -> tuple[Argument, ...]:
        arguments: list[Argument] = []
        while True:
            token = self._peek()
            if token.kind is Kind.NUMBER:
                arguments.append(Number(token.number, token.place))
            elif token.kind is Kind.TEXT:
                arguments.append(Text(token.value, token.place))
            elif token.kind is Kind.TAG:
                arguments.append(Tag(token.value, token.place))
            elif token.kind is Kind.MARK and token.value == "[":
                arguments.append(self._list())
                continue
            else:
                return tuple(arguments)
            self.at += 1

    def _list(self) -> TextList:
        start = self._next()
        texts: list[Text] = []
        while True:
            token = self._next()
            if token.kind is not Kind.TEXT:
                raise self._wrong(token, f"A string is expected in this list, not {_shown(token)}")
            texts.append(Text(token.value, token.place))
            token = self._next()
            if token.kind is Kind.MARK and token.value == "]":
                break
            if token.kind is not Kind.MARK or token.value != ",":
                raise self._wrong(token, f"In a list , or ] is expected here, not {_shown(token)}")
        if len(texts) > LIST_MAX:
            self._tell(start.place, f"A list may have {LIST_MAX} strings; split it")
        return TextList(tuple(texts), start.place)

    # test = identifier arguments ; test-list = "(" test *("," test) ")"
    def _tests(self, depth: int) -> tuple[tuple[Test, ...], bool]:
        token = self._peek()
        if token.kind is Kind.IDENTIFIER:
            return (self._test(depth + 1),), False
        if token.kind is not Kind.MARK or token.value != "(":
            return (), False
        self.at += 1
        tests = [self._test(depth + 1)]
        while True:
            token = self._next()
            if token.kind is Kind.MARK and token.value == ")":
                return tuple(tests), True
            if token.kind is not Kind.MARK or token.value != ",":
                raise self._wrong(token, f"In a list of tests , or ) is expected here, not {_shown(token)}")
            tests.append(self._test(depth + 1))

    def _test(self, depth: int) -> Test:
        token = self._next()
        if token.kind is not Kind.IDENTIFIER:
            raise self._wrong(token, f"A test is expected here, not {_shown(token)}")
        self._must_not_be_deep(depth, token.place)
        arguments = self._arguments()
        tests, is_list = self._tests(depth)
        return Test(token.value, arguments, tests, is_list, token.place)

    def _comment(self) -> tuple[str, ...]:
        lines: list[str] = []
        while self.tokens[self.at].kind is Kind.COMMENT:
            lines += self.tokens[self.at].value.split("\n")
            self.at += 1
        return tuple(lines)

    def _peek(self) -> Token:
        while self.tokens[self.at].kind is Kind.COMMENT:
            self.at += 1
        return self.tokens[self.at]

    def _next(self) -> Token:
        token = self._peek()
        if token.kind is not Kind.END:
            self.at += 1
        return token

    def _go_on(self) -> None:
        """Pass over the rest of a command that is wrong, with its blocks."""
        depth = 0
        while True:
            token = self._peek()
            if token.kind is Kind.END:
                return
            mark = token.value if token.kind is Kind.MARK else ""
            if mark == "}" and not depth:
                return
            self.at += 1
            depth += {"{": 1, "}": -1}.get(mark, 0)
            if mark in {";", "}"} and not depth:
                return

    def _must_not_be_deep(self, depth: int, place: Place) -> None:
        if depth >= DEPTH_MAX:
            self._tell(place, f"Blocks and tests may lie {DEPTH_MAX} deep in each other; make the script flatter")
            raise _GiveUp

    def _tell(self, place: Place, what: str) -> None:
        self.problems.append(Problem(*place, what))
        if len(self.problems) >= PROBLEMS_MAX:
            raise _GiveUp

    def _wrong(self, token: Token, what: str) -> _Wrong:
        """Tell it; what the wrong token is belongs to the next command perhaps, so it is looked at again."""
        self._tell(token.place, what[:1].upper() + what[1:])
        if token.kind is not Kind.END and self.tokens[self.at - 1] is token and token.value in {";", "{", "}"}:
            self.at -= 1
        return _Wrong()


def _shown(token: Token) -> str:
    if token.kind in {Kind.END, Kind.TEXT}:
        return str(token.kind.value)
    return f'":{token.value[:40]}"' if token.kind is Kind.TAG else f'"{token.value[:40]}"'
