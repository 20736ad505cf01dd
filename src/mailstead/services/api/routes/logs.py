"""The log, by mail. Spec: reference forwardemail 4.2 (logs/download)."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right
from mailstead.usecases.log_mail import LogWishes

DONE: Final = "The log is on its way to your address, if there is anything in it."


class LogsAsked(Model):
    """Which lines of the log."""

    domain: str = ""
    """Name or id; without it, all domains that you administer."""
    q: str = ""
    bounce_category: str = ""
    response_code: Annotated[int, Field(ge=200, le=599)] | None = None
    always_send_email: bool = False
    """Also when there is nothing in it."""


async def download_logs(call: Call) -> Answer:
    """Send the log to the user's own address."""
    asked: LogsAsked = call.query
    await call.house.log_mail.send(
        call.actor,
        LogWishes(asked.domain, asked.q, asked.bounce_category, asked.response_code, asked.always_send_email),
    )
    return Answer(DONE)


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/v1/logs/download",
        "download-logs",
        "Have the log sent to your address, as comma-separated values (gzip)",
        "logs",
        Auth.TOKEN,
        Right.CALLER,
        download_logs,
        query=LogsAsked,
        per_day=10,
        changes_by_get=True,
        media_type="text/plain; charset=utf-8",
    ),
)
