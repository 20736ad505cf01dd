"""The first run, in five pages: the administrator, the DNS records, certificate and port 25, a trial mail, done."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from mailstead.mime.composition import Composition, Correspondent, compose
from mailstead.model.address import Address
from mailstead.model.diagnosis import Health
from mailstead.model.errors import MailsteadError, NoSuchEmail, PolicyRefused
from mailstead.model.people import Listing
from mailstead.model.search import HeaderContains
from mailstead.model.secret import Secret
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.domains import KINDS
from mailstead.services.web.site.languages import translations
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _
from mailstead.usecases.emails import EmailView, OutgoingEmail
from mailstead.usecases.first_run import PATH
from mailstead.usecases.message_views import MessageQuery
from mailstead.usecases.web_sessions import Begun

_CONNECTIONS: Final = ("certificate", "port 25 outward", "reverse name ", "block lists", "service ", "open relay")
"""How the names begin of what the doctor looks at for the third page."""


async def begin(visit: Visit) -> Response:
    """GET: who is to administer the server. POST: he does, and is logged in."""
    token = visit.request.path_params["token"]
    await visit.house.first_run.check(token)
    if visit.request.method == "GET":
        return _administrator(visit)
    fields = await visit.fields()
    password = Secret(fields.get("password", ""))
    try:
        address = Address.parse(fields.get("address", "").strip())
        if fields.get("password") != fields.get("again"):
            raise PolicyRefused(_("The two are not the same"))
        await visit.house.first_run.begin(token, address, fields.get("kind", "mail"), password, visit.peer)
        begun = await visit.house.web_sessions.start(str(address), password, visit.peer, visit.program)
    except MailsteadError as error:
        return _administrator(visit, fields.get("address", ""), error)
    if isinstance(begun, Begun):
        visit.keep(begun)
    return visit.go("/admin/first-run/records", domain=address.domain)


def _administrator(visit: Visit, address: str = "", error: MailsteadError | None = None) -> Response:
    return visit.show(
        "first_run/administrator.html",
        200 if error is None else status_of(error),
        address=address,
        kinds=KINDS,
        error=error,
    )


async def records(visit: Visit) -> Response:
    """Show the records of a domain, each with what the DNS says of it now."""
    domain = await _domain(visit)
    plan, found = visit.house.dns_plan(), []
    if domain:
        found = await visit.house.doctor().records(visit.actor, domain)
    return visit.show(
        "first_run/records.html",
        domain=domain,
        records=[
            *await plan.of_host(visit.actor),
            *(await plan.of_domain(visit.actor, domain) if domain else ()),
        ],
        found=[each for each in found if each.status in {Health.ERROR, Health.WARNING}],
        good_count=sum(each.status is Health.OK for each in found),
    )


async def connections(visit: Visit) -> Response:
    """Say how it is with certificate, port 25 and what others know of our addresses."""
    found = await visit.house.doctor().examine(visit.actor)
    shown = [each for each in found if not each.domain and each.name.startswith(_CONNECTIONS)]
    return visit.show("first_run/connections.html", found=shown, domain=await _domain(visit))


async def trial(visit: Visit) -> Response:
    """GET: the form, and what became of a mail that was sent. POST: it is sent."""
    if visit.request.method == "GET":
        return await _trial(visit)
    fields, address = await visit.fields(), visit.actor.address
    to = fields.get("to", "").strip()
    try:
        if address is None or visit.actor.account_id is None:
            raise PolicyRefused(_("A trial mail is sent from a mailbox, and you have none here"))
        gettext = translations(visit.look.language).gettext
        now = visit.house.clock.now()
        octets = compose(
            Composition(
                now,
                f"<first-run.{int(now.timestamp() * 1000)}@{address.domain}>",
                (Correspondent("", str(address)),),
                to=(Correspondent("", str(Address.parse(to))),),
                subject=gettext("A trial mail"),
                text=gettext("This mail was sent by a new server. Answer it, and the server sees that mail flows."),
            )
        )
        sent = await visit.house.emails.send(visit.actor, visit.peer, OutgoingEmail(octets))
    except MailsteadError as error:
        return await _trial(visit, to, error)
    return visit.go("/admin/first-run/trial", domain=await _domain(visit), sent=sent.email.email_id)


async def _trial(visit: Visit, to: str = "", error: MailsteadError | None = None) -> Response:
    view, answer_count = await _sent(visit), 0
    if view is not None and visit.actor.account_id is not None:
        query = MessageQuery(HeaderContains("in-reply-to", view.email.message_id))
        answer_count = (await visit.house.messages.find(visit.actor, query, Listing(limit=1))).item_count
    return visit.show(
        "first_run/trial.html",
        200 if error is None else status_of(error),
        domain=await _domain(visit),
        to=to,
        email=view.email if view is not None else None,
        answer_count=answer_count,
        has_mailbox=visit.actor.account_id is not None,
        error=error,
    )


async def _sent(visit: Visit) -> EmailView | None:
    email_id = visit.request.query_params.get("sent", "")
    try:
        return await visit.house.emails.show(visit.actor, email_id) if email_id else None
    except NoSuchEmail:
        return None


async def done(visit: Visit) -> Response:
    """Say what comes next."""
    return visit.show("first_run/done.html", domain=await _domain(visit))


async def _domain(visit: Visit) -> str:
    """Give the domain in the query if it is ours, else the first one; empty: there is none."""
    names = [each.name for each in await visit.house.domains.list(visit.actor)]
    asked = visit.request.query_params.get("domain", "")
    return asked if asked in names else names[0] if names else ""


PAGES: Final = (
    Page(PATH + "{token}", begin, Who.ANYBODY, ("GET", "POST")),
    Page("/admin/first-run/records", records, Who.SERVER_ADMIN),
    Page("/admin/first-run/connections", connections, Who.SERVER_ADMIN),
    Page("/admin/first-run/trial", trial, Who.SERVER_ADMIN, ("GET", "POST")),
    Page("/admin/first-run/done", done, Who.SERVER_ADMIN),
)
