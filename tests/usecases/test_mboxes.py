"""mbox files of other programs, broken ones and huge ones. Round trips are in test_imports."""

from datetime import UTC, datetime
from io import BytesIO

import pytest

from mailstead.model.errors import BadImport
from mailstead.usecases import mboxes

WHEN = datetime(2021, 3, 4, 5, 6, 7, tzinfo=UTC)


def mbox(octets, octets_max=10**6):
    return list(mboxes.entries(BytesIO(octets), octets_max))


def test_mbox_of_other_programs():
    text = (
        b"From a@example.test Thu Mar  4 05:06:07 2021\nSubject: 1\nStatus: RO\nX-Status: AF\n\n"
        b"From me to you\n>From x\n\nFrom the start of a paragraph\n\n"
        b"From b Thu Mar  4 05:06 +0100 2021\nX-Keywords: $Label1 bad(\n\nlast"
    )
    first, second = mbox(text)
    assert first.octets.endswith(b"\n\nFrom me to you\nFrom x\n\nFrom the start of a paragraph\n")
    assert first.flags == {"\\Seen", "\\Answered", "\\Flagged"}
    assert (first.internaldate, second.internaldate) == (WHEN, WHEN.replace(second=0))
    assert (second.octets, second.flags) == (b"X-Keywords: $Label1 bad(\n\nlast", {"$Label1"})


def test_broken_mboxes():
    assert mbox(b"") == []
    with pytest.raises(BadImport):
        mbox(b"Subject: x\n\n")
    (only,) = mbox(b"From nobody at no time\n")
    assert (only.octets, only.internaldate) == (b"", None)
    (only,) = mbox(b"From x Thu Foo 99 99:99:99 2021\nSubject: x\n\n\n")
    assert only.internaldate is None


def test_a_huge_message_in_an_mbox_is_skipped_in_bounded_memory():
    big = b"From a Thu Mar  4 05:06:07 2021\n\n" + b"y" * 5_000_000 + b"\n\nFrom b Thu Mar  4 05:06:07 2021\n\nsmall\n"
    first, second = mbox(big, 1000)
    assert (first.octets, second.octets) == (None, b"\nsmall\n")
