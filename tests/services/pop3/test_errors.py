"""The table of errors is complete, and says temporary what is temporary."""

import pytest

from mailstead.model import errors
from mailstead.proto.pop3.types import Code
from mailstead.services.pop3.errors import BUG, CODES, reply_to


def kinds(of=errors.MailsteadError):
    return [of, *(kind for child in of.__subclasses__() for kind in kinds(child))]


@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind.__module__ == errors.__name__])
def test_every_error_has_its_own_entry(kind):
    assert kind in CODES
    text, code = reply_to(kind())
    assert text == kind.default_text
    if kind.is_temporary and kind is not errors.StoreDamaged:
        assert code in {Code.SYS_TEMP, Code.IN_USE, Code.LOGIN_DELAY}
    else:
        assert code not in {Code.SYS_TEMP, Code.IN_USE, Code.LOGIN_DELAY}


def test_an_error_of_tomorrow_gets_its_mother_s_reply():
    class Fresh(errors.StorageUnavailable):
        pass

    assert reply_to(Fresh()) == (errors.StorageUnavailable.default_text, Code.SYS_TEMP)


def test_a_bug_is_answered_vaguely_and_temporarily():
    assert reply_to(ZeroDivisionError("secret")) == BUG
    assert BUG[1] is Code.SYS_TEMP
