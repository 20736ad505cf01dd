"""Behind the links of an invitation by mail: the meeting is looked at first, and answered by its button.

Spec: reference 8.5; RFC 9110 §9.2.1 (GET changes nothing), §15.5.5 (404 for links that are not good).
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from mailstead.model.errors import NoSuchAddress, PolicyRefused
from mailstead.services.web.site.links import leads_nowhere
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.telemetry import log
from mailstead.usecases.invitation_links import ANSWERS, Invited
from mailstead.usecases.invitation_mail import RESPOND, told_of

_log = log.get("web")


async def respond(visit: Visit) -> Response:
    """GET: what the meeting is, and a button. POST: the answer is taken."""
    links = visit.house.arrivals.invitation_links
    word, token = visit.request.path_params["word"], visit.request.path_params["token"]
    if word not in ANSWERS:
        return leads_nowhere(visit, "invitation-link", NoSuchAddress())
    is_answer = visit.request.method == "POST"
    try:
        invited = await links.answer(token, ANSWERS[word]) if is_answer else await links.invited(token)
    except PolicyRefused as error:
        return leads_nowhere(visit, "invitation-link", error)
    if is_answer:
        _log.info("an invitation was answered by a link", account=invited.owner.address)
    return _shown(visit, invited, word, is_answered=is_answer)


def _shown(visit: Visit, invited: Invited, word: str, *, is_answered: bool) -> Response:
    """Show what a guest may know: what, when, where, from whom; not who else is invited."""
    return visit.show(
        "links/meeting.html",
        meeting=told_of(invited.meeting),
        attendee=invited.attendee.partition(":")[2],
        word=word,
        is_answered=is_answered,
    )


PAGES: Final = (Page(RESPOND + "{word}/{token}", respond, Who.ANYBODY, ("GET", "POST")),)
