"""The card of an invitation under a message, and its answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from starlette.responses import Response

from mailstead.model.errors import MailsteadError
from mailstead.services.web.site.acting import with_query
from mailstead.services.web.site.calendar import NAMES
from mailstead.services.web.site.days import Times, times_of
from mailstead.services.web.site.pages import Page, Visit, Who, local_path
from mailstead.usecases.mailed_invitations import MailedInvitation
from mailstead.usecases.message_views import MessageView


@dataclass(frozen=True, slots=True)
class InvitationCard:
    """What the card needs (`calendar/invitation.html`)."""

    invitation: MailedInvitation
    times: Times
    names: dict[str, tuple[str, ...]]

    @property
    def last(self) -> datetime | None:
        """When it ends; of whole days the last one."""
        end = self.invitation.end
        if end is None or not self.invitation.is_all_day or end == self.invitation.start:
            return end
        return end - timedelta(days=1)


async def card_of(visit: Visit, view: MessageView) -> InvitationCard | None:
    """Give what a message says of a meeting; None: nothing. A calendar that cannot be read hides no mail."""
    if b"calendar" not in (view.record.body_structure or b"").lower():
        return None
    times = await times_of(visit)
    try:
        found = await visit.house.diary.invitations.look(visit.actor, view.place.object_id, times.zone)
    except MailsteadError:
        return None
    return None if found is None else InvitationCard(found, times, NAMES)


async def answer(visit: Visit) -> Response:
    """Answer the invitation in a message."""
    fields, message_id = await visit.fields(), visit.request.path_params["message_id"]
    await visit.house.diary.invitations.answer(visit.actor, message_id, fields.get("answer", ""))
    return visit.go(with_query(local_path(fields.get("then", ""), "/mail"), told="answered"))


PAGES: Final = (Page("/mail/m/{message_id}/invitation", answer, Who.OWNER, ("POST",)),)
