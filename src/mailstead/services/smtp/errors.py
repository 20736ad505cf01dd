"""The one table from what can go wrong to what SMTP says.

Spec: RFC 5321 §4.2.2 and §4.2.3 (codes), RFC 3463 §3 (enhanced codes), RFC 4954 §6.
"""

from __future__ import annotations

from typing import Final

from mailstead.model import errors
from mailstead.model.errors import MailsteadError
from mailstead.proto.smtp.types import Reply, reply

REPLIES: Final[dict[type[MailsteadError], tuple[int, str]]] = {
    errors.MailsteadError: (554, "5.0.0"),
    errors.BadAddress: (553, "5.1.3"),
    errors.NoSuchAddress: (550, "5.1.1"),
    errors.NotOurDomain: (550, "5.7.1"),
    errors.NoSuchDomain: (550, "5.1.2"),
    errors.DomainExists: (554, "5.3.0"),
    errors.DomainInUse: (554, "5.3.0"),
    errors.AddressTaken: (554, "5.3.0"),
    errors.NoSuchAccount: (550, "5.1.1"),
    errors.NoSuchAlias: (550, "5.1.1"),
    errors.AliasLoop: (550, "5.4.6"),
    errors.AuthenticationFailed: (535, "5.7.8"),
    errors.NotAllowed: (550, "5.7.1"),
    errors.SenderNotOwned: (553, "5.7.1"),
    errors.NoSuchMailbox: (550, "5.2.0"),
    errors.MailboxExists: (554, "5.3.0"),
    errors.BadMailboxName: (554, "5.3.0"),
    errors.MailboxHasChildren: (554, "5.3.0"),
    errors.NoSuchMessage: (554, "5.3.0"),
    errors.OverQuota: (552, "5.2.2"),
    errors.LimitReached: (552, "5.2.2"),
    errors.MessageTooLarge: (552, "5.3.4"),
    errors.PolicyRefused: (550, "5.7.1"),
    errors.EncryptionNeeded: (523, "5.7.10"),
    errors.WrongAuthor: (500, "5.7.1"),
    errors.SignatureNeeded: (554, "5.7.1"),
    errors.MailLoop: (554, "5.4.6"),
    errors.BadMessage: (554, "5.6.0"),
    errors.TryAgainLater: (451, "4.3.0"),
    errors.TooManyConnections: (421, "4.7.0"),
    errors.TooManyFailures: (421, "4.7.0"),
    errors.StorageFull: (452, "4.3.1"),
    errors.StorageUnavailable: (451, "4.3.0"),
    errors.StoreDamaged: (451, "4.3.0"),
    errors.DnsUnavailable: (451, "4.4.3"),
    errors.RateLimited: (450, "4.7.1"),
    errors.Greylisted: (450, "4.7.1"),
    errors.RecipientsDiffer: (452, "4.5.3"),
    errors.Deferred: (451, "4.7.1"),
    errors.AddressPaused: (450, "4.2.1"),
    errors.AddressDisabled: (550, "5.2.1"),
    errors.TlsRequired: (530, "5.7.0"),
    errors.TlsTooOld: (538, "5.7.11"),
    errors.RequireTlsImpossible: (550, "5.7.30"),
    errors.NoSuchQueueItem: (554, "5.3.0"),
    errors.NoSuchScript: (554, "5.3.0"),
    errors.ScriptExists: (554, "5.3.0"),
    errors.ScriptActive: (554, "5.3.0"),
    errors.BadScript: (554, "5.3.0"),
    errors.BadScriptName: (554, "5.3.0"),
    errors.WebRefused: (550, "5.7.1"),
    errors.WebFailed: (451, "4.4.1"),
    errors.SourceRefused: (550, "5.7.1"),
    errors.SourceFailed: (451, "4.4.1"),
    errors.NoSuchImport: (554, "5.3.0"),
    errors.BadTarget: (554, "5.3.0"),
    errors.NoSuchKey: (554, "5.3.0"),
    errors.BadSettings: (451, "4.3.5"),
    errors.BadImport: (554, "5.6.0"),
    errors.BadBackup: (554, "5.3.0"),
    errors.BackupFailed: (451, "4.3.0"),
    errors.NoSuchCollection: (554, "5.3.0"),
    errors.CollectionExists: (554, "5.3.0"),
    errors.BadCollectionName: (554, "5.3.0"),
    errors.NoSuchResource: (554, "5.3.0"),
    errors.PreconditionFailed: (554, "5.3.0"),
    errors.UidConflict: (554, "5.3.0"),
    errors.BadObject: (554, "5.3.0"),
    errors.ObjectTooLarge: (554, "5.3.0"),
    errors.BadSyncToken: (554, "5.3.0"),
    errors.TooManyMatches: (554, "5.3.0"),
    errors.NoSuchShare: (554, "5.3.0"),
    errors.NoSuchUser: (554, "5.3.0"),
    errors.UserExists: (554, "5.3.0"),
    errors.NoSuchInvite: (554, "5.3.0"),
    errors.NoSuchToken: (554, "5.3.0"),
    errors.NoSuchFactor: (554, "5.3.0"),
    errors.FactorExists: (554, "5.3.0"),
    errors.FactorNeeded: (535, "5.7.8"),
    errors.AppPasswordNeeded: (535, "5.7.8"),
    errors.NoSuchSession: (554, "5.3.0"),
    errors.IdempotencyMismatch: (554, "5.3.0"),
    errors.AccountLocked: (451, "4.3.0"),
    errors.NoSuchPushToken: (554, "5.3.0"),
    errors.NoSuchEmail: (554, "5.3.0"),
    errors.Conflict: (554, "5.3.0"),
}
"""Every type of `model.errors`; a test walks them all. ``NotAllowed`` in answer to MAIL is 553 (see the session)."""

BUG: Final = reply(451, "4.3.0", "Something went wrong here; please try again later")
"""What no table knows: vague, and temporary, so that mail waits instead of vanishing."""


def reply_to(error: Exception) -> Reply:
    """Turn what went wrong into a reply; policy may know an enhanced code that says more.

    Spec: RFC 5321 §4.2, RFC 7372 §3.
    """
    for error_type in type(error).__mro__:
        found = REPLIES.get(error_type)
        if found is not None and isinstance(error, MailsteadError):
            code, enhanced = found
            return reply(code, str(error.log_fields.get("enhanced_code") or enhanced), error.public_text)
    return BUG


def reason_of(error: Exception) -> str:
    """Give the fixed word under which a refusal is counted."""
    return type(error).__name__ if isinstance(error, MailsteadError) else "bug"
