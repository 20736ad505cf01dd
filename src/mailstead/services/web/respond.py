"""The page behind the links of an invitation by mail: it is looked at first, and answered by its button.

Spec: reference 8.5; RFC 9110 §9.2.1 (GET changes nothing), §15.5.5 (404 for links that are not good).
"""

from __future__ import annotations

from typing import Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mailstead.model.errors import PolicyRefused
from mailstead.services.web.small_page import small_page
from mailstead.telemetry import log, metrics
from mailstead.usecases.invitation_links import ANSWERS, InvitationLinks, Invited
from mailstead.usecases.invitation_mail import RESPOND, lines_of

_log = log.get("web")

_WORDS: Final = {"accept": "Accept", "decline": "Decline", "tentative": "Accept perhaps"}


class RespondPage:
    """Shows and takes answers, under the mail host's own name and over TLS only."""

    def __init__(self, links: InvitationLinks, mail_host: str) -> None:
        self._links = links
        self._mail_host = mail_host

    def routes(self) -> list[Route]:
        """Give them."""
        return [Route(RESPOND + "{word:str}/{token:str}", self.page, methods=["GET", "POST"])]

    async def page(self, request: Request) -> Response:
        """GET: what the meeting is, and a button. POST: the answer is taken."""
        word, token = request.path_params["word"], request.path_params["token"]
        is_ours = request.url.scheme == "https" and request.url.hostname == self._mail_host
        if not is_ours or word not in ANSWERS:
            return PlainTextResponse("Not found\n", 404)
        try:
            if request.method == "POST":
                invited = await self._links.answer(token, ANSWERS[word])
            else:
                invited = await self._links.invited(token)
        except PolicyRefused as error:
            metrics.refused("web", "404", "invitation-link")
            return small_page("This link leads nowhere", Markup("<p>{}.</p>").format(error.public_text), 404)
        if request.method == "POST":
            _log.info("an invitation was answered by a link", account=invited.owner.address)
            text = Markup("<p>Thank you. The organizer has got your answer.</p>")
            return small_page("Answered", text + _told(invited))
        form = Markup('<form method="post"><button>{}</button></form>').format(_WORDS[word])
        return small_page("Invitation", _told(invited) + form)


def _told(invited: Invited) -> Markup:
    """Give what a guest may know: what, when, where, from whom; not who else is invited."""
    shown = Markup("").join(Markup("<li>{}</li>").format(each) for each in lines_of(invited.meeting))
    who = invited.attendee.partition(":")[2]
    return Markup("<ul>{shown}</ul><p>You were invited as <strong>{who}</strong>.</p>").format(shown=shown, who=who)
