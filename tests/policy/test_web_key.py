"""Names of keys on the web."""

import pytest

from mailstead.policy.web_key import key_digest


@pytest.mark.parametrize(
    ("local_part", "digest"),
    [
        ("Joe.Doe", "iy9q119eutrkn8s1mk4r39qejnbu3n5q"),  # the example of the draft
        ("joe.doe", "iy9q119eutrkn8s1mk4r39qejnbu3n5q"),
        ("alice", "kei1q4tipxxu1yj79k9kfukdhfy631xe"),  # as gpg --with-wkd-hash says
    ],
)
def test_digests_are_those_of_others(local_part, digest):
    assert key_digest(local_part) == digest


def test_only_ascii_is_folded():
    assert key_digest("Ä") != key_digest("ä")
    assert key_digest("ÄA") == key_digest("Äa")
