"""Distinct number and key types, so that the type checker catches the oldest IMAP bug."""

from typing import NewType

AccountId = NewType("AccountId", str)
"""Key of one account: 16 lower-case hex digits, chosen at random, never used again."""

MailboxId = NewType("MailboxId", int)
"""Key of one mailbox inside its account; survives RENAME (RFC 8474 MAILBOXID is made from it)."""

BlobId = NewType("BlobId", int)
"""Key of immutable message octets inside one account."""

Uid = NewType("Uid", int)
"""Unique identifier of a message in a mailbox. Spec: RFC 9051 §2.3.1.1. 1..2^32-1."""

UidValidity = NewType("UidValidity", int)
"""Spec: RFC 9051 §2.3.1.1. 1..2^32-1."""

SeqNum = NewType("SeqNum", int)
"""Message sequence number in one session's view. Spec: RFC 9051 §2.3.1.2."""

ModSeq = NewType("ModSeq", int)
"""Spec: RFC 7162 §3.1. Ascends per account; 1..2^63-1."""

EmailId = NewType("EmailId", str)
"""Spec: RFC 8474 §5.1. Same for copies of the same octets within one account."""

ThreadId = NewType("ThreadId", str)
"""Spec: RFC 8474 §5.2."""
