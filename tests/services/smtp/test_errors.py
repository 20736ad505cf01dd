import pytest

from mailstead.model import errors
from mailstead.model.errors import MailsteadError
from mailstead.services.smtp.errors import BUG, REPLIES, reason_of, reply_to


def all_errors(error_type=MailsteadError):
    yield error_type
    for subclass in error_type.__subclasses__():
        if subclass.__module__ == errors.__name__:
            yield from all_errors(subclass)


@pytest.mark.parametrize("error_type", list(all_errors()), ids=lambda error_type: error_type.__name__)
def test_every_error_has_its_own_reply(error_type):
    assert error_type in REPLIES, "give the new error a code and an enhanced code"
    code, enhanced = REPLIES[error_type]
    assert enhanced.split(".")[0] == str(code)[0]
    answer = reply_to(error_type("why"))
    assert answer == (code, enhanced, ("why",))
    if error_type.is_temporary:
        assert 400 <= code < 500, "what may work later is not to be bounced"
    assert reason_of(error_type()) == error_type.__name__


def test_the_unknown_is_vague_and_temporary():
    assert reply_to(KeyError("secret detail")) == BUG
    assert BUG.code == 451
    assert "secret" not in BUG.text
    assert reason_of(KeyError()) == "bug"


def test_a_later_subclass_is_answered_like_its_mother():
    class NewError(errors.OverQuota):
        pass

    assert reply_to(NewError())[:2] == (552, "5.2.2")
