"""A script as a list of rules, with all that is no rule kept in its place, to the letter.

Each top-level command is a block, an ``if`` with what belongs to it too; comments before a block, and one behind it on
its last line, are part of it. A block that is one simple rule is shown as a rule; whatever else people or other editors
have written stays as it is, and so does a rule that nobody changes.

Spec: RFC 5228 §3.1, §3.2, §8.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mailstead.sieve.lexer import Kind, Lexer, Token, text_of
from mailstead.sieve.parse import parse
from mailstead.sieve.rules import writing
from mailstead.sieve.rules.reading import rule_of
from mailstead.sieve.rules.rule import BadRule, Rule, checked
from mailstead.sieve.tree import Command, Test, Text, TextList, Tree
from mailstead.sieve.write import write

_REST_OF_LINE: Final = re.compile(r"[ \t]*(?:#[^\n]*|/\*[^\n]*?\*/[ \t]*)?(?:\r?\n|\Z)")
_NAME: Final = re.compile(r"rule:\[(.*)\]\s*|Filter:(.*)")
"""Of Roundcube's editor and others after it; of the library sievelib."""
_INTERPRETED: Final = frozenset({"variables", "encoded-character"})
"""Extensions with which ``${`` in a string means something."""


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of a script."""

    text: str
    commands: tuple[Command, ...]
    rule: Rule | None
    """None: it is more than a simple rule."""
    name: str = ""
    """That a comment gives it, simple rule or not."""


@dataclass(frozen=True, slots=True)
class Document:
    """A script in pieces: `head`, the texts of all blocks and `tail` together are its text."""

    head: str
    """All ``require``, with what stands before them."""
    requires: tuple[Command, ...]
    blocks: tuple[Block, ...]
    tail: str
    """Comments after all else."""

    @property
    def text(self) -> str:
        """The whole script."""
        return self.head + "".join(block.text for block in self.blocks) + self.tail

    @property
    def extensions(self) -> frozenset[str]:
        """Those it requires."""
        return frozenset(_strings(self.requires))

    @property
    def interprets(self) -> bool:
        """Whether ``${`` in a string may mean something."""
        return bool(_INTERPRETED & (self.extensions | _asked_for(self.blocks)))


def read(octets: bytes) -> Document:
    """Read a script.

    Errors: SieveError, for one that is no Sieve at all.
    """
    text = text_of(octets)
    tree = parse(text)
    pieces, tail = _pieces(text, tree)
    requires_count = 0
    while requires_count < len(pieces) and pieces[requires_count].commands[0].name == "require":
        requires_count += 1
    head = "".join(piece.text for piece in pieces[:requires_count])
    requires = tuple(piece.commands[0] for piece in pieces[:requires_count])
    plain = Document(head, requires, tuple(Block(each.text, each.commands, None) for each in pieces), tail)
    interprets = plain.interprets
    blocks = tuple(_block(each, interprets=interprets) for each in pieces[requires_count:])
    return Document(head, requires, blocks, tail)


def changed(document: Document, wanted: Sequence[Rule | int]) -> Document:
    """Give a script of these blocks, in this order: those of `document` by number from 0, as they are, and rules.

    Errors: BadRule, also where the script's own commands would give a rule another meaning.
    """
    if list(wanted) == list(range(len(document.blocks))):
        return document
    rules = [each if isinstance(each, int) else checked(each) for each in wanted]
    if document.interprets and any("${" in text for rule in _new(rules) for text in writing.strings_of(rule)):
        raise BadRule('This script uses variables; "${" in a rule would be taken for one')
    text = _head(document, rules)
    before: int | None = -1
    for each in rules:
        number = each if isinstance(each, int) else None
        follows = number is not None and before is not None and number == before + 1
        if text and not text.endswith("\n") and not follows:
            text += "\r\n"
        text += document.blocks[each].text if isinstance(each, int) else writing.text_of(each)
        before = number
    if document.tail and text and not text.endswith("\n"):
        text += "\r\n"
    made = read((text + document.tail).encode())
    _compare(document, made, rules)
    return made


def _new(wanted: Iterable[Rule | int]) -> Iterator[Rule]:
    return (each for each in wanted if isinstance(each, Rule))


def _compare(document: Document, made: Document, wanted: Sequence[Rule | int]) -> None:
    """See that each block says what it should before anybody keeps it. Errors: BadRule."""
    rules = [document.blocks[each].rule if isinstance(each, int) else each for each in wanted]
    kept = [document.blocks[each] for each in wanted if isinstance(each, int)]
    others = [block.commands for block in kept if block.rule is None]
    made_others = [block.commands for block in made.blocks if block.rule is None]
    if [block.rule for block in made.blocks] != rules or list(map(_bare, made_others)) != list(map(_bare, others)):
        raise BadRule("That cannot be written without changing another part of the script")


def _bare(commands: tuple[Command, ...] | None) -> tuple[Command, ...] | None:
    """Leave comments out: whose they are differs with what stands before."""
    if commands is None:
        return None
    return tuple(replace(command, comment=(), block=_bare(command.block)) for command in commands)


def _head(document: Document, wanted: Sequence[Rule | int]) -> str:
    """Give what stands before the blocks: more is required if need be; less if all the rest is rules of ours."""
    kept = [document.blocks[each] for each in wanted if isinstance(each, int)]
    rules = [*_new(wanted), *(block.rule for block in kept if block.rule is not None)]
    needed = frozenset[str]().union(*map(writing.extensions_of, rules))
    is_ours = all(block.rule is not None for block in kept) and "#" not in document.head and "/*" not in document.head
    if needed == document.extensions or (not is_ours and needed <= document.extensions):
        return document.head
    if is_ours:
        return _require(needed)
    head = document.head
    if head and not head.endswith("\n"):
        head += "\r\n"
    return head + _require(needed - document.extensions)


def _require(names: Iterable[str]) -> str:
    texts = tuple(map(Text, sorted(names)))
    return write(Tree((Command("require", (TextList(texts),)),))) if texts else ""


def _strings(commands: Iterable[Command | Test]) -> Iterator[str]:
    for command in commands:
        for argument in command.arguments:
            if isinstance(argument, Text):
                yield argument.value
            elif isinstance(argument, TextList):
                yield from (text.value for text in argument.texts)


def _asked_for(blocks: Iterable[Block]) -> frozenset[str]:
    """Give extensions asked for with ``ihave``, or required where none should be. Spec: RFC 5463 §4."""
    found: set[str] = set()
    waiting: list[Command | Test] = [command for block in blocks for command in block.commands]
    while waiting:
        node = waiting.pop()
        if node.name in {"ihave", "require"}:
            found.update(_strings((node,)))
        waiting += node.tests
        if isinstance(node, Command):
            waiting += node.block or ()
    return frozenset(found)


# From text to pieces.


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    commands: tuple[Command, ...]
    tokens: tuple[Token, ...]


def _pieces(text: str, tree: Tree) -> tuple[list[_Piece], str]:
    """Cut a script behind its top-level commands; gives what is left at the end, too."""
    tokens = Lexer(text).tokens()[:-1]
    starts = [0, *(found.end() for found in re.finditer("\n", text))]
    offsets = [starts[token.place.line - 1] + token.place.column - 1 for token in tokens]
    pieces: list[_Piece] = []
    start = depth = first = 0
    chain: list[Command] = []
    waiting = list(reversed(tree.commands))
    for index, token in enumerate(tokens):
        if token.kind is not Kind.MARK:
            continue
        depth += {"{": 1, "}": -1}.get(token.value, 0)
        if depth or token.value not in {";", "}"}:
            continue
        chain.append(waiting.pop())
        if waiting and waiting[-1].name in {"elsif", "else"}:
            continue
        end = offsets[index] + 1
        rest = _REST_OF_LINE.match(text, end)
        end = rest.end() if rest else end
        last = bisect_right(offsets, end - 1)
        pieces.append(_Piece(text[start:end], tuple(chain), tuple(tokens[first:last])))
        start, first, chain = end, last, []
    return pieces, text[start:]


def _block(piece: _Piece, *, interprets: bool) -> Block:
    switched_off = _switched_off(piece.tokens)
    lines = [line for token in piece.tokens if token.kind is Kind.COMMENT for line in token.value.split("\n")]
    if switched_off is not None:
        lines.remove(switched_off)
    names = [found for line in lines if (found := _NAME.fullmatch(line))]
    name = (names[-1][1] or names[-1][2] or "").strip() if names else ""
    if len(piece.commands) != 1:
        return Block(piece.text, piece.commands, None, name)
    comments = tuple(line for line in lines if not _NAME.fullmatch(line))
    rule = rule_of(piece.commands[0], name, comments, switched_off)
    if rule is not None and interprets and any("${" in text for text in writing.strings_of(rule)):
        rule = None
    return Block(piece.text, piece.commands, rule, name)


def _switched_off(tokens: Sequence[Token]) -> str | None:
    """Give the comment that stands for the test of a rule that is off: ``if false # allof (…)``."""
    code = [index for index, token in enumerate(tokens) if token.kind is not Kind.COMMENT]
    if len(code) < 3 or [tokens[index].value for index in code[:2]] != ["if", "false"]:
        return None
    between = [token.value for token in tokens[code[1] + 1 : code[2]]]
    return between[0] if len(between) == 1 and "\n" not in between[0] else None
