"""From text to tokens."""

import pytest

from mailstead.sieve.errors import SieveError
from mailstead.sieve.lexer import Kind, Lexer, text_of


def tokens(text):
    lexer = Lexer(text)
    found = lexer.tokens()
    assert lexer.problems == []
    return found


def test_each_kind_is_known_and_placed():
    found = tokens('If :Is 10K "a\\"b" [\r\n # note\n/* more */ ;')
    assert [(token.kind, token.value, *token.place) for token in found] == [
        (Kind.IDENTIFIER, "if", 1, 1),
        (Kind.TAG, "is", 1, 4),
        (Kind.NUMBER, "10K", 1, 8),
        (Kind.TEXT, 'a"b', 1, 12),
        (Kind.MARK, "[", 1, 19),
        (Kind.COMMENT, "note", 2, 2),
        (Kind.COMMENT, "more", 3, 1),
        (Kind.MARK, ";", 3, 12),
        (Kind.END, "", 3, 13),
    ]
    assert found[2].number == 10240


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("text:\r\none\r\n.\r\n", "one\r\n"),
        ("text: \t# why\none\ntwo\n.\n", "one\r\ntwo\r\n"),
        ("TEXT:\n.\n", ""),
        ("text:\n..\n...\n.x\n.", ".\r\n..\r\n.x\r\n"),
    ],
)
def test_multi_line_texts(text, value):
    assert tokens(text)[0][:2] == (Kind.TEXT, value)


def test_a_script_is_utf8_of_bounded_size():
    assert text_of("\ufeffkeep; # ä".encode()) == "keep; # ä"
    with pytest.raises(SieveError, match="line 2, column 8: Not UTF-8"):
        text_of("keep;\nkeep; ä".encode()[:-2] + b" \xff")
    with pytest.raises(SieveError, match="64 KiB"):
        text_of(b"#" * 65537)


@pytest.mark.parametrize("text", ['"a\0b"', "keep\r;", "# \0"])
def test_nul_and_bare_carriage_returns_are_refused(text):
    lexer = Lexer(text)
    lexer.tokens()
    assert "remove that character" in lexer.problems[0].text
