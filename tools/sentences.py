"""Sentences that pages show and that are built below them: by use cases, in English, as on every face of the house.

They are found in the source: errors with a text, what the doctor says, what DNS records are for, why a message is here.
What is put into a sentence stands as a name in braces, ``{name}``; `services.web.site.told` finds the sentence again by
its pattern, and says it in the reader's language.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from mailstead.model import errors
from mailstead.usecases.message_reasons import SENTENCES

SOURCE = Path(__file__).resolve().parent.parent / "src" / "mailstead"
SITE = SOURCE / "services" / "web" / "site"
TELLING = ("usecases.doctor", "usecases.network_checks", "usecases.record_checks", "policy.dns_records")
"""Modules whose sentences are shown though they are no errors."""
WORDS_MIN = 3
"""Of a sentence in those: what is shorter is a name or a value."""
KINDS = {
    name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.MailsteadError)
}


def asked_modules() -> list[str]:
    """Use cases that pages ask, by module."""
    found = {
        name
        for file in SITE.glob("*.py")
        for name in re.findall(r"^from mailstead\.(usecases\.\w+) import", file.read_text("utf-8"), re.MULTILINE)
    }
    return sorted(found)


def of_errors(module: str) -> Iterator[tuple[int, str]]:
    """Give line and text of each error that a module makes with one."""
    known = vars(import_module(f"mailstead.{module}"))
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Call) and name_of(node.func) in KINDS and node.args:
            for text in texts_of(node.args[0], known):
                yield node.lineno, text


def of_telling(module: str) -> Iterator[tuple[int, str]]:
    """Give line and text of each sentence of a module, but what it says about itself and to the log."""
    tree, known = tree_of(module), vars(import_module(f"mailstead.{module}"))
    hidden = set()
    for node in ast.walk(tree):
        is_bare = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_log = isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("_log.", "log."))
        if is_bare or is_log or isinstance(node, ast.JoinedStr):
            hidden |= {id(each) for each in ast.walk(node) if each is not node}
        if isinstance(node, ast.Dict):
            hidden |= {id(key) for key in node.keys}  # what is looked up, not what is said
    for node in ast.walk(tree):
        if id(node) not in hidden and isinstance(node, ast.Constant | ast.JoinedStr):
            for text in texts_of(node, known):
                words = re.findall(r"[^\W\d_]{2,}", re.sub(r"\{\w+\}", "", text))
                if len(words) >= WORDS_MIN and " " in text.strip():
                    yield node.lineno, text


def texts_of(node: ast.expr, known: dict[str, Any]) -> Iterator[str]:
    """Give what an expression can say: both of an alternative, constants with their value, the rest as ``{name}``."""
    match node:
        case ast.IfExp():
            yield from texts_of(node.body, known)
            yield from texts_of(node.orelse, known)
        case ast.BoolOp():
            for each in node.values:
                yield from texts_of(each, known)
        case ast.Constant(value=str() as text):
            yield text
        case ast.Name(id=name) if isinstance(known.get(name), str) and name.isupper():
            yield known[name]
        case ast.JoinedStr():
            names: list[str] = []
            parts = [part_of(each, known, names) for each in node.values]
            yield "".join(parts)
        case _:
            return


def part_of(node: ast.expr, known: dict[str, Any], names: list[str]) -> str:
    """Give one part of a text with values; `names` are those that it has so far."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    assert isinstance(node, ast.FormattedValue)
    asked = [each.id for each in ast.walk(node.value) if isinstance(each, ast.Name)]
    if asked and all(name.strip("_").isupper() and name in known for name in asked):
        return str(eval(ast.unparse(ast.JoinedStr([node])), known))  # our own source, constants alone
    words = [each for each in re.findall(r"[a-z]+", ast.unparse(node.value).lower()) if each not in {"self", "join"}]
    name = words[-1] if words else "value"
    names.append(name)
    return f"{{{name}{names.count(name) if names.count(name) > 1 else ''}}}"


def tree_of(module: str) -> ast.Module:
    """Read a module's source."""
    return ast.parse((SOURCE / f"{module.replace('.', '/')}.py").read_text("utf-8"))


def name_of(function: ast.expr) -> str:
    """Give the last name of what is called."""
    return getattr(function, "id", getattr(function, "attr", ""))


def sentences() -> list[str]:
    """Give all of them once, in a firm order; what has no words of its own cannot be translated."""
    found = set(SENTENCES.values())
    for module in asked_modules():
        found |= {text for _, text in of_errors(module)}
    for module in TELLING:
        found |= {text for _, text in of_telling(module)}
    return sorted(each for each in found if is_sentence(each))


def is_sentence(text: str) -> bool:
    """Whether a text is for people: no value of a record, no rest of a sentence, and with words of its own."""
    return re.search(r"[^\W\d_]{2}", re.sub(r"\{\w+\}", "", text)) is not None and not text.startswith(
        ("v=", "0 issue", "<", "; ")
    )
