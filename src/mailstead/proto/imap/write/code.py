"""Response codes: what stands between ``[`` and ``]`` in a status response.

The words without arguments need no function: ``b"ALREADYEXISTS"``, ``b"TRYCREATE"`` … Spec: RFC 9051 §7.1, RFC 5530.
"""

from __future__ import annotations

from collections.abc import Iterable

from mailstead.model.ids import ModSeq, Uid, UidValidity
from mailstead.model.uidset import UidSet
from mailstead.proto.imap.write import values


def capability(names: Iterable[bytes]) -> bytes:
    """CAPABILITY. Spec: RFC 9051 §7.1."""
    return b"CAPABILITY " + b" ".join(names)


def permanentflags(flags: Iterable[str]) -> bytes:
    r"""PERMANENTFLAGS; ``\*`` among them if new keywords may be made. Spec: RFC 9051 §7.1."""
    return b"PERMANENTFLAGS " + values.flag_list(flags)


def uidvalidity(value: UidValidity) -> bytes:
    """UIDVALIDITY. Spec: RFC 9051 §7.1."""
    return b"UIDVALIDITY %d" % value


def uidnext(value: Uid) -> bytes:
    """UIDNEXT. Spec: RFC 9051 §7.1."""
    return b"UIDNEXT %d" % value


def unseen(seqnum: int) -> bytes:
    """UNSEEN, in IMAP4rev1 only. Spec: RFC 3501 §7.1."""
    return b"UNSEEN %d" % seqnum


def highestmodseq(value: ModSeq) -> bytes:
    """HIGHESTMODSEQ. Spec: RFC 7162 §3.1.2.1."""
    return b"HIGHESTMODSEQ %d" % value


def modified(numbers: Iterable[int]) -> bytes:
    """MODIFIED: sequence numbers, or UIDs after UID STORE. Spec: RFC 7162 §3.1.3."""
    return b"MODIFIED " + values.sequence_set(numbers)


def appenduid(uidvalidity_: UidValidity, uids: UidSet) -> bytes:
    """APPENDUID. Spec: RFC 9051 §7.1, RFC 4315 §3."""
    return b"APPENDUID %d %b" % (uidvalidity_, uids.compact().encode("ascii"))


def copyuid(uidvalidity_: UidValidity, source_uids: Iterable[int], target_uids: Iterable[int]) -> bytes:
    """COPYUID, pairwise in order. Spec: RFC 9051 §7.1, RFC 4315 §3. Call it only when something was copied."""
    return b"COPYUID %d %b %b" % (uidvalidity_, values.sequence_set(source_uids), values.sequence_set(target_uids))


def mailboxid(text: str) -> bytes:
    """MAILBOXID. Spec: RFC 8474 §4.1, §4.2."""
    return b"MAILBOXID (%b)" % text.encode("ascii")


def badcharset(charsets: Iterable[bytes] = (b"UTF-8", b"US-ASCII")) -> bytes:
    """BADCHARSET. Spec: RFC 9051 §7.1."""
    return b"BADCHARSET (%b)" % b" ".join(charsets)


def inprogress(tag: bytes, done: int | None = None, goal: int | None = None) -> bytes:
    """INPROGRESS. Spec: RFC 9585 §4."""
    counts = [b"NIL" if number is None else b"%d" % number for number in (done, goal)]
    return b"INPROGRESS (%b %b)" % (values.quoted(tag), b" ".join(counts))


def metadata_longentries(size_octets: int) -> bytes:
    """METADATA LONGENTRIES: the largest entry that was left out. Spec: RFC 5464 §4.2.1."""
    return b"METADATA LONGENTRIES %d" % size_octets


def metadata_maxsize(size_octets: int) -> bytes:
    """METADATA MAXSIZE. Spec: RFC 5464 §4.3."""
    return b"METADATA MAXSIZE %d" % size_octets


def badevent(names: Iterable[str]) -> bytes:
    """BADEVENT with the events that are known. Spec: RFC 5465 §5."""
    return b"BADEVENT (%b)" % " ".join(names).encode("ascii")
