"""The one table from the house's errors to ManageSieve response codes. Spec: RFC 5804 §1.3."""

from __future__ import annotations

from typing import Final

from mailstead.model import errors
from mailstead.proto.managesieve.types import Code

CODES: Final[dict[type[errors.MailsteadError], Code]] = {
    errors.MailsteadError: Code.NONE,
    errors.BadAddress: Code.NONE,
    errors.NoSuchAddress: Code.NONE,
    errors.NotOurDomain: Code.NONE,
    errors.NoSuchDomain: Code.NONE,
    errors.DomainExists: Code.NONE,
    errors.DomainInUse: Code.NONE,
    errors.AddressTaken: Code.NONE,
    errors.NoSuchAccount: Code.NONE,
    errors.NoSuchAlias: Code.NONE,
    errors.AliasLoop: Code.NONE,
    errors.AuthenticationFailed: Code.NONE,
    errors.NotAllowed: Code.NONE,
    errors.SenderNotOwned: Code.NONE,
    errors.NoSuchMailbox: Code.NONE,
    errors.MailboxExists: Code.NONE,
    errors.BadMailboxName: Code.NONE,
    errors.MailboxHasChildren: Code.NONE,
    errors.NoSuchMessage: Code.NONE,
    errors.OverQuota: Code.QUOTA,
    errors.LimitReached: Code.QUOTA,
    errors.MessageTooLarge: Code.QUOTA_MAXSIZE,
    errors.PolicyRefused: Code.NONE,
    errors.EncryptionNeeded: Code.NONE,
    errors.WrongAuthor: Code.NONE,
    errors.SignatureNeeded: Code.NONE,
    errors.MailLoop: Code.NONE,
    errors.BadMessage: Code.NONE,
    errors.TryAgainLater: Code.TRYLATER,
    errors.TooManyConnections: Code.TRYLATER,
    errors.TooManyFailures: Code.TRYLATER,
    errors.StorageFull: Code.TRYLATER,
    errors.StorageUnavailable: Code.TRYLATER,
    errors.StoreDamaged: Code.TRYLATER,
    errors.DnsUnavailable: Code.TRYLATER,
    errors.RateLimited: Code.TRYLATER,
    errors.Greylisted: Code.TRYLATER,
    errors.RecipientsDiffer: Code.TRYLATER,
    errors.Deferred: Code.TRYLATER,
    errors.AddressPaused: Code.TRYLATER,
    errors.AddressDisabled: Code.NONE,
    errors.TlsRequired: Code.ENCRYPT_NEEDED,
    errors.TlsTooOld: Code.ENCRYPT_NEEDED,
    errors.RequireTlsImpossible: Code.NONE,
    errors.NoSuchQueueItem: Code.NONE,
    errors.NoSuchScript: Code.NONEXISTENT,
    errors.ScriptExists: Code.ALREADYEXISTS,
    errors.ScriptActive: Code.ACTIVE,
    errors.BadScript: Code.NONE,
    errors.BadScriptName: Code.NONE,
    errors.WebRefused: Code.NONE,
    errors.WebFailed: Code.TRYLATER,
    errors.SourceRefused: Code.NONE,
    errors.SourceFailed: Code.TRYLATER,
    errors.NoSuchImport: Code.NONE,
    errors.BadTarget: Code.NONE,
    errors.NoSuchKey: Code.NONE,
    errors.BadSettings: Code.NONE,
    errors.BadImport: Code.NONE,
    errors.BadBackup: Code.NONE,
    errors.BackupFailed: Code.TRYLATER,
    errors.NoSuchCollection: Code.NONE,
    errors.CollectionExists: Code.NONE,
    errors.BadCollectionName: Code.NONE,
    errors.NoSuchResource: Code.NONE,
    errors.PreconditionFailed: Code.NONE,
    errors.UidConflict: Code.NONE,
    errors.BadObject: Code.NONE,
    errors.ObjectTooLarge: Code.NONE,
    errors.BadSyncToken: Code.NONE,
    errors.TooManyMatches: Code.NONE,
    errors.NoSuchShare: Code.NONE,
    errors.NoSuchUser: Code.NONE,
    errors.UserExists: Code.NONE,
    errors.NoSuchInvite: Code.NONE,
    errors.NoSuchToken: Code.NONE,
    errors.NoSuchFactor: Code.NONE,
    errors.FactorExists: Code.NONE,
    errors.FactorNeeded: Code.NONE,
    errors.AppPasswordNeeded: Code.NONE,
    errors.NoSuchSession: Code.NONE,
    errors.IdempotencyMismatch: Code.NONE,
    errors.AccountLocked: Code.TRYLATER,
    errors.NoSuchPushToken: Code.NONE,
    errors.NoSuchEmail: Code.NONE,
    errors.Conflict: Code.NONE,
}

BUG: Final = ("Something went wrong here; it has been noted", Code.TRYLATER)
"""For what no table knows. Temporary, so that the client comes again."""


def reply_to(error: Exception) -> tuple[str, Code]:
    """Give text and response code for an error."""
    if isinstance(error, errors.MailsteadError):
        for kind in type(error).__mro__:
            if kind in CODES:
                return error.public_text, CODES[kind]
    return BUG
