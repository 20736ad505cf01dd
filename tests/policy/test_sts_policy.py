"""Our own policies, read by who reads those of others."""

import re

import pytest

from mailstead.mailauth.mta_sts import parse_policy, published_id
from mailstead.policy.sts_policy import MAX_AGE_S, policy_id, policy_text


@pytest.mark.parametrize("mode", ["enforce", "testing", "none"])
def test_it_is_read_as_it_is_meant(mode):
    policy = parse_policy(policy_text(mode, "mx.example.test").encode(), "1")
    assert (policy.mode, policy.mx, policy.max_age_s) == (mode, ("mx.example.test",), MAX_AGE_S)
    assert policy.allows("mx.example.test")


def test_another_text_has_another_id():
    texts = [policy_text(mode, host) for mode in ("enforce", "testing") for host in ("a.test", "b.test")]
    ids = [policy_id(text) for text in texts]
    assert len(set(ids)) == 4
    for each in ids:
        assert re.fullmatch("[A-Za-z0-9]{1,32}", each)
        assert published_id((f"v=STSv1; id={each}".encode(),)) == each
