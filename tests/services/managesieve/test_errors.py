"""The table of errors is complete, and says temporary what is temporary."""

import pytest

from mailstead.model import errors
from mailstead.proto.managesieve.types import Code
from mailstead.services.managesieve.errors import BUG, CODES, reply_to


def kinds(of=errors.MailsteadError):
    return [of, *(kind for child in of.__subclasses__() for kind in kinds(child))]


@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind.__module__ == errors.__name__])
def test_every_error_has_its_own_entry(kind):
    assert kind in CODES
    text, code = reply_to(kind())
    assert text == kind.default_text
    assert (code is Code.TRYLATER) is kind.is_temporary


def test_an_error_of_tomorrow_gets_its_mother_s_reply():
    class Fresh(errors.NoSuchScript):
        pass

    assert reply_to(Fresh()) == (errors.NoSuchScript.default_text, Code.NONEXISTENT)


def test_a_bug_is_answered_vaguely_and_temporarily():
    assert reply_to(ZeroDivisionError("secret")) == BUG
    assert BUG[1] is Code.TRYLATER
