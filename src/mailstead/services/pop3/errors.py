"""The one table from the house's errors to POP3 response codes.

Spec: RFC 2449 §8.1 (IN-USE, LOGIN-DELAY), RFC 3206 §4 (SYS/TEMP, SYS/PERM, AUTH).
"""

from __future__ import annotations

from typing import Final

from mailstead.model import errors
from mailstead.proto.pop3.types import Code

CODES: Final[dict[type[errors.MailsteadError], Code]] = {
    errors.MailsteadError: Code.NONE,
    errors.BadAddress: Code.AUTH,
    errors.NoSuchAddress: Code.AUTH,
    errors.NotOurDomain: Code.AUTH,
    errors.NoSuchDomain: Code.AUTH,
    errors.DomainExists: Code.NONE,
    errors.DomainInUse: Code.NONE,
    errors.AddressTaken: Code.NONE,
    errors.NoSuchAccount: Code.AUTH,
    errors.NoSuchAlias: Code.NONE,
    errors.AliasLoop: Code.NONE,
    errors.AuthenticationFailed: Code.AUTH,
    errors.NotAllowed: Code.AUTH,
    errors.SenderNotOwned: Code.SYS_PERM,
    errors.NoSuchMailbox: Code.SYS_PERM,
    errors.MailboxExists: Code.NONE,
    errors.BadMailboxName: Code.NONE,
    errors.MailboxHasChildren: Code.NONE,
    errors.NoSuchMessage: Code.NONE,
    errors.OverQuota: Code.SYS_PERM,
    errors.LimitReached: Code.SYS_PERM,
    errors.MessageTooLarge: Code.NONE,
    errors.PolicyRefused: Code.SYS_PERM,
    errors.EncryptionNeeded: Code.SYS_PERM,
    errors.WrongAuthor: Code.SYS_PERM,
    errors.SignatureNeeded: Code.SYS_PERM,
    errors.MailLoop: Code.NONE,
    errors.BadMessage: Code.NONE,
    errors.TryAgainLater: Code.SYS_TEMP,
    # IN-USE makes clients wait and try again instead of asking for another password, which is what is wanted here.
    errors.TooManyConnections: Code.IN_USE,
    errors.TooManyFailures: Code.LOGIN_DELAY,
    errors.StorageFull: Code.SYS_TEMP,
    errors.StorageUnavailable: Code.SYS_TEMP,
    errors.StoreDamaged: Code.SYS_PERM,
    errors.DnsUnavailable: Code.SYS_TEMP,
    errors.RateLimited: Code.SYS_TEMP,
    errors.Greylisted: Code.SYS_TEMP,
    errors.RecipientsDiffer: Code.SYS_TEMP,
    errors.Deferred: Code.SYS_TEMP,
    errors.AddressPaused: Code.SYS_TEMP,
    errors.AddressDisabled: Code.NONE,
    errors.TlsRequired: Code.NONE,
    errors.TlsTooOld: Code.NONE,
    errors.RequireTlsImpossible: Code.NONE,
    errors.NoSuchQueueItem: Code.NONE,
    errors.NoSuchScript: Code.NONE,
    errors.ScriptExists: Code.NONE,
    errors.ScriptActive: Code.NONE,
    errors.BadScript: Code.NONE,
    errors.BadScriptName: Code.NONE,
    errors.WebRefused: Code.NONE,
    errors.WebFailed: Code.SYS_TEMP,
    errors.SourceRefused: Code.NONE,
    errors.SourceFailed: Code.SYS_TEMP,
    errors.NoSuchImport: Code.NONE,
    errors.BadTarget: Code.NONE,
    errors.NoSuchKey: Code.NONE,
    errors.BadSettings: Code.SYS_PERM,
    errors.BadImport: Code.NONE,
    errors.BadBackup: Code.NONE,
    errors.BackupFailed: Code.SYS_TEMP,
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
    errors.FactorNeeded: Code.AUTH,
    errors.AppPasswordNeeded: Code.AUTH,
    errors.NoSuchSession: Code.NONE,
    errors.IdempotencyMismatch: Code.NONE,
    errors.AccountLocked: Code.SYS_TEMP,
    errors.NoSuchPushToken: Code.NONE,
    errors.NoSuchEmail: Code.NONE,
    errors.Conflict: Code.NONE,
}

BUG: Final = ("Something went wrong here; it has been noted", Code.SYS_TEMP)
"""For what no table knows. Temporary, so that the client comes again."""


def reply_to(error: Exception) -> tuple[str, Code]:
    """Give text and response code for an error."""
    if isinstance(error, errors.MailsteadError):
        for kind in type(error).__mro__:
            if kind in CODES:
                return error.public_text, CODES[kind]
    return BUG
