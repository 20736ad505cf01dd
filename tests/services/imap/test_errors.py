"""The error table is complete, and every code is one of the registry's."""

import pytest

from mailstead.model import errors
from mailstead.proto.imap.types.events import Result
from mailstead.services.imap.errors import CODES, SERVERBUG, reply_for

# RFC 5530 §3, RFC 9051 §7.1, RFC 9208 §4.3.1, RFC 4469 (TOOBIG)
REGISTERED = {
    b"", b"UNAVAILABLE", b"AUTHENTICATIONFAILED", b"NOPERM", b"EXPIRED", b"CORRUPTION", b"SERVERBUG", b"CANNOT", b"LIMIT",
    b"OVERQUOTA", b"ALREADYEXISTS", b"NONEXISTENT", b"INUSE", b"EXPUNGEISSUED", b"HASCHILDREN", b"TOOBIG",
    b"PRIVACYREQUIRED",
}  # fmt: skip


def _all(kind):
    yield kind
    for subclass in kind.__subclasses__():
        yield from _all(subclass)


@pytest.mark.parametrize("kind", [kind for kind in _all(errors.MailsteadError) if kind.__module__ == errors.__name__])
def test_every_error_has_its_own_entry(kind):
    assert kind in CODES
    assert CODES[kind] in REGISTERED
    reply = reply_for(kind())
    assert reply.result is Result.NO
    assert reply.text == kind.default_text


def test_a_new_subclass_is_answered_like_its_parent():
    class Newer(errors.OverQuota):
        pass

    assert reply_for(Newer()).code == b"OVERQUOTA"


def test_trycreate_only_for_a_missing_target():
    assert reply_for(errors.NoSuchMailbox(), may_create=True).code == b"TRYCREATE"
    assert reply_for(errors.NoSuchMailbox()).code == b"NONEXISTENT"
    assert reply_for(errors.OverQuota(), may_create=True).code == b"OVERQUOTA"


def test_bugs_are_temporary_and_vague():
    assert SERVERBUG.result is Result.NO
    assert SERVERBUG.code == b"SERVERBUG"
