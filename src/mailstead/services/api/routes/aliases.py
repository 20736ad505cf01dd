"""Aliases, as Forward Email calls all addresses of a domain: with a mailbox or without.

Spec: reference forwardemail 4.8, 4.10 (Alias).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from mailstead.model.directory import Account
from mailstead.model.people import Page
from mailstead.policy.address_rules import AddressWishes, VacationWishes
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Listed, Model, Right, Shown
from mailstead.services.api.errors import Refusal
from mailstead.services.api.paging import listing_of
from mailstead.services.api.values import Moment, Password, Words
from mailstead.usecases.address_book import SILENT, ShownAddress, target_text

TABLE_OCTETS_MAX: Final = 2 * 1024 * 1024
_PATH: Final = "/v1/domains/{domain_id}/aliases"
_TAG: Final = "aliases"
_STORE: Final = "server"
"""Where mailboxes are: reference 4.10 (``storage_location``) names a region."""


def _cleared(value: object) -> object:
    return None if value in ("", "null") else value


MomentOrNone = Annotated[Moment | None, BeforeValidator(_cleared)]


class AliasListed(Listed):
    """Query of the list. Spec: reference forwardemail 4.1 (default and largest page of aliases)."""

    limit: int = Field(1000, ge=1, le=1000)
    sort: Literal["", "name", "-name", "created_at", "-created_at", "updated_at", "-updated_at"] = ""
    q: str = ""
    """Part of a name, description or label."""
    name: str = ""
    recipient: str = ""


class AliasWishes(Model):
    """What an alias is asked to be; what is left out stays, or is as usual."""

    name: str | None = Field(None, max_length=1000, description="Empty: two random words. `*`: the catch-all.")
    recipients: Words | None = Field(None, description="Addresses, domains, IP addresses, host:port, webhooks.")
    description: str | None = None
    labels: Words | None = None
    has_recipient_verification: bool | None = None
    is_enabled: bool | None = None
    error_code_if_disabled: Literal[250, 421, 550, "250", "421", "550"] | None = None
    has_imap: bool | None = Field(None, description="Whether it has a mailbox.")
    has_pgp: bool | None = None
    public_key: str | None = None
    has_smime: bool | None = None
    smime_certificate: str | None = None
    has_wkd_disabled: bool | None = None
    max_quota: str | int | None = Field(None, description="As `1 GB`, or octets; 0: none.")
    vacation_responder_is_enabled: bool | None = None
    vacation_responder_start_date: MomentOrNone = None
    vacation_responder_end_date: MomentOrNone = None
    vacation_responder_subject: str | None = None
    vacation_responder_message: str | None = None
    retention: int | None = Field(None, description="Days; 0: for ever.")
    smtp_limit: int | None = Field(None, description="Recipients per day; -1: as the server says.")
    is_override: bool = Field(False, description="With `has_imap` false: a mailbox that holds mail goes, too.")


class PasswordWishes(Model):
    """Body of generate-password."""

    new_password: Password = None
    password: Password = Field(None, description="The present one.")
    is_override: bool = False
    emailed_instructions: str = Field("", max_length=320, description="Where a link for choosing one is sent.")


class Table(Model):
    """Body of an import: the table as a text, or as the one file of a form."""

    content: str = ""


class AliasUser(Shown):
    """Whose it is."""

    email: str
    display_name: str
    id: str


class AliasDomain(Shown):
    """The domain that it is in."""

    name: str
    id: str


class VacationResponder(Shown):
    """What is answered while its owner is away."""

    is_enabled: bool
    start_date: Moment | None
    end_date: Moment | None
    subject: str
    message: str


class Alias(Shown):
    """Spec: reference forwardemail 4.10."""

    id: str
    object: Literal["alias"] = "alias"
    user: AliasUser | None
    domain: AliasDomain
    name: str
    description: str
    labels: list[str]
    is_enabled: bool
    error_code_if_disabled: int
    has_recipient_verification: bool
    recipients: list[str]
    verified_recipients: list[str]
    pending_recipients: list[str]
    has_imap: bool
    has_pgp: bool
    public_key: str
    has_smime: bool
    smime_certificate: str
    has_wkd_disabled: bool
    max_quota: int | None
    storage_used: int
    storage_location: str
    retention: int
    smtp_limit: int | None
    is_smtp_suspended: bool
    smtp_suspended_sent_at: Moment | None
    vacation_responder: VacationResponder
    created_at: Moment | None
    updated_at: Moment | None


class GeneratedPassword(Shown):
    """The password, shown this once; none, where a link was sent instead."""

    username: str
    password: str | None


class ImportedLine(Shown):
    """What became of a line of a table."""

    line: int
    name: str
    is_made: bool
    message: str


class Imported(Shown):
    """What became of a table."""

    is_dry_run: bool
    made_count: int
    refused_count: int
    lines: list[ImportedLine]


def shown_alias(shown: ShownAddress) -> Alias:
    """Give an address as the API tells of it."""
    owner, profile, vacation = shown.entry.owner, shown.entry.profile, shown.vacation
    account = shown.account
    targets = owner.forward_to if isinstance(owner, Account) else owner.targets
    user = shown.user
    return Alias(
        id=profile.object_id,
        user=None if user is None else AliasUser(email=user.address, display_name=user.display_name, id=user.user_id),
        domain=AliasDomain(name=shown.domain.domain.name, id=shown.domain.profile.object_id),
        name=owner.address.local_part,
        description=profile.description if isinstance(owner, Account) else owner.description,
        labels=list(profile.labels),
        is_enabled=owner.is_enabled,
        error_code_if_disabled=SILENT if owner.disabled_code is None else owner.disabled_code,
        has_recipient_verification=profile.has_recipient_verification,
        recipients=[target_text(target) for target in targets],
        verified_recipients=list(profile.verified_recipients),
        pending_recipients=[],
        has_imap=account is not None,
        has_pgp=profile.has_pgp,
        public_key=profile.public_key,
        has_smime=profile.has_smime,
        smime_certificate=profile.smime_certificate,
        has_wkd_disabled=profile.has_wkd_disabled,
        max_quota=None if account is None else account.quota_octets,
        storage_used=0 if shown.usage is None else shown.usage.size_octets,
        storage_location=_STORE,
        retention=profile.retention_days,
        smtp_limit=None if account is None else account.sending_limit,
        is_smtp_suspended=False,
        smtp_suspended_sent_at=None,
        vacation_responder=VacationResponder(
            is_enabled=shown.is_away,
            start_date=None if vacation is None else vacation.start,
            end_date=None if vacation is None else vacation.end,
            subject="" if vacation is None else vacation.subject,
            message="" if vacation is None else vacation.message,
        ),
        created_at=profile.created_at,
        updated_at=profile.updated_at,
    )


def wishes_of(body: AliasWishes) -> AddressWishes:
    """Give what a body asks for; a field that is null is as one that is not there, but for the days of a vacation."""
    code = body.error_code_if_disabled
    return AddressWishes(
        name=body.name,
        recipients=None if body.recipients is None else tuple(body.recipients),
        description=body.description,
        labels=None if body.labels is None else tuple(body.labels),
        has_recipient_verification=body.has_recipient_verification,
        is_enabled=body.is_enabled,
        error_code_if_disabled=None if code is None else int(code),
        has_imap=body.has_imap,
        has_pgp=body.has_pgp,
        public_key=body.public_key,
        has_smime=body.has_smime,
        smime_certificate=body.smime_certificate,
        has_wkd_disabled=body.has_wkd_disabled,
        max_quota=None if body.max_quota is None else str(body.max_quota),
        retention_days=body.retention,
        sending_limit=body.smtp_limit,
        vacation=_vacation(body),
        is_override=body.is_override,
    )


def _vacation(body: AliasWishes) -> VacationWishes | None:
    prefix = "vacation_responder_"
    asked = {name for name in body.model_fields_set if name.startswith(prefix)}
    if not asked:
        return None

    def clears(name: str, value: datetime | None) -> bool:
        return prefix + name in asked and value is None

    start, end = body.vacation_responder_start_date, body.vacation_responder_end_date
    return VacationWishes(
        is_enabled=body.vacation_responder_is_enabled,
        start=start,
        end=end,
        subject=body.vacation_responder_subject,
        message=body.vacation_responder_message,
        clears_start=clears("start_date", start),
        clears_end=clears("end_date", end),
    )


async def list_aliases(call: Call) -> Answer:
    """All of the domain, or a member's own."""
    query = call.query
    page = await call.house.address_book.list(
        call.actor, call.path["domain_id"], listing_of(query), name=query.name, recipient=query.recipient
    )
    return Answer([shown_alias(each) for each in page.items], page=Page(page.items, page.item_count))


async def create_alias(call: Call) -> Answer:
    """Make one."""
    made = await call.house.address_book.create(call.actor, call.path["domain_id"], wishes_of(call.body))
    return Answer(shown_alias(made))


async def show_alias(call: Call) -> Answer:
    """Give one."""
    return Answer(shown_alias(await call.house.address_book.get(call.actor, *_where(call))))


async def change_alias(call: Call) -> Answer:
    """Change what is asked for."""
    return Answer(shown_alias(await call.house.address_book.change(call.actor, *_where(call), wishes_of(call.body))))


async def delete_alias(call: Call) -> Answer:
    """Remove it, with its mailbox; gives what it was."""
    return Answer(shown_alias(await call.house.address_book.delete(call.actor, *_where(call))))


async def generate_password(call: Call) -> Answer:
    """Make or set its password."""
    body: PasswordWishes = call.body
    made = await call.house.address_passwords.generate(
        call.actor,
        call.peer,
        *_where(call),
        new=body.new_password or None,
        old=body.password or None,
        is_override=body.is_override,
        instructions_to=body.emailed_instructions,
    )
    secret = made.secret
    return Answer(GeneratedPassword(username=str(made.address), password=None if secret is None else secret.reveal()))


async def import_aliases(call: Call) -> Answer:
    """Make what is in a table."""
    text = call.body.content
    if call.files:
        if len(call.files) > 1 or text:
            raise Refusal(400, "One table at a time: a file, or its text in content")
        try:
            text = call.files[0].octets.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Refusal(400, "The table is to be UTF-8") from None
    lines = await call.house.address_tables.import_(
        call.actor, call.path["domain_id"], text, is_dry_run=call.is_dry_run
    )
    made_count = sum(line.is_made for line in lines)
    return Answer(
        Imported(
            is_dry_run=call.is_dry_run,
            made_count=made_count,
            refused_count=len(lines) - made_count,
            lines=[
                ImportedLine(line=line.line, name=line.name, is_made=line.is_made, message=line.message)
                for line in lines
            ],
        )
    )


async def export_aliases(call: Call) -> Answer:
    """Give them as a table."""
    text = await call.house.address_tables.export(call.actor, call.path["domain_id"])
    return Answer(text.encode(), headers={"content-disposition": 'attachment; filename="aliases.csv"'})


def _where(call: Call) -> tuple[str, str]:
    return call.path["domain_id"], call.path["alias_id"]


ENDPOINTS: Final = (
    Endpoint(
        "GET", _PATH, "list-aliases", "List aliases", _TAG, Auth.TOKEN, Right.MEMBER, list_aliases,
        query=AliasListed, shows=list[Alias], command="alias list",
    ),
    Endpoint(
        "POST", _PATH, "create-alias", "Make an alias", _TAG, Auth.TOKEN, Right.MEMBER, create_alias,
        body=AliasWishes, shows=Alias, per_day=300, command="alias create",
    ),
    Endpoint(
        "GET", f"{_PATH}/{{alias_id}}", "show-alias", "Show an alias", _TAG, Auth.TOKEN, Right.MEMBER, show_alias,
        shows=Alias, command="alias list",
    ),
    Endpoint(
        "PUT", f"{_PATH}/{{alias_id}}", "change-alias", "Change an alias", _TAG, Auth.TOKEN, Right.MEMBER,
        change_alias, body=AliasWishes, shows=Alias, command="alias set",
    ),
    Endpoint(
        "DELETE", f"{_PATH}/{{alias_id}}", "delete-alias", "Delete an alias, and its mailbox", _TAG, Auth.TOKEN,
        Right.MEMBER, delete_alias, shows=Alias, command="alias remove",
    ),
    Endpoint(
        "POST", f"{_PATH}/{{alias_id}}/generate-password", "generate-alias-password",
        "Make or set the password of an alias", _TAG, Auth.TOKEN, Right.MEMBER, generate_password,
        body=PasswordWishes, shows=GeneratedPassword, per_day=300, is_idempotent=False, command="account password",
    ),
    Endpoint(
        "POST", f"{_PATH}/import", "import-aliases", "Make the aliases of a table (CSV)", _TAG, Auth.TOKEN,
        Right.MEMBER, import_aliases, body=Table, shows=Imported, per_day=300, is_ours=True, takes_files=True,
        body_octets_max=TABLE_OCTETS_MAX, offers_dry_run=True, command="alias import",
    ),
    Endpoint(
        "GET", f"{_PATH}.csv", "export-aliases", "Give all aliases as a table (CSV)", _TAG, Auth.TOKEN,
        Right.MEMBER, export_aliases, is_ours=True, media_type="text/csv; charset=utf-8",
        command="alias export",
    ),
)  # fmt: skip
