"""What can go wrong, named for the fact.

Each error says whether trying again later may help (`is_temporary`), and carries a public text without secrets or
settings; private details go to the log through `log_fields`.
"""

from typing import ClassVar


class MailsteadError(Exception):
    """Mother of all errors that a face of the house turns into a reply."""

    is_temporary: ClassVar[bool] = False
    default_text: ClassVar[str] = "The request cannot be carried out"

    def __init__(self, public_text: str | None = None, **log_fields: object) -> None:
        self.public_text = public_text or self.default_text
        self.log_fields = log_fields
        super().__init__(self.public_text)


class BadAddress(MailsteadError):
    """A text is not a mail address or domain."""

    default_text = "That is not a mail address"


class NoSuchAddress(MailsteadError):
    """Nobody here has that address."""

    default_text = "No such address here"


class NotOurDomain(MailsteadError):
    """The domain of an address is not served here."""

    default_text = "That domain is not served here"


class NoSuchDomain(MailsteadError):
    """An administrative command names a domain that does not exist here."""

    default_text = "No such domain here"


class DomainExists(MailsteadError):
    """A domain is to be added twice."""

    default_text = "That domain exists already"


class DomainInUse(MailsteadError):
    """A domain is to be removed while accounts or aliases use it."""

    default_text = "That domain still has accounts or aliases; remove them first"


class AddressTaken(MailsteadError):
    """An address is already an account or an alias."""

    default_text = "That address is taken"


class NoSuchAccount(MailsteadError):
    """The account is not there (any more)."""

    default_text = "No such account"


class NoSuchAlias(MailsteadError):
    """The alias is not there."""

    default_text = "No such alias"


class AliasLoop(MailsteadError):
    """An alias leads back to itself, or through more steps than allowed."""

    default_text = "That alias would lead back to itself"


class AuthenticationFailed(MailsteadError):
    """Wrong password, unknown account or no right to use this service: one answer for all of them."""

    default_text = "Authentication failed"


class NotAllowed(MailsteadError):
    """The actor may not do that; also the answer for what others own."""

    default_text = "You may not do that"


class SenderNotOwned(NotAllowed):
    """The name under which somebody wants to send is not his own."""

    default_text = "Sender address rejected: not owned by you"


class NoSuchMailbox(MailsteadError):
    """The mailbox is not there, or its uidvalidity has changed."""

    default_text = "No such mailbox"


class MailboxExists(MailsteadError):
    """A mailbox of that name is there already."""

    default_text = "A mailbox of that name exists already"


class BadMailboxName(MailsteadError):
    """The name cannot be a mailbox name here."""

    default_text = "That cannot be a mailbox name"


class MailboxHasChildren(MailsteadError):
    """A mailbox cannot be deleted in that way while others lie below it."""

    default_text = "That mailbox has mailboxes below it"


class NoSuchMessage(MailsteadError):
    """The message was expunged meanwhile."""

    default_text = "That message is no longer there"


class OverQuota(MailsteadError):
    """The account has no room for that."""

    default_text = "The mailbox is full"


class LimitReached(MailsteadError):
    """A count limit (mailboxes, keywords, annotations …) is reached."""

    default_text = "A limit of this account is reached"


class MessageTooLarge(MailsteadError):
    """A message is larger than the largest we take."""

    default_text = "The message is larger than this server accepts"


class PolicyRefused(MailsteadError):
    """Policy says no; the text is the reason."""

    default_text = "Refused by policy"


class MailLoop(PolicyRefused):
    """A message has passed here before, or through too many servers. Spec: RFC 5321 §6.3."""

    default_text = "The message goes round in circles"


class BadMessage(PolicyRefused):
    """A message breaks the message format in a way that would be read differently by different readers."""

    default_text = "The message is not well formed"


class EncryptionNeeded(PolicyRefused):
    """A domain lets only encrypted mail through, and the message is not."""

    default_text = "Encryption Needed: Invalid Unencrypted Mail"


class WrongAuthor(PolicyRefused):
    """From is missing, or is not whom the envelope names."""

    default_text = "Invalid FROM header"


class SignatureNeeded(PolicyRefused):
    """A domain takes only what the domain in From has signed, and the message is not."""

    default_text = "No valid DKIM signature found"


class TryAgainLater(MailsteadError):
    """Not now; later may work."""

    is_temporary = True
    default_text = "Please try again later"


class TooManyConnections(TryAgainLater):
    """A connection limit is reached."""

    default_text = "Too many connections; please try again later"


class TooManyFailures(TryAgainLater):
    """Too many wrong log-ins; wait."""

    default_text = "Too many failed log-ins; please try again later"


class StorageFull(TryAgainLater):
    """The disk is full, or below the reserve that is kept for recovery."""

    default_text = "The server is out of space; please try again later"


class StorageUnavailable(TryAgainLater):
    """The store cannot be read or written just now."""

    default_text = "The store is not available; please try again later"


class StoreDamaged(StorageUnavailable):
    """A store fails its consistency check or cannot be decrypted."""

    default_text = "The store is damaged; the administrator has been told"


class DnsUnavailable(TryAgainLater):
    """The domain name system gives no answer just now, or one that cannot be believed."""

    default_text = "The domain name system does not answer; please try again later"


class RateLimited(TryAgainLater):
    """Too much of something in too short a time; a little later it may go on."""

    default_text = "Too much mail in a short time; please try again later"


class Greylisted(TryAgainLater):
    """A sender we do not know yet is to come again. Spec: RFC 6647."""

    default_text = "We do not know you yet; please try again in a few minutes"


class Deferred(TryAgainLater):
    """Policy says not now; the text is the reason."""

    default_text = "Not accepted now by policy; please try again later"


class RecipientsDiffer(TryAgainLater):
    """Recipients whose domains judge mail by different rules need a message each."""

    default_text = "Recipients of that domain need a message of their own; send it in another transaction"


class AddressPaused(TryAgainLater):
    """An alias is switched off, with the wish that senders come again."""

    default_text = "That mailbox is disabled at present"


class AddressDisabled(MailsteadError):
    """An alias is switched off for good, or has run out."""

    default_text = "That mailbox is disabled"


class TlsRequired(MailsteadError):
    """The recipient's domain takes no mail in clear text."""

    default_text = "That domain takes mail over TLS only; say STARTTLS first"


class TlsTooOld(TlsRequired):
    """Nobody logs in to an account of that domain over so old a version of TLS."""

    default_text = "That domain asks for TLS 1.3 to log in; your program, or the TLS library it uses, needs an update"


class RequireTlsImpossible(MailsteadError):
    """A message must go over verified TLS all the way, and cannot. Spec: RFC 8689."""

    default_text = "The message requires TLS, and cannot be sent on that way"


class NoSuchQueueItem(MailsteadError):
    """The queue has no such item (any more)."""

    default_text = "No such item in the queue"


class NoSuchScript(MailsteadError):
    """The account has no script of that name."""

    default_text = "No script of that name"


class ScriptExists(MailsteadError):
    """A script of that name is there already."""

    default_text = "A script of that name exists already"


class ScriptActive(MailsteadError):
    """The active script cannot be deleted. Spec: RFC 5804 §2.10."""

    default_text = "That script is active; deactivate it first"


class BadScript(MailsteadError):
    """A script has errors; the text says where and what."""

    default_text = "The script has errors"


class BadScriptName(MailsteadError):
    """The name cannot be a script's. Spec: RFC 5804 §1.6."""

    default_text = "That cannot be the name of a script"


class WebRefused(MailsteadError):
    """A web address that we do not go to: private, loopback, a wrong scheme (attack row 37)."""

    default_text = "That web address is not allowed"


class WebFailed(TryAgainLater):
    """A web server does not answer as it should."""

    default_text = "The web server does not answer"


class SourceRefused(MailsteadError):
    """A mail server elsewhere that mail cannot be fetched from: not allowed (attack row 37), or it refuses us."""

    default_text = "Mail cannot be fetched from that server"


class SourceFailed(TryAgainLater):
    """A mail server elsewhere does not answer as it should."""

    default_text = "The mail server does not answer"


class NoSuchImport(MailsteadError):
    """An account has no import from another provider."""

    default_text = "There is no import"


class BadTarget(MailsteadError):
    """A text is no target of an alias."""

    default_text = "An alias leads to an address, a host:port or a web address"


class NoSuchKey(MailsteadError):
    """A domain has no such DKIM key."""

    default_text = "No such key"


class BadSettings(MailsteadError):
    """A setting is unknown or has a value that it cannot have."""

    default_text = "A setting is wrong"


class BadImport(MailsteadError):
    """A file or folder to import is not what it was said to be."""

    default_text = "That cannot be imported"


class BadBackup(MailsteadError):
    """A backup cannot be used: the wrong key, something missing, something changed."""

    default_text = "The backup cannot be used"


class BackupFailed(MailsteadError):
    """The place of backups cannot be reached, or does not take or give them."""

    is_temporary = True
    default_text = "The place of backups cannot be reached"


class NoSuchCollection(MailsteadError):
    """The calendar or address book is not there, or is not the actor's to see."""

    default_text = "No such calendar or address book"


class CollectionExists(MailsteadError):
    """A collection of that name is there already."""

    default_text = "A calendar or address book of that name exists already"


class BadCollectionName(MailsteadError):
    """The name cannot be a collection's or a resource's."""

    default_text = "That cannot be the name of a calendar, an address book or an object in one"


class NoSuchResource(MailsteadError):
    """The object is not in the collection (any more)."""

    default_text = "No such object"


class PreconditionFailed(MailsteadError):
    """The object is not in the state that the client's condition asks for. Spec: RFC 9110 §13.1."""

    default_text = "The object was changed meanwhile"


class UidConflict(MailsteadError):
    """Another object of the collection has that UID; `log_fields["name"]` says which. Spec: RFC 4791 §5.3.2.1."""

    default_text = "Another object has that UID already"


class BadObject(MailsteadError):
    """An iCalendar or vCard object is not well formed, or not one that may be kept.

    `log_fields["condition"]`: the precondition's name of RFC 4791 §5.3.2.1 or RFC 6352 §6.3.2.1.
    """

    default_text = "The object is not well formed"


class ObjectTooLarge(MailsteadError):
    """An object or attachment is larger than the largest we keep."""

    default_text = "The object is larger than this server keeps"


class BadSyncToken(MailsteadError):
    """A sync token is none of ours, or of another collection. Spec: RFC 6578 §3.2."""

    default_text = "That is no sync token of this collection; begin with an empty one"


class TooManyMatches(MailsteadError):
    """An answer would be larger than any we give: ask for less at a time. Spec: RFC 4791 §7.8."""

    default_text = "That is too much at once; ask for a shorter time, or for fewer objects"


class NoSuchShare(MailsteadError):
    """Nothing is shared in that way."""

    default_text = "That is not shared"


class NoSuchUser(MailsteadError):
    """Nobody of that name administers here."""

    default_text = "No such user"


class UserExists(MailsteadError):
    """A user of that address is there already."""

    default_text = "There is a user of that address already"


class NoSuchInvite(MailsteadError):
    """No invitation to the domain waits for that address."""

    default_text = "No such invitation"


class NoSuchToken(MailsteadError):
    """The user has no such token."""

    default_text = "No such token"


class NoSuchFactor(MailsteadError):
    """The account has no such second factor."""

    default_text = "No such second factor"


class FactorExists(MailsteadError):
    """A passkey is registered already."""

    default_text = "That passkey is registered already"


class FactorNeeded(MailsteadError):
    """The password is right, and a second factor is asked for."""

    default_text = "A second factor is needed"


class AppPasswordNeeded(AuthenticationFailed):
    """With a second factor, mail programs use passwords of their own (attack row 95)."""

    default_text = "Authentication failed"


class NoSuchSession(MailsteadError):
    """The session is over, or another's."""

    default_text = "No such session"


class IdempotencyMismatch(MailsteadError):
    """A key was used before, for another request."""

    default_text = "That idempotency key was used for another request"


class AccountLocked(TryAgainLater):
    """A sealed account that nobody has unlocked; its owner's next log-in does."""

    default_text = "The account is sealed; it opens when its owner logs in"


class NoSuchPushToken(MailsteadError):
    """The device is not registered."""

    default_text = "No such push token"


class NoSuchEmail(MailsteadError):
    """No such outgoing message."""

    default_text = "No such email"


class Conflict(MailsteadError):
    """Something of that name is there already."""

    default_text = "That exists already"
