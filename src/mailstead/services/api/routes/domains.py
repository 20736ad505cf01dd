"""Domains, their members and invitations, and the passwords of their catch-alls.

Spec: reference forwardemail 4.7, 4.10 (Domain), 4.1 (hidden fields).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from mailstead.model.people import Group
from mailstead.model.secret import Secret
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Listed, Model, Right, Shown
from mailstead.services.api.errors import Refusal
from mailstead.services.api.paging import listing_of
from mailstead.services.api.values import Moment, Password, Words
from mailstead.usecases.domain_book import RECEIVING, SENDING, DnsRecord, DomainWishes, ShownDomain

ENTRIES_MAX: Final = 1000
_PATH: Final = "/v1/domains"
_ONE: Final = f"{_PATH}/{{domain_id}}"
_TAG: Final = "domains"
_PLAN: Final = "team"
"""Of all domains of those who host themselves. Spec: reference forwardemail 4.7."""
_NO_BUCKETS: Final = (
    "Domains have no buckets of their own here: all is backed up to the server's backup.target, which "
    "`mailstead backup` and `mailstead doctor` check"
)


def _no_false(value: object) -> object:
    return "" if value in (False, "false", "0", 0, None) else value


def _catch_all(value: object) -> object:
    """A boolean in any of its forms, or recipients."""
    if isinstance(value, str):
        word = value.strip().lower()
        if word in {"true", "yes", "on", "1"}:
            return True
        if word in {"false", "no", "off", "0", ""}:
            return False
    if isinstance(value, int) and not isinstance(value, bool):
        return bool(value)
    return value


UrlOrFalse = Annotated[str | None, BeforeValidator(_no_false, json_schema_input_type=str | bool | None)]
CatchAll = Annotated[bool | Words, BeforeValidator(_catch_all, json_schema_input_type=bool | list[str] | str)]


class DomainsListed(Listed):
    """Query of the list."""

    limit: int = Field(1000, ge=1, le=1000)
    sort: Literal["", "name", "-name", "created_at", "-created_at", "updated_at", "-updated_at"] = ""
    q: str = ""
    """Part of a name."""
    domain: str = ""
    name: str = ""


class DomainSettings(Model):
    """What a domain is asked to be; what is left out stays, or is as usual."""

    plan: Literal["free", "enhanced_protection", "team"] | None = None
    has_adult_content_protection: bool | None = Field(None, description="Kept, without effect.")
    has_phishing_protection: bool | None = Field(None, description="Kept, without effect.")
    has_executable_protection: bool | None = Field(None, description="Kept, without effect.")
    has_virus_protection: bool | None = Field(None, description="Kept, without effect.")
    has_recipient_verification: bool | None = Field(None, description="Kept, without effect.")
    has_newsletter: bool | None = Field(None, description="Kept, without effect.")
    has_custom_verification: bool | None = Field(None, description="Kept, without effect.")
    is_catchall_regex_disabled: bool | None = Field(None, description="Kept, without effect.")
    ignore_mx_check: bool | None = Field(None, description="Kept, without effect.")
    alias_default_smtp_limit: int | None = Field(
        None, ge=0, le=1_000_000, description="Of new aliases with a mailbox; 0: as the server says."
    )
    smtp_port: int | None = Field(None, description="Port of recipients that are hosts.")
    allow_subdomain_forwarding: bool | None = None
    has_delivery_logs: bool | None = None
    require_tls_inbound: bool | None = None
    retention_days: int | None = None
    bounce_webhook: UrlOrFalse = None
    max_recipients_per_alias: int | None = None
    max_quota_per_alias: str | int | None = Field(None, description="As `1 GB`, or octets; 0: any.")
    verification_record: str | None = Field(None, max_length=500)
    restricted_alias_names: Words | None = None
    allowlist: Words | None = Field(None, max_length=ENTRIES_MAX)
    denylist: Words | None = Field(None, max_length=ENTRIES_MAX)


class NewDomain(DomainSettings):
    """A domain to be served."""

    domain: str = Field(max_length=255)
    team_domain: str = Field("", max_length=255, description="Its members become members.")
    catchall: CatchAll = Field(True, description="Whether mail for unknown names goes to the caller, or to whom.")


class DomainChanges(DomainSettings):
    """What of a domain is to be changed."""

    has_custom_s3: bool | None = Field(None, description="Only false: there is one backup for all.")
    s3_endpoint: str | None = Field(None, max_length=1000, description="Refused, as has_custom_s3.")
    s3_access_key_id: Password = None
    s3_secret_access_key: Password = None
    s3_region: str | None = Field(None, max_length=1000)
    s3_bucket: str | None = Field(None, max_length=1000)


class Allowlist(Model):
    """Senders that are spared heuristics."""

    allowlist: Words = Field(max_length=ENTRIES_MAX)


class Denylist(Model):
    """Senders that are refused."""

    denylist: Words = Field(max_length=ENTRIES_MAX)


class NewCatchAllPassword(Model):
    """A password of the catch-all to be made."""

    new_password: Password = None
    description: str = Field("", max_length=150)


class NewInvite(Model):
    """Somebody to be invited."""

    email: str = Field(max_length=320)
    group: Group = Group.USER


class OldInvite(Model):
    """An invitation to be taken back."""

    email: str = Field("", max_length=320)


class MemberChanges(Model):
    """What of a member is to be changed."""

    group: Group


class DomainUser(Shown):
    """A member."""

    id: str
    email: str
    display_name: str


class DomainMember(Shown):
    """A member, and his part."""

    user: DomainUser
    group: Group


class DomainInvite(Shown):
    """Who is invited."""

    email: str
    group: Group


class NameAndValue(Shown):
    """A record to publish."""

    name: str
    value: str


class SmtpRecords(Shown):
    """What others look for in mail from the domain. There is no return path of its own: mail is sent as the domain."""

    dkim: NameAndValue | None
    return_path: NameAndValue | None
    dmarc: NameAndValue | None


class Domain(Shown):
    """Spec: reference forwardemail 4.10; what members do not see is left out for them (4.1)."""

    id: str
    object: Literal["domain"] = "domain"
    name: str
    plan: str
    has_mx_record: bool
    has_txt_record: bool
    has_dkim_record: bool
    has_return_path_record: bool
    has_dmarc_record: bool
    verification_record: str
    has_smtp: bool
    is_smtp_suspended: bool
    smtp_port: int
    smtp_dns_records: SmtpRecords
    has_newsletter: bool
    ignore_mx_check: bool
    allow_subdomain_forwarding: bool
    has_delivery_logs: bool
    retention_days: int
    has_regex: bool
    has_catchall: bool
    is_catchall_regex_disabled: bool
    has_adult_content_protection: bool
    has_phishing_protection: bool
    has_executable_protection: bool
    has_virus_protection: bool
    has_recipient_verification: bool
    has_custom_verification: bool
    require_tls_inbound: bool
    max_recipients_per_alias: int
    max_quota_per_alias: int | None
    alias_default_smtp_limit: int | None
    has_custom_s3: bool
    storage_used: int | None
    storage_used_by_aliases: int | None
    storage_quota: int | None
    members: list[DomainMember]
    invites: list[DomainInvite]
    created_at: Moment | None
    updated_at: Moment | None
    link: str
    bounce_webhook: str | bool | None = None
    custom_verification: dict[str, str] | None = None
    allowlist: list[str] | None = None
    denylist: list[str] | None = None
    restricted_alias_names: list[str] | None = None
    s3_endpoint: str | None = None
    s3_region: str | None = None
    s3_bucket: str | None = None


HIDDEN: Final = frozenset(
    {
        "bounce_webhook",
        "custom_verification",
        "allowlist",
        "denylist",
        "restricted_alias_names",
        "s3_endpoint",
        "s3_region",
        "s3_bucket",
    }
)
"""From members who do not look after the domain. Spec: reference forwardemail 4.1."""


class CatchAllPassword(Shown):
    """A password of the catch-all, without its text."""

    id: str
    description: str


class MadeCatchAllPassword(Shown):
    """… with its text, shown this once."""

    id: str
    username: str
    password: str
    description: str


def shown_domain(shown: ShownDomain, base_url: str) -> dict[str, Any]:
    """Give a domain as the API tells of it to who asks."""
    domain, profile, kept = shown.entry.domain, shown.entry.profile, shown.entry.profile.kept
    terms, found = domain.terms, shown.records_found

    def is_kept(name: str, *, otherwise: bool = False) -> bool:
        return bool(kept.get(name, otherwise))

    made = Domain(
        id=profile.object_id,
        name=domain.name,
        plan=str(kept.get("plan", _PLAN)),
        has_mx_record="mx" in found,
        has_txt_record=not terms.verification or "verification" in found,
        has_dkim_record="dkim" in found,
        has_return_path_record="spf" in found,
        has_dmarc_record="dmarc" in found,
        verification_record=terms.verification,
        has_smtp=True,
        is_smtp_suspended=False,
        smtp_port=_number(kept, "smtp_port") or 25,
        smtp_dns_records=SmtpRecords(dkim=_record(shown.dkim), return_path=None, dmarc=_record(shown.dmarc)),
        has_newsletter=is_kept("has_newsletter"),
        ignore_mx_check=is_kept("ignore_mx_check"),
        allow_subdomain_forwarding=terms.serves_subdomains,
        has_delivery_logs=terms.keeps_trace,
        retention_days=profile.retention_days,
        has_regex=shown.has_patterns,
        has_catchall=shown.has_catch_all,
        is_catchall_regex_disabled=is_kept("is_catchall_regex_disabled"),
        has_adult_content_protection=is_kept("has_adult_content_protection", otherwise=True),
        has_phishing_protection=is_kept("has_phishing_protection", otherwise=True),
        has_executable_protection=is_kept("has_executable_protection", otherwise=True),
        has_virus_protection=is_kept("has_virus_protection", otherwise=True),
        has_recipient_verification=is_kept("has_recipient_verification"),
        has_custom_verification=is_kept("has_custom_verification"),
        require_tls_inbound=terms.requires_tls_inbound,
        max_recipients_per_alias=terms.targets_per_alias_max,
        max_quota_per_alias=profile.account_quota_octets_max or None,
        alias_default_smtp_limit=_number(kept, "alias_default_smtp_limit"),
        has_custom_s3=False,
        storage_used=shown.used_octets,
        storage_used_by_aliases=shown.used_octets,
        storage_quota=None,
        members=[
            DomainMember(
                user=DomainUser(
                    id=member.user.user_id, email=member.user.address, display_name=member.user.display_name
                ),
                group=member.group,
            )
            for member in shown.members
        ],
        invites=[DomainInvite(email=invite.address, group=invite.group) for invite in shown.invites],
        created_at=profile.created_at,
        updated_at=profile.updated_at,
        link=f"{base_url}{_PATH}/{domain.name}",
        bounce_webhook=profile.bounce_webhook or False,
        custom_verification={},
        allowlist=[_sender(entry) for entry in terms.allowlist],
        denylist=[_sender(entry) for entry in terms.denylist],
        restricted_alias_names=list(profile.restricted_names),
    )
    return made.model_dump(mode="json", exclude=None if shown.is_administered else set(HIDDEN))


def wishes_of(body: DomainSettings) -> DomainWishes:
    """Give what a body asks for; null is as a field that is not there, but for bounce_webhook, of which it is none."""
    kept: dict[str, object] = {
        name: value
        for name in (
            "plan",
            "has_adult_content_protection",
            "has_phishing_protection",
            "has_executable_protection",
            "has_virus_protection",
            "has_recipient_verification",
            "has_newsletter",
            "has_custom_verification",
            "is_catchall_regex_disabled",
            "ignore_mx_check",
            "alias_default_smtp_limit",
            "smtp_port",
        )
        if (value := getattr(body, name)) is not None
    }
    quota = body.max_quota_per_alias
    return DomainWishes(
        serves_subdomains=body.allow_subdomain_forwarding,
        requires_tls_inbound=body.require_tls_inbound,
        keeps_trace=body.has_delivery_logs,
        targets_per_alias_max=body.max_recipients_per_alias,
        allowlist=body.allowlist,
        denylist=body.denylist,
        verification=body.verification_record,
        restricted_names=body.restricted_alias_names,
        account_quota_max=None if quota is None else str(quota),
        retention_days=body.retention_days,
        bounce_webhook=body.bounce_webhook,
        kept=kept,
    )


async def list_domains(call: Call) -> Answer:
    """Those that the caller has a part in."""
    page = await call.house.domain_book.list(call.actor, listing_of(call.query), call.query.name or call.query.domain)
    return Answer([shown_domain(each, call.house.terms.base_url) for each in page.items], page=page)


async def create_domain(call: Call) -> Answer:
    """Serve a further one."""
    body: NewDomain = call.body
    catch_all: list[str] | None = None
    if body.catchall is not False:
        catch_all = [] if body.catchall is True else list(body.catchall)
    made = await call.house.domain_book.create(
        call.actor, body.domain.strip(), wishes_of(body), team_domain=body.team_domain.strip(), catch_all=catch_all
    )
    return _answer(call, made)


async def change_domain(call: Call) -> Answer:
    """Change what is asked for."""
    body: DomainChanges = call.body
    texts = (body.s3_endpoint, body.s3_region, body.s3_bucket)
    if body.has_custom_s3 or any(texts) or body.s3_access_key_id or body.s3_secret_access_key:
        raise Refusal(400, _NO_BUCKETS)
    return _answer(call, await call.house.domain_book.change(call.actor, call.path["domain_id"], wishes_of(body)))


async def change_list(call: Call) -> Answer:
    """Put one of the lists of senders in the place of what it was."""
    body = call.body
    wishes = (
        DomainWishes(allowlist=body.allowlist) if isinstance(body, Allowlist) else DomainWishes(denylist=body.denylist)
    )
    return _answer(call, await call.house.domain_book.change(call.actor, call.path["domain_id"], wishes))


def _verifying(purposes: tuple[str, ...], told: str) -> Callable[[Call], Awaitable[Answer]]:
    async def verify(call: Call) -> Answer:
        faults = await call.house.domain_book.verify(call.actor, call.path["domain_id"], purposes)
        if faults:
            raise Refusal(400, " ".join(faults))
        return Answer(told)

    return verify


async def test_bucket(call: Call) -> Answer:
    """Say honestly that there is none."""
    call.actor.must_administer((await call.house.domain_book.get(call.actor, call.path["domain_id"])).entry.domain.name)
    raise Refusal(400, _NO_BUCKETS)


async def list_passwords(call: Call) -> Answer:
    """Passwords of the catch-all, without their texts."""
    found = await call.house.catch_all_passwords.list(call.actor, call.path["domain_id"])
    return Answer([CatchAllPassword(id=each.password_id, description=each.description) for each in found])


async def create_password(call: Call) -> Answer:
    """Make a password of the catch-all."""
    chosen: Secret | None = call.body.new_password or None
    made = await call.house.catch_all_passwords.add(call.actor, call.path["domain_id"], call.body.description, chosen)
    return Answer(
        MadeCatchAllPassword(
            id=made.password.password_id,
            username=made.username,
            password=made.secret.reveal(),
            description=made.password.description,
        )
    )


async def delete_password(call: Call) -> Answer:
    """Remove a password of the catch-all."""
    await call.house.catch_all_passwords.remove(call.actor, call.path["domain_id"], call.path["password_id"])
    return Answer({"message": "The password is removed"})


async def withdraw_invite(call: Call) -> Answer:
    """Take an invitation back."""
    address = call.body.email or call.query.email
    return _answer(call, await call.house.domain_book.withdraw(call.actor, call.path["domain_id"], address))


def _one(verb: Callable[[Call, str], Awaitable[ShownDomain]]) -> Callable[[Call], Awaitable[Answer]]:
    """Give the handler of a verb that gives the domain as it is then."""

    async def handler(call: Call) -> Answer:
        return _answer(call, await verb(call, call.path["domain_id"]))

    return handler


def _answer(call: Call, shown: ShownDomain) -> Answer:
    return Answer(shown_domain(shown, call.house.terms.base_url))


def _sender(entry: str) -> str:
    """One address is no network of one."""
    return entry.removesuffix("/128" if ":" in entry else "/32")


def _number(kept: Mapping[str, object], name: str) -> int | None:
    value = kept.get(name)
    return value if isinstance(value, int) else None


def _record(record: DnsRecord | None) -> NameAndValue | None:
    return None if record is None else NameAndValue(name=record.name, value=record.value)


_Handler = Callable[[Call], Awaitable[Answer]]


def _endpoint(
    method: str,
    path: str,
    name: str,
    summary: str,
    right: Right,
    handler: Callable[[Call], Awaitable[Answer]],
    **more: Any,
) -> Endpoint:
    return Endpoint(method, path, name, summary, _TAG, Auth.TOKEN, right, handler, **more)


_show = _one(lambda call, domain: call.house.domain_book.get(call.actor, domain))
_delete = _one(lambda call, domain: call.house.domain_book.delete(call.actor, domain))
_accept = _one(lambda call, domain: call.house.domain_book.accept(call.actor, domain))
_invite = _one(lambda call, domain: call.house.domain_book.invite(call.actor, domain, call.body.email, call.body.group))
_change_member = _one(
    lambda call, domain: call.house.domain_book.change_member(
        call.actor, domain, call.path["member_id"], call.body.group
    )
)
_remove_member = _one(
    lambda call, domain: call.house.domain_book.remove_member(call.actor, domain, call.path["member_id"])
)
_verify_records = _verifying(RECEIVING, "The records for receiving mail are right.")
_verify_smtp = _verifying(SENDING, "The records for sending mail are right.")

ENDPOINTS: Final = (
    _endpoint(
        "GET", _PATH, "list-domains", "List domains", Right.CALLER, list_domains, query=DomainsListed,
        shows=list[Domain], command="domain list",
    ),
    _endpoint(
        "POST", _PATH, "create-domain", "Serve a further domain", Right.SERVER_ADMIN, create_domain, body=NewDomain,
        shows=Domain, per_day=50, command="domain add",
    ),
    _endpoint("GET", _ONE, "show-domain", "Show a domain", Right.MEMBER, _show, shows=Domain, command="domain show"),
    _endpoint(
        "PUT", _ONE, "change-domain", "Change a domain", Right.DOMAIN_ADMIN, change_domain, body=DomainChanges,
        shows=Domain, command="domain set",
    ),
    _endpoint(
        "DELETE", _ONE, "delete-domain", "Serve a domain no longer", Right.DOMAIN_ADMIN, _delete, shows=Domain,
        command="domain remove",
    ),
    _endpoint(
        "GET", f"{_ONE}/verify-records", "verify-domain-records", "Look for the records for receiving",
        Right.DOMAIN_ADMIN, _verify_records, media_type="text/plain; charset=utf-8", per_day=500, command="doctor",
    ),
    _endpoint(
        "GET", f"{_ONE}/verify-smtp", "verify-domain-smtp", "Look for the records for sending", Right.DOMAIN_ADMIN,
        _verify_smtp, media_type="text/plain; charset=utf-8", per_day=500, command="doctor",
    ),
    _endpoint(
        "POST", f"{_ONE}/test-s3-connection", "test-domain-bucket", "Refused: domains have no buckets of their own",
        Right.DOMAIN_ADMIN, test_bucket,
    ),
    _endpoint(
        "PUT", f"{_ONE}/allowlist", "change-domain-allowlist", "Replace the list of senders that are taken",
        Right.DOMAIN_ADMIN, change_list, body=Allowlist, shows=Domain, per_day=100, command="domain set",
    ),
    _endpoint(
        "PUT", f"{_ONE}/denylist", "change-domain-denylist", "Replace the list of senders that are refused",
        Right.DOMAIN_ADMIN, change_list, body=Denylist, shows=Domain, per_day=100, command="domain set",
    ),
    _endpoint(
        "GET", f"{_ONE}/catch-all-passwords", "list-catch-all-passwords", "List passwords of the catch-all",
        Right.DOMAIN_ADMIN,
        list_passwords, shows=list[CatchAllPassword], command="domain catch-all-password list",
    ),
    _endpoint(
        "POST", f"{_ONE}/catch-all-passwords", "create-catch-all-password", "Make a password of the catch-all",
        Right.DOMAIN_ADMIN, create_password, body=NewCatchAllPassword, shows=MadeCatchAllPassword,
        is_idempotent=False, command="domain catch-all-password add",
    ),
    _endpoint(
        "DELETE", f"{_ONE}/catch-all-passwords/{{password_id}}", "delete-catch-all-password",
        "Remove a password of the catch-all", Right.DOMAIN_ADMIN, delete_password,
        command="domain catch-all-password remove",
    ),
    _endpoint(
        "GET", f"{_ONE}/invites", "accept-invite", "Take the invitation of the caller", Right.CALLER, _accept,
        shows=Domain, changes_by_get=True,
    ),
    _endpoint(
        "POST", f"{_ONE}/invites", "create-invite", "Invite somebody", Right.DOMAIN_ADMIN, _invite, body=NewInvite,
        shows=Domain, per_day=10, command="invite add",
    ),
    _endpoint(
        "DELETE", f"{_ONE}/invites", "delete-invite", "Take an invitation back", Right.DOMAIN_ADMIN, withdraw_invite,
        body=OldInvite, query=OldInvite, shows=Domain, command="invite remove",
    ),
    _endpoint(
        "PUT", f"{_ONE}/members/{{member_id}}", "change-member", "Give a member another part", Right.DOMAIN_ADMIN,
        _change_member, body=MemberChanges, shows=Domain, command="member set",
    ),
    _endpoint(
        "DELETE", f"{_ONE}/members/{{member_id}}", "remove-member", "End a membership", Right.DOMAIN_ADMIN,
        _remove_member, shows=Domain, command="member remove", description="Members may go by themselves.",
    ),
)  # fmt: skip
