"""Every error of the house has its own answer at every face of the house: SMTP, IMAP, POP3, ManageSieve, DAV, HTTP, command line."""

import re

import pytest

from mailstead.cli.errors import EXITS
from mailstead.model import errors
from mailstead.net.http_statuses import STATUSES as HTTP
from mailstead.services.dav.errors import STATUSES as DAV
from mailstead.services.imap.errors import CODES as IMAP
from mailstead.services.managesieve.errors import CODES as SIEVE
from mailstead.services.pop3.errors import CODES as POP3
from mailstead.services.smtp.errors import REPLIES as SMTP


def kinds(of=errors.MailsteadError):
    yield of
    for child in of.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from kinds(child)


TABLES = {"smtp": SMTP, "imap": IMAP, "pop3": POP3, "managesieve": SIEVE, "cli": EXITS, "dav": DAV, "api": HTTP}


@pytest.mark.parametrize("face", TABLES)
def test_the_table_is_complete(face):
    assert sorted(kind.__name__ for kind in kinds() if kind not in TABLES[face]) == []


@pytest.mark.parametrize("face", TABLES)
def test_the_table_has_nothing_else(face):
    assert set(TABLES[face]) <= set(kinds())


def test_every_error_has_a_text_for_everybody():
    texts = [kind.default_text for kind in kinds() if kind is not errors.MailsteadError]
    assert all(re.fullmatch(r"[A-Z][^\r\n]+[^.\r\n]", text) for text in texts), texts


@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind.is_temporary], ids=lambda kind: kind.__name__)
def test_what_passes_is_temporary_at_every_face(kind):
    """A sender keeps its mail, a client its password, a script tries again."""
    assert 400 <= SMTP[kind][0] < 500
    assert SMTP[kind][1].startswith("4.")
    assert EXITS[kind].code in {69, 75}
    assert SIEVE[kind].value == b"TRYLATER"
    assert IMAP[kind] in {b"UNAVAILABLE", b"LIMIT", b"INUSE", b"CORRUPTION"}


@pytest.mark.parametrize(
    "kind",
    [kind for kind in kinds() if not kind.is_temporary and kind is not errors.BadSettings],
    ids=lambda kind: kind.__name__,
)
def test_what_does_not_pass_is_not_called_temporary(kind):
    assert 500 <= SMTP[kind][0] < 600
    assert EXITS[kind].code not in {69, 75}
    assert SIEVE[kind].value != b"TRYLATER"
