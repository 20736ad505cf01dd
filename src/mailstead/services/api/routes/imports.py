"""Import from another provider over IMAP. Commands: ``mailstead import imap``, ``import status``, ``import cancel``."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

from pydantic import Field

from mailstead.model.remote_imports import ImportJob, ImportReason, ImportStatus, RemoteSecurity, RemoteServer
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right, Shown
from mailstead.services.api.values import Moment, Password
from mailstead.usecases.remote_imports import Checked

MAILBOXES_MAX: Final = 2000


class ServerAsked(Model):
    """A mailbox elsewhere."""

    host: Annotated[str, Field(min_length=1, max_length=255)]
    username: Annotated[str, Field(min_length=1, max_length=320)]
    password: Password
    security: RemoteSecurity = RemoteSecurity.TLS
    """``tls`` or ``starttls``; never without."""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    """0: 993, or 143 with ``starttls``."""


class MailboxAsked(Model):
    """A mailbox that is to come."""

    name: Annotated[str, Field(min_length=1, max_length=1000)]
    """As it is called there."""
    target: Annotated[str, Field(max_length=1000)] = ""
    """What it is called here; empty: as suggested."""


class ImportAsked(ServerAsked):
    """A mailbox elsewhere, and what of it is to come."""

    mailboxes: Annotated[list[MailboxAsked], Field(max_length=MAILBOXES_MAX)] | None = None
    """None: what is suggested."""


class ResumeAsked(Model):
    """How an import goes on."""

    password: Password | None = None
    """A new one, where the old one does not do any more."""


class MailboxOffered(Shown):
    """A mailbox elsewhere, and where it would go."""

    name: str
    special_use: str | None
    message_count: int
    size: int | None
    """Octets; null: unknown."""
    target: str
    is_suggested: bool


class ImportOffered(Shown):
    """What a log-in elsewhere has shown."""

    by_labels: bool
    """Mailboxes there are labels: the one of all messages is enough, and each message comes once."""
    mailboxes: list[MailboxOffered]


class MailboxImported(Shown):
    """A mailbox of an import."""

    name: str
    target: str
    message_count: int
    settled_count: int
    imported_count: int
    duplicate_count: int
    not_taken_count: int
    is_done: bool


class NotTakenShown(Shown):
    """A message that did not come; without UID, a mailbox."""

    mailbox: str
    uid: int | None
    number: int | None
    """In the mailbox, when it was looked at."""
    reason: str


class ImportShown(Shown):
    """An import, under way or over."""

    id: str
    host: str
    username: str
    security: RemoteSecurity
    port: int
    status: ImportStatus
    reason: ImportReason
    """Why it does not run just now."""
    text: str
    """The same for people."""
    is_open: bool
    needs_password: bool
    """It rests, and goes on only with a new password."""
    current: str
    """The mailbox at its turn."""
    message_count: int
    settled_count: int
    imported_count: int
    imported_size: int
    size: int | None
    duplicate_count: int
    not_taken_count: int
    not_taken: list[NotTakenShown]
    """The first 1000."""
    mailboxes: list[MailboxImported]
    created_at: Moment
    updated_at: Moment
    due_at: Moment | None
    """The next attempt, of one that waits."""
    ended_at: Moment | None


async def check(call: Call) -> Answer:
    """Log in elsewhere and tell what is there."""
    body: ServerAsked = call.body
    checked = await call.house.remote_imports.check(call.actor, _server(body), body.password)
    return Answer(_offered(checked))


async def begin(call: Call) -> Answer:
    """Begin an import."""
    body: ImportAsked = call.body
    chosen = None if body.mailboxes is None else {each.name: each.target for each in body.mailboxes}
    return Answer(_shown(await call.house.remote_imports.begin(call.actor, _server(body), body.password, chosen)))


async def show(call: Call) -> Answer:
    """Give the import that is under way, or the last one."""
    return Answer(_shown(await call.house.remote_imports.status(call.actor)))


async def resume(call: Call) -> Answer:
    """Let it go on."""
    body: ResumeAsked = call.body
    return Answer(_shown(await call.house.remote_imports.resume(call.actor, body.password)))


async def cancel(call: Call) -> Answer:
    """End it."""
    return Answer(_shown(await call.house.remote_imports.cancel(call.actor)))


async def dismiss(call: Call) -> Answer:
    """Throw the report away."""
    await call.house.remote_imports.dismiss(call.actor)
    return Answer()


def _server(body: ServerAsked) -> RemoteServer:
    return RemoteServer(body.host, body.username, body.security, body.port)


def _offered(checked: Checked) -> ImportOffered:
    return ImportOffered(
        by_labels=checked.by_labels,
        mailboxes=[
            MailboxOffered(
                name=each.mailbox.name,
                special_use=each.mailbox.special_use,
                message_count=each.mailbox.message_count,
                size=each.mailbox.size_octets,
                target=each.target,
                is_suggested=each.is_suggested,
            )
            for each in checked.offered
        ],
    )


def _shown(job: ImportJob) -> ImportShown:
    return ImportShown(
        id=job.job_id,
        host=job.server.host,
        username=job.server.username,
        security=job.server.security,
        port=job.server.real_port,
        status=job.status,
        reason=job.reason,
        text=job.text,
        is_open=job.is_open,
        needs_password=job.is_open and not job.sealed_password,
        current=job.current,
        message_count=job.message_count,
        settled_count=job.settled_count,
        imported_count=job.imported_count,
        imported_size=job.imported_octets,
        size=job.size_octets,
        duplicate_count=job.duplicate_count,
        not_taken_count=job.not_taken_count,
        not_taken=[
            NotTakenShown(mailbox=each.mailbox, uid=each.uid, number=each.seqnum, reason=each.reason)
            for each in job.not_taken
        ],
        mailboxes=[
            MailboxImported(
                name=each.name,
                target=each.target,
                message_count=each.message_count,
                settled_count=each.settled_count,
                imported_count=each.imported_count,
                duplicate_count=each.duplicate_count,
                not_taken_count=each.not_taken_count,
                is_done=each.is_done,
            )
            for each in job.mailboxes
        ],
        created_at=job.created_at,
        updated_at=job.updated_at,
        due_at=job.due_at,
        ended_at=job.ended_at,
    )


_ours: Final = partial(Endpoint, tag="imports", auth=Auth.ALIAS, right=Right.CALLER, is_ours=True)

ENDPOINTS: Final = (
    _ours(
        "POST",
        "/v1/imports/check",
        "check-import",
        "Log in at another provider over IMAP, and see what is there and where it would go",
        handler=check,
        body=ServerAsked,
        shows=ImportOffered,
        is_idempotent=False,
        description="Nothing is kept, of the password neither. Hosts in private networks are refused.",
        command="import imap",
    ),
    _ours(
        "POST",
        "/v1/imports",
        "begin-import",
        "Import mail from another provider, in the background",
        handler=begin,
        body=ImportAsked,
        shows=ImportShown,
        status=202,
        description=(
            "An account has one import at a time. Messages keep their flags and dates; one that is there already, by "
            "Message-ID and size, does not come again. The password is kept, encrypted, until the import has ended."
        ),
        command="import imap",
    ),
    _ours(
        "GET",
        "/v1/imports",
        "show-import",
        "How far the import is, or how the last one ended",
        handler=show,
        shows=ImportShown,
        command="import status",
    ),
    _ours(
        "POST",
        "/v1/imports/resume",
        "resume-import",
        "Let an import that rests go on now",
        handler=resume,
        body=ResumeAsked,
        shows=ImportShown,
        command="import resume",
    ),
    _ours(
        "POST",
        "/v1/imports/cancel",
        "cancel-import",
        "End an import; what has come stays",
        handler=cancel,
        shows=ImportShown,
        command="import cancel",
    ),
    _ours(
        "DELETE",
        "/v1/imports",
        "dismiss-import",
        "Throw the report of an ended import away",
        handler=dismiss,
        status=204,
        command="import dismiss",
    ),
)
