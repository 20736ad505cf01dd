"""What is built below the pages in English is collected, and said in the reader's language with its values in it."""

import ast
import gettext
import re
from functools import cache
from string import Formatter

import pytest
from tools import sentences
from tools.catalogues import collected

from mailstead.services.web.site.told import DEPTH_MAX, LETTERS_MIN, TEXT_CHARACTERS_MAX, Told
from mailstead.usecases.message_reasons import SENTENCES

NAME = re.compile(r"\{(\w+)\}")
PASSED_ON = re.compile(r"\b(public_text|reasons\[0\])")
"""Texts that other modules made: those are collected where they are made."""


class Words(gettext.NullTranslations):
    """A catalogue as the standard library reads it."""

    def __init__(self, catalogue):
        super().__init__()
        self._catalog = catalogue

    def gettext(self, message):
        return self._catalog.get(message, message)


def shouting(texts):
    """A language in which all is said in capitals; names of values stay."""
    return Words(
        {
            text: "".join(part if at % 2 else part.upper() for at, part in enumerate(re.split(r"(\{\w+\})", text)))
            for text in texts
        }
    )


SENTENCES_BELOW = sentences.sentences()
SAID = Told(shouting(SENTENCES_BELOW))


@cache
def known():
    return {each.id for each in collected() if isinstance(each.id, str)}


def test_every_sentence_of_why_a_message_is_here_is_collected():
    assert set(SENTENCES.values()) - known() <= {each for each in SENTENCES.values() if not sentences.is_sentence(each)}
    assert sum(map(sentences.is_sentence, SENTENCES.values())) > 15


def texts_in(node):
    """All texts in an expression, found in another way than the collection does: every literal that has words."""
    return [
        each.value
        for each in ast.walk(node)
        if isinstance(each, ast.Constant)
        and isinstance(each.value, str)
        and len(re.findall(r"[^\W\d_]{2,}", each.value)) > 1
    ]


@pytest.mark.parametrize("module", sentences.asked_modules())
def test_no_text_of_an_error_that_pages_show_is_missed(module):
    """Each literal that stands in the making of an error is a part of a sentence in the catalogue."""
    there = known()
    for node in ast.walk(sentences.tree_of(module)):
        if not isinstance(node, ast.Call) or sentences.name_of(node.func) not in sentences.KINDS or not node.args:
            continue
        if PASSED_ON.search(ast.unparse(node.args[0])):
            continue
        for text in texts_in(node.args[0]):
            assert any(text in each for each in there), f"{module}:{node.lineno}: {text!r} is not collected"


@pytest.mark.parametrize("module", sentences.TELLING)
def test_advice_of_the_doctor_and_purposes_of_records_are_collected(module):
    there, count = known(), 0
    for node in ast.walk(sentences.tree_of(module)):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            names = {
                getattr(each, "id", "") for each in (node.targets if isinstance(node, ast.Assign) else [node.target])
            }
            for text in texts_in(node.value) if names & {"advice", "why", "hint"} else ():
                count += 1
                assert any(text in each for each in there), f"{module}:{node.lineno}: {text!r} is not collected"
    assert count > 0 or module.endswith(("network_checks", "record_checks"))


def test_sentences_can_be_told_apart():
    """Each is found again with values in it, and none is taken for another."""
    for sentence in SENTENCES_BELOW:
        names = NAME.findall(sentence)
        values = {name: f"7{at}" for at, name in enumerate(names)}
        text = sentence.format_map(values) if names else sentence
        if sum(letter.isalpha() for letter in NAME.sub("", sentence)) >= LETTERS_MIN or not names:
            assert SAID(text) == shouting([sentence]).gettext(sentence).format_map(values), text


def test_names_in_braces_are_plain():
    for sentence in SENTENCES_BELOW:
        for _, name, form, conversion in Formatter().parse(sentence):
            assert name is None or (name.isidentifier() and not form and not conversion), sentence


def test_values_are_said_too_and_what_strangers_wrote_stays():
    said = Told(
        Words({"The user {name} is gone: {why}": "{why} – {name} fehlt", "Try again later": "Später noch einmal"})
    )
    assert said("The user bob is gone: Try again later") == "Später noch einmal – bob fehlt"
    assert said("The user {why} is gone: %s {0}") == "%s {0} – {why} fehlt"
    assert said("The user <b> is gone: x") == "x – <b> fehlt"
    assert said("Something else") == "Something else"
    assert said("") == ""


def test_attack_086_what_is_said_is_escaped_in_pages():
    from mailstead.services.web.site.frame import Frame

    environment = Frame()._environment("en")
    assert (
        environment.from_string("{{ text | told }}").render(text="The user <b> is gone") == "The user &lt;b&gt; is gone"
    )


def test_long_texts_and_deep_ones_end():
    deep = Told(Words({"It is said: {what}": "Man sagt: {what}"}))
    text = "It is said: " * (DEPTH_MAX + 5) + "x"
    assert deep(text).count("Man sagt") == DEPTH_MAX + 1
    long = "It is said: " + "x" * TEXT_CHARACTERS_MAX
    assert deep(long) == long
