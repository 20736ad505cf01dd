"""The one table from the house's errors to HTTP: a status, and the precondition that failed.

Spec: RFC 4918 §16; RFC 4791 §5.3.2.1; RFC 6352 §6.3.2.1; RFC 6578 §3.2; RFC 4331 §6.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from starlette.responses import Response

from mailstead.model import errors
from mailstead.model.errors import MailsteadError
from mailstead.proto.dav import write
from mailstead.proto.dav.names import caldav, carddav, dav
from mailstead.proto.dav.xml import BadRequest


class Status(NamedTuple):
    """How a request ends that went wrong."""

    code: int
    condition: str = ""
    """Clark name; empty: none says it."""


_LATER: Final = Status(503)
_NO: Final = Status(403)

STATUSES: Final[dict[type[MailsteadError], Status]] = {
    errors.MailsteadError: Status(500),
    errors.BadAddress: Status(400),
    errors.NoSuchAddress: Status(404),
    errors.NotOurDomain: Status(404),
    errors.NoSuchDomain: Status(404),
    errors.DomainExists: Status(409),
    errors.DomainInUse: Status(409),
    errors.AddressTaken: Status(409),
    errors.NoSuchAccount: Status(404),
    errors.NoSuchAlias: Status(404),
    errors.AliasLoop: Status(409),
    errors.AuthenticationFailed: Status(401),
    errors.NotAllowed: Status(403, dav("need-privileges")),
    errors.SenderNotOwned: Status(403, dav("need-privileges")),
    errors.NoSuchMailbox: Status(404),
    errors.MailboxExists: Status(409),
    errors.BadMailboxName: Status(400),
    errors.MailboxHasChildren: Status(409),
    errors.NoSuchMessage: Status(404),
    errors.OverQuota: Status(507, dav("quota-not-exceeded")),
    errors.LimitReached: Status(507, dav("sufficient-disk-space")),
    errors.MessageTooLarge: Status(413),
    errors.PolicyRefused: _NO,
    errors.EncryptionNeeded: _NO,
    errors.WrongAuthor: _NO,
    errors.SignatureNeeded: _NO,
    errors.MailLoop: _NO,
    errors.BadMessage: Status(400),
    errors.TryAgainLater: _LATER,
    errors.TooManyConnections: _LATER,
    errors.TooManyFailures: Status(429),
    errors.StorageFull: Status(507, dav("sufficient-disk-space")),
    errors.StorageUnavailable: _LATER,
    errors.StoreDamaged: _LATER,
    errors.DnsUnavailable: _LATER,
    errors.RateLimited: Status(429),
    errors.Greylisted: _LATER,
    errors.RecipientsDiffer: _LATER,
    errors.Deferred: _LATER,
    errors.AddressPaused: _LATER,
    errors.AddressDisabled: _NO,
    errors.TlsRequired: _NO,
    errors.TlsTooOld: _NO,
    errors.RequireTlsImpossible: _NO,
    errors.NoSuchQueueItem: Status(404),
    errors.NoSuchScript: Status(404),
    errors.ScriptExists: Status(409),
    errors.ScriptActive: Status(409),
    errors.BadScript: Status(400),
    errors.BadScriptName: Status(400),
    errors.WebRefused: _NO,
    errors.WebFailed: _LATER,
    errors.SourceRefused: _NO,
    errors.SourceFailed: _LATER,
    errors.NoSuchImport: Status(404),
    errors.BadTarget: Status(400),
    errors.NoSuchKey: Status(404),
    errors.BadSettings: _LATER,
    errors.BadImport: Status(400),
    errors.BadBackup: Status(500),
    errors.BackupFailed: _LATER,
    errors.NoSuchCollection: Status(404),
    errors.CollectionExists: Status(405, dav("resource-must-be-null")),
    errors.BadCollectionName: Status(403),
    errors.NoSuchResource: Status(404),
    errors.PreconditionFailed: Status(412),
    errors.UidConflict: Status(409),
    errors.BadObject: Status(403),
    errors.ObjectTooLarge: Status(413),
    errors.BadSyncToken: Status(403, dav("valid-sync-token")),
    errors.TooManyMatches: Status(507, dav("number-of-matches-within-limits")),
    errors.NoSuchShare: Status(404),
    errors.NoSuchUser: Status(404),
    errors.UserExists: Status(409),
    errors.NoSuchInvite: Status(404),
    errors.NoSuchToken: Status(404),
    errors.NoSuchFactor: Status(404),
    errors.FactorExists: Status(409),
    errors.FactorNeeded: Status(401),
    errors.AppPasswordNeeded: Status(401),
    errors.NoSuchSession: Status(404),
    errors.IdempotencyMismatch: Status(409),
    errors.AccountLocked: _LATER,
    errors.NoSuchPushToken: Status(404),
    errors.NoSuchEmail: Status(404),
    errors.Conflict: Status(409),
}
"""Every type of `model.errors`; a test walks them all."""

RETRY_AFTER_S: Final = 60


def answer(error: MailsteadError, *, is_book: bool = False, conflict: str = "") -> Response:
    """Turn what went wrong into an answer; `conflict` is the path of what has the UID.

    Conditions of objects are CardDAV's where an address book is concerned.
    """
    code, condition = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    content = ""
    names = carddav if is_book else caldav
    if isinstance(error, errors.BadObject):
        condition = names(
            str(error.log_fields.get("condition") or ("valid-address-data" if is_book else "valid-calendar-data"))
        )
    elif isinstance(error, errors.UidConflict):
        condition = names("no-uid-conflict")
        content = write.href(conflict) if conflict else ""
    elif isinstance(error, errors.ObjectTooLarge):
        condition = names("max-resource-size")
    return xml_error(code, condition, error.public_text, content)


def bad_request(error: BadRequest) -> Response:
    """Answer a request that cannot be understood."""
    return xml_error(error.status, error.condition, error.text)


def xml_error(code: int, condition: str = "", description: str = "", content: str = "") -> Response:
    """Give an error with its condition, and a text for people."""
    headers = {"retry-after": str(RETRY_AFTER_S)} if code in {429, 503} else {}
    if code == 401:
        headers["www-authenticate"] = 'Basic realm="Mailstead", charset="UTF-8"'
    return Response(write.error(condition, content, description), code, headers, write.CONTENT_TYPE)
