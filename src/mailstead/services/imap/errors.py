"""The one table from the house's errors to IMAP replies.

Spec: RFC 5530 §3 and RFC 9051 §7.1 (response codes), RFC 9208 §4.3.1 (OVERQUOTA).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mailstead.model import errors
from mailstead.proto.imap.types.events import Result


class Reply(NamedTuple):
    """How a command ends: the tagged response without its tag."""

    result: Result
    text: str
    code: bytes = b""


class Refused(Exception):
    """A command ends with this reply: for refusals that only IMAP knows."""

    def __init__(self, text: str, code: bytes = b"", result: Result = Result.NO) -> None:
        super().__init__(text)
        self.reply = Reply(result, text, code)


CODES: Final[dict[type[errors.MailsteadError], bytes]] = {
    errors.MailsteadError: b"",
    errors.BadAddress: b"CANNOT",
    errors.NoSuchAddress: b"NONEXISTENT",
    errors.NotOurDomain: b"NONEXISTENT",
    errors.NoSuchDomain: b"NONEXISTENT",
    errors.DomainExists: b"ALREADYEXISTS",
    errors.DomainInUse: b"INUSE",
    errors.AddressTaken: b"ALREADYEXISTS",
    errors.NoSuchAccount: b"NONEXISTENT",
    errors.NoSuchAlias: b"NONEXISTENT",
    errors.AliasLoop: b"CANNOT",
    errors.AuthenticationFailed: b"AUTHENTICATIONFAILED",
    errors.NotAllowed: b"NOPERM",
    errors.SenderNotOwned: b"NOPERM",
    errors.NoSuchMailbox: b"NONEXISTENT",
    errors.MailboxExists: b"ALREADYEXISTS",
    errors.BadMailboxName: b"CANNOT",
    errors.MailboxHasChildren: b"HASCHILDREN",
    errors.NoSuchMessage: b"EXPUNGEISSUED",
    errors.OverQuota: b"OVERQUOTA",
    errors.LimitReached: b"LIMIT",
    errors.MessageTooLarge: b"TOOBIG",
    errors.PolicyRefused: b"NOPERM",
    errors.EncryptionNeeded: b"NOPERM",
    errors.WrongAuthor: b"NOPERM",
    errors.SignatureNeeded: b"NOPERM",
    errors.TryAgainLater: b"UNAVAILABLE",
    errors.TooManyConnections: b"LIMIT",
    errors.TooManyFailures: b"LIMIT",
    errors.StorageFull: b"UNAVAILABLE",
    errors.StorageUnavailable: b"UNAVAILABLE",
    errors.StoreDamaged: b"CORRUPTION",
    errors.BadMessage: b"CANNOT",
    errors.MailLoop: b"CANNOT",
    errors.DnsUnavailable: b"UNAVAILABLE",
    errors.RateLimited: b"UNAVAILABLE",
    errors.Greylisted: b"UNAVAILABLE",
    errors.RecipientsDiffer: b"UNAVAILABLE",
    errors.Deferred: b"UNAVAILABLE",
    errors.AddressPaused: b"UNAVAILABLE",
    errors.AddressDisabled: b"NOPERM",
    errors.TlsRequired: b"NOPERM",
    errors.TlsTooOld: b"PRIVACYREQUIRED",
    errors.RequireTlsImpossible: b"NOPERM",
    errors.NoSuchQueueItem: b"NONEXISTENT",
    errors.NoSuchScript: b"NONEXISTENT",
    errors.ScriptExists: b"ALREADYEXISTS",
    errors.ScriptActive: b"CANNOT",
    errors.BadScript: b"CANNOT",
    errors.BadScriptName: b"CANNOT",
    errors.WebRefused: b"CANNOT",
    errors.WebFailed: b"UNAVAILABLE",
    errors.SourceRefused: b"CANNOT",
    errors.SourceFailed: b"UNAVAILABLE",
    errors.NoSuchImport: b"NONEXISTENT",
    errors.BadTarget: b"CANNOT",
    errors.NoSuchKey: b"NONEXISTENT",
    errors.BadSettings: b"SERVERBUG",
    errors.BadImport: b"CANNOT",
    errors.BadBackup: b"CANNOT",
    errors.BackupFailed: b"UNAVAILABLE",
    errors.NoSuchCollection: b"NONEXISTENT",
    errors.CollectionExists: b"ALREADYEXISTS",
    errors.BadCollectionName: b"CANNOT",
    errors.NoSuchResource: b"NONEXISTENT",
    errors.PreconditionFailed: b"CANNOT",
    errors.UidConflict: b"ALREADYEXISTS",
    errors.BadObject: b"CANNOT",
    errors.ObjectTooLarge: b"TOOBIG",
    errors.BadSyncToken: b"CANNOT",
    errors.TooManyMatches: b"LIMIT",
    errors.NoSuchShare: b"NONEXISTENT",
    errors.NoSuchUser: b"NONEXISTENT",
    errors.UserExists: b"ALREADYEXISTS",
    errors.NoSuchInvite: b"NONEXISTENT",
    errors.NoSuchToken: b"NONEXISTENT",
    errors.NoSuchFactor: b"NONEXISTENT",
    errors.FactorExists: b"ALREADYEXISTS",
    errors.FactorNeeded: b"AUTHENTICATIONFAILED",
    errors.AppPasswordNeeded: b"AUTHENTICATIONFAILED",
    errors.NoSuchSession: b"NONEXISTENT",
    errors.IdempotencyMismatch: b"CANNOT",
    errors.AccountLocked: b"UNAVAILABLE",
    errors.NoSuchPushToken: b"NONEXISTENT",
    errors.NoSuchEmail: b"NONEXISTENT",
    errors.Conflict: b"ALREADYEXISTS",
}
"""Response code by error type. All are NO: BAD is for what cannot be understood, and the wire says that itself."""

SERVERBUG: Final = Reply(Result.NO, "Something went wrong here; it has been noted", b"SERVERBUG")
"""For what no table knows. Spec: RFC 5530 §3 (SERVERBUG)."""


def reply_for(error: errors.MailsteadError, *, may_create: bool = False) -> Reply:
    """Give the reply for an error; `may_create`: a missing mailbox is a target that the client could make.

    Spec: RFC 9051 §7.1 (TRYCREATE), §6.3.12, §6.4.7
    """
    if may_create and isinstance(error, errors.NoSuchMailbox):
        return Reply(Result.NO, error.public_text, b"TRYCREATE")
    for kind in type(error).__mro__:
        if kind in CODES:
            return Reply(Result.NO, error.public_text, CODES[kind])
    return SERVERBUG
