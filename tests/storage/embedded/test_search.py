"""The text index answers exactly as a comparison of folded texts would."""

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.mime.facts import message_facts
from mailstead.mime.text import fold, search_text
from mailstead.model.ids import MailboxId
from mailstead.model.search import And, Contains, HasFlag, HeaderContains, Not, Or, TextField
from mailstead.storage.embedded import schema, search, text_index

BODIES = ["abab xyxy", 'xa"b*ä', "ßß漢 ab", "b", "yx\nab", "AB ÄSS", ""]


@pytest.fixture(scope="module")
def indexed():
    """A store in memory with one message for each body, and the folded bodies."""
    db = apsw.Connection(":memory:")
    schema.migrate(db)
    texts = []
    for content_id, body in enumerate(BODIES, start=1):
        octets = f"Subject: {content_id}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}".encode()
        found = search_text(octets, message_facts(octets).parts)
        texts.append(fold(found.body))
        db.execute(
            'INSERT INTO text_index (rowid, "from", "to", cc, bcc, subject, header, body) VALUES (?,?,?,?,?,?,?,?)',
            (content_id, *(text_index.folded(one) + text_index.PAD for one in found)),
        )
        db.execute("INSERT INTO message VALUES (1, ?, 1, 0, '', 0, 0, 0, 1, 1, 1, ?, 1)", (content_id, content_id))
    db.execute("INSERT INTO mailbox VALUES (1, 'INBOX', NULL, 1, 99, 1, 7, 0, 0, 0, 1)")
    yield db, texts
    db.close()


@given(needle=st.text(alphabet='abxyAB "*äß漢\n\x01', min_size=1, max_size=6))
def test_substrings_of_any_length_are_exact(indexed, needle):
    db, texts = indexed
    found = search.search(db, MailboxId(1), Contains(TextField.BODY, needle))
    assert list(found) == [uid for uid, text in enumerate(texts, start=1) if fold(needle) in text]


def test_what_asks_for_text_is_seen_at_any_depth():
    text = Contains(TextField.BODY, "x")
    assert search.asks_text(Not(And((HasFlag("x"), Or((HasFlag("y"), text))))))
    assert search.asks_text(HeaderContains("x", ""))
    assert not search.asks_text(Not(And((HasFlag("x"), Or((HasFlag("y"),))))))
