"""Mail on paper: a conversation, or one message of it, as text that breaks over as many sheets as it needs.

A frame prints only what fits into it, and what strangers wrote as HTML stands in no page of ours (attack row 86): so it
is the text of a message that is printed here. How it looks as HTML is printed from its own document, which is linked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from starlette.responses import Response

from mailstead.mime.formatted import text_of_formatted
from mailstead.mime.header import first_values, text_of
from mailstead.model.place import thread_object_id
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.usecases.message_views import MessageView
from mailstead.usecases.shown_messages import MessagePage

MESSAGES_MAX: Final = 100
"""The newest of a conversation."""
FIELDS: Final = ("from", "to", "cc", "date", "subject")


async def conversation(visit: Visit) -> Response:
    """Give all messages of one."""
    found = await visit.house.conversations.show(visit.actor, visit.request.path_params["conversation_id"])
    left_out = max(0, len(found.messages) - MESSAGES_MAX)
    return await _printed(visit, found.messages[left_out:], found.subject, left_out)


async def message(visit: Visit) -> Response:
    """Give one."""
    view = await visit.house.messages.show(visit.actor, visit.request.path_params["message_id"])
    return await _printed(visit, [view], _header(view).get("subject", ""))


async def _printed(visit: Visit, views: Sequence[MessageView], subject: str, left_out: int = 0) -> Response:
    messages = []
    for view in views:
        shown = await visit.house.shown_messages.show(visit.actor, view.place.object_id)
        messages.append((view, _header(view), await asyncio.to_thread(text_shown, shown), shown))
    return visit.show(
        "mail/print.html",
        subject=subject,
        messages=messages,
        left_out=left_out,
        back=f"/mail/c/{thread_object_id(views[0].record.thread_id)}",
        at=lambda seconds: datetime.fromtimestamp(seconds, UTC),
    )


def text_shown(shown: MessagePage) -> str:
    """Give what a message says as plain text, lines of a text as they are."""
    texts = [
        text_of_formatted(body.html if body.is_html else f"<pre>{body.html}</pre>") for body in shown.message.bodies
    ]
    return "\n\n".join(each for each in texts if each.strip())


def _header(view: MessageView) -> dict[str, str]:
    values = first_values(view.record.listed_header or b"")
    return {name: text_of(values[name.encode()]) for name in FIELDS if name.encode() in values}


PAGES: Final = (
    Page("/mail/c/{conversation_id}/print", conversation, Who.OWNER),
    Page("/mail/m/{message_id}/print", message, Who.OWNER),
)
