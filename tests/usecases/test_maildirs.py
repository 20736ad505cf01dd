"""Names of Maildir++ folders. Whole Maildirs are in test_imports."""

import pytest

from mailstead.usecases import maildirs


@pytest.mark.parametrize("level", ["Sent", "a&b", "日本語", "a.b", "ä" * 50, "~x", "\N{PILE OF POO}"])
def test_levels_of_maildir_names_round_trip(level):
    encoded = maildirs.encode_level(level)
    assert encoded.isascii()
    assert "." not in encoded
    assert maildirs.decode_level(encoded) == level
