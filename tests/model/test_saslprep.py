import pytest

from mailstead.model.saslprep import NotPreparable, saslprep


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("I\u00adX", "IX"),  # the examples of RFC 4013 §3
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        ("e\u0301", "é"),
        ("🦊fox", "🦊fox"),
        ("", ""),
    ],
)
def test_prepared(text, prepared):
    assert saslprep(text) == prepared


@pytest.mark.parametrize("text", ["\u0007", "\u0627\u0031", "\u0627a\u0627", "\ue000", "\ud800", "a\u200eb\x7f"])
def test_refused(text):
    with pytest.raises(NotPreparable):
        saslprep(text)
