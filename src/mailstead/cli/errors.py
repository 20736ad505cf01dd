"""The one table from the house's errors to exit codes and advice.

Exit codes are those of sysexits(3), so that scripts can tell what to do: 0 done; 1 `check` or `doctor` has found
something; 2 the command line is wrong; 65 the input is bad; 67 no such domain, account, alias or mailbox; 69 the store
cannot be used; 70 a bug; 73 it exists already; 75 try again later; 77 not allowed; 78 the settings are wrong; 130
interrupted.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mailstead.model import errors

FOUND: Final = 1
USAGE: Final = 2
DATA: Final = 65
NO_SUCH: Final = 67
UNAVAILABLE: Final = 69
BUG: Final = 70
EXISTS: Final = 73
LATER: Final = 75
NOT_ALLOWED: Final = 77
SETTINGS: Final = 78
INTERRUPTED: Final = 130


class Exit(NamedTuple):
    """How a command ends, and what to do next."""

    code: int
    advice: str = ""


EXITS: Final[dict[type[errors.MailsteadError], Exit]] = {
    errors.MailsteadError: Exit(BUG),
    errors.BadAddress: Exit(DATA, "Write it as name@domain, a domain as example.org."),
    errors.NoSuchAddress: Exit(NO_SUCH, "`mailstead account list` and `mailstead alias list` show what is there."),
    errors.NotOurDomain: Exit(NO_SUCH, "`mailstead domain list` shows our domains; `domain add` adds one."),
    errors.NoSuchDomain: Exit(NO_SUCH, "`mailstead domain list` shows our domains; `domain add` adds one."),
    errors.DomainExists: Exit(EXISTS, "Nothing needs to be done."),
    errors.DomainInUse: Exit(NOT_ALLOWED, "`mailstead account list --domain` and `alias list --domain` show them."),
    errors.AddressTaken: Exit(EXISTS, "`mailstead account list` and `mailstead alias list` show by whom."),
    errors.NoSuchAccount: Exit(NO_SUCH, "`mailstead account list` shows the accounts."),
    errors.NoSuchAlias: Exit(NO_SUCH, "`mailstead alias list` shows the aliases."),
    errors.AliasLoop: Exit(DATA, "`mailstead alias list` shows where the targets lead."),
    errors.AuthenticationFailed: Exit(NOT_ALLOWED),
    errors.NotAllowed: Exit(NOT_ALLOWED),
    errors.SenderNotOwned: Exit(NOT_ALLOWED),
    errors.NoSuchMailbox: Exit(NO_SUCH, "Names are case-sensitive, levels are separated by /."),
    errors.MailboxExists: Exit(EXISTS),
    errors.BadMailboxName: Exit(DATA, "Choose a name without control characters, * and %."),
    errors.MailboxHasChildren: Exit(NOT_ALLOWED),
    errors.NoSuchMessage: Exit(NO_SUCH),
    errors.OverQuota: Exit(
        NOT_ALLOWED, "Raise it with `mailstead account quota`, then run again with --skip-duplicates."
    ),
    errors.LimitReached: Exit(NOT_ALLOWED),
    errors.MessageTooLarge: Exit(DATA, "The limit is the setting smtp.message_octets_max."),
    errors.PolicyRefused: Exit(DATA),
    errors.EncryptionNeeded: Exit(DATA),
    errors.WrongAuthor: Exit(DATA),
    errors.SignatureNeeded: Exit(DATA),
    errors.MailLoop: Exit(DATA),
    errors.BadMessage: Exit(DATA),
    errors.TryAgainLater: Exit(LATER),
    errors.TooManyConnections: Exit(LATER),
    errors.TooManyFailures: Exit(LATER),
    errors.StorageFull: Exit(LATER, "Make room on the disk; the reserve is the setting store.disk_reserve_octets."),
    errors.StorageUnavailable: Exit(
        UNAVAILABLE, "See whether the data folder is there and yours to write: `config show`."
    ),
    errors.StoreDamaged: Exit(
        UNAVAILABLE, "Is the master key the right one? `mailstead check` tells which store it is."
    ),
    errors.DnsUnavailable: Exit(LATER, "`mailstead doctor` says whether the resolver answers."),
    errors.RateLimited: Exit(LATER),
    errors.Greylisted: Exit(LATER),
    errors.RecipientsDiffer: Exit(LATER),
    errors.Deferred: Exit(LATER),
    errors.AddressPaused: Exit(LATER),
    errors.AddressDisabled: Exit(NOT_ALLOWED),
    errors.TlsRequired: Exit(NOT_ALLOWED),
    errors.TlsTooOld: Exit(NOT_ALLOWED),
    errors.RequireTlsImpossible: Exit(NOT_ALLOWED),
    errors.NoSuchQueueItem: Exit(NO_SUCH, "`mailstead queue list` shows what waits."),
    errors.NoSuchScript: Exit(NO_SUCH, "`mailstead sieve list` shows the scripts."),
    errors.ScriptExists: Exit(EXISTS),
    errors.ScriptActive: Exit(NOT_ALLOWED, "`mailstead sieve deactivate` first."),
    errors.BadScript: Exit(DATA),
    errors.BadScriptName: Exit(DATA),
    errors.WebRefused: Exit(DATA),
    errors.WebFailed: Exit(LATER),
    errors.SourceRefused: Exit(DATA),
    errors.SourceFailed: Exit(LATER),
    errors.NoSuchImport: Exit(NO_SUCH, "`mailstead import imap ADDRESS --host … --user …` begins one."),
    errors.BadTarget: Exit(DATA),
    errors.NoSuchKey: Exit(NO_SUCH, "`mailstead dkim list` shows the keys."),
    errors.BadSettings: Exit(SETTINGS, "`mailstead config reference` explains all settings."),
    errors.BadBackup: Exit(DATA, "See what there is with `mailstead backup list`; another snapshot may be whole."),
    errors.BackupFailed: Exit(LATER, "Check backup.target and what belongs to it: `mailstead config show`."),
    errors.BadImport: Exit(
        DATA, "Mail comes from a Maildir, an mbox file, or a folder of .eml files; a key from a PEM file."
    ),
    errors.NoSuchCollection: Exit(
        NO_SUCH, "`mailstead calendar list` and `mailstead addressbook list` show what is there."
    ),
    errors.CollectionExists: Exit(EXISTS),
    errors.BadCollectionName: Exit(DATA, "Choose a name without slashes and control characters."),
    errors.NoSuchResource: Exit(NO_SUCH),
    errors.PreconditionFailed: Exit(DATA),
    errors.UidConflict: Exit(EXISTS),
    errors.BadObject: Exit(DATA),
    errors.ObjectTooLarge: Exit(DATA, "The limit is the setting dav.resource_octets_max."),
    errors.BadSyncToken: Exit(DATA),
    errors.TooManyMatches: Exit(DATA),
    errors.NoSuchShare: Exit(NO_SUCH, "`mailstead calendar shares` shows what is shared with whom."),
    errors.NoSuchUser: Exit(NO_SUCH, "`mailstead user list` shows who there is."),
    errors.UserExists: Exit(EXISTS),
    errors.NoSuchInvite: Exit(NO_SUCH, "`mailstead member list` shows who is asked."),
    errors.NoSuchToken: Exit(NO_SUCH, "`mailstead token list` shows the tokens."),
    errors.NoSuchFactor: Exit(NO_SUCH),
    errors.FactorExists: Exit(EXISTS),
    errors.FactorNeeded: Exit(NOT_ALLOWED),
    errors.AppPasswordNeeded: Exit(NOT_ALLOWED),
    errors.NoSuchSession: Exit(NO_SUCH),
    errors.IdempotencyMismatch: Exit(DATA),
    errors.AccountLocked: Exit(LATER),
    errors.NoSuchPushToken: Exit(NO_SUCH),
    errors.NoSuchEmail: Exit(NO_SUCH),
    errors.Conflict: Exit(EXISTS),
}


def exit_for(error: errors.MailsteadError) -> Exit:
    """Give the exit for an error."""
    return next(EXITS[kind] for kind in type(error).__mro__ if kind in EXITS)
