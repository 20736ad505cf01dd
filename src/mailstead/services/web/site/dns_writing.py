"""Records of a domain, compared with its zone and written there: nothing that was not shown, nor replaced unasked."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from starlette.responses import Response

from mailstead.model.errors import Conflict, MailsteadError, PolicyRefused
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _
from mailstead.usecases.dns_writing import Compared, RecordState

ORDER: Final = tuple(RecordState(each) for each in ("refused", "differs", "missing", "replaced", "added"))
"""The others, which need nobody, come after."""
_MARK: Final = "write-"
_MARK_CHARACTERS: Final = 24


async def look(visit: Visit) -> Response:
    """Compare the records with the zone."""
    return await _show(visit)


async def write(visit: Visit) -> Response:
    """Write what was ticked, if the zone is still as it was shown."""
    fields, name = await visit.fields(), visit.request.path_params["domain"]
    marks = {field.removeprefix(_MARK) for field in fields if field.startswith(_MARK)}
    has_optional = fields.get("optional") == "yes"
    try:
        writer = visit.house.care.dns_writer()
        if writer is None or not marks:
            raise PolicyRefused(_("Choose which records are to be written"))
        compared = await writer.look(visit.actor, name, has_optional=has_optional)
        chosen = [each for each in compared if mark_of(each) in marks]
        if len(chosen) != len(marks):
            raise Conflict(_("The zone is no longer as it was shown: look again, and choose anew"))
        written = await writer.write(visit.actor, chosen)
    except MailsteadError as error:
        return await _show(visit, error, has_optional=has_optional)
    visit.house.audit.note(visit.actor, "dns.write", name, name, count=str(len(written)))
    then = dict(zip([mark_of(each) for each in chosen], written, strict=True))
    return await _show(visit, compared=[then.get(mark_of(each), each) for each in compared], has_optional=has_optional)


def mark_of(each: Compared) -> str:
    """Give what tells a comparison from all others: it is another one when the zone has changed."""
    text = "\0".join((each.record.name, each.record.kind, each.record.value, each.state, *sorted(each.found)))
    return sha256(text.encode()).hexdigest()[:_MARK_CHARACTERS]


async def _show(
    visit: Visit,
    error: MailsteadError | None = None,
    compared: Sequence[Compared] | None = None,
    *,
    has_optional: bool | None = None,
) -> Response:
    domain = await visit.house.domains.get(visit.actor, visit.request.path_params["domain"])
    visit.actor.must_administer(domain.name)
    if has_optional is None:
        has_optional = visit.request.query_params.get("optional") == "yes"
    has_provider, is_written = True, compared is not None
    if compared is None:
        compared = ()
        try:
            writer = visit.house.care.dns_writer()
            has_provider = writer is not None
            if writer is not None:
                compared = await writer.look(visit.actor, domain.name, has_optional=has_optional)
        except MailsteadError as wrong:
            error = error or wrong
    order = {state: at for at, state in enumerate(ORDER)}
    return visit.show(
        "dns_writing.html",
        200 if error is None else status_of(error),
        domain=domain,
        compared=[
            (mark_of(each), each) for each in sorted(compared, key=lambda each: order.get(each.state, len(ORDER)))
        ],
        may_write=visit.actor.is_admin
        and not is_written
        and any(each.state is RecordState.MISSING or each.is_replaceable for each in compared),
        has_provider=has_provider,
        has_optional=has_optional,
        is_written=is_written,
        error=error,
    )


PAGES: Final = (
    Page("/admin/domains/{domain}/dns", look, Who.DOMAIN_ADMIN),
    Page("/admin/domains/{domain}/dns", write, Who.SERVER_ADMIN, ("POST",)),
)
