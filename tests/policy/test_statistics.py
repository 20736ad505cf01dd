"""Which figure a refusal belongs to."""

import pytest

from mailstead.policy.statistics import GROUPS, group_of
from mailstead.services.smtp.errors import REPLIES

NO_MAIL = {"AuthenticationFailed", "FactorNeeded", "AppPasswordNeeded"}
CODES_OF_GROUPS = {"unknown": "5", "put off": "4", "server": "4"}


@pytest.mark.parametrize(
    ("code", "reason", "group"),
    [
        ("550", "NoSuchAddress", "unknown"),
        ("523", "EncryptionNeeded", "policy"),
        ("450", "Greylisted", "put off"),
        ("452", "recipients", "limits"),
        ("time", "anything new", "limits"),
        ("closed", "too-many", "limits"),
        ("554", "MailLoop", "message"),
        ("451", "bug", "server"),
        ("500", "unknown-command", "broken"),
        ("protocol", "broken", "broken"),
        ("535", "AuthenticationFailed", None),
        ("504", "mechanism", None),
    ],
)
def test_a_refusal_has_its_group(code, reason, group):
    assert group_of(code, reason) == group


def test_no_reason_is_in_two_groups():
    reasons = [reason for group in GROUPS.values() for reason in group]
    assert len(reasons) == len(set(reasons))


def test_reasons_that_are_errors_are_errors_that_smtp_knows():
    """A renamed error must not fall among the broken ones unseen."""
    known = {error.__name__ for error in REPLIES}
    named = {reason for group in GROUPS.values() for reason in group if reason[0].isupper()}
    assert named <= known


def test_what_is_put_off_is_answered_so():
    codes = {error.__name__: str(code) for error, (code, _) in REPLIES.items()}
    for group, first in CODES_OF_GROUPS.items():
        for reason in GROUPS[group] & codes.keys():
            assert codes[reason].startswith(first), (group, reason)
