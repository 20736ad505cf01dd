"""Figures for graphs. Command: ``mailstead statistics``."""

from __future__ import annotations

from typing import Final

from mailstead.model.statistics import Figures, Span
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right, Shown
from mailstead.services.api.values import Moment


class FiguresShown(Shown):
    """Those of one hour or day."""

    begins_at: Moment
    mail_in: int
    """Copies put into accounts here."""
    mail_out: int
    """Recipients elsewhere whose server has taken the message."""
    refused: dict[str, int]
    """Refusals by group: ``unknown``, ``policy``, ``put off``, ``limits``, ``message``, ``server``, ``broken``."""
    junk: int
    bounced: int
    log_ins: int
    failed_log_ins: int
    queue_length: int | None
    """Recipients that waited, at most; null: not measured."""
    storage_octets: int | None
    """Of all stores on the disk, at the end; null: not measured."""


class StatisticsShown(Shown):
    """Oldest first, without gaps; the present hour and day are the last."""

    hours: list[FiguresShown]
    """48 of them."""
    days: list[FiguresShown]
    """400 of them, in UTC."""


async def show(call: Call) -> Answer:
    """Give all figures."""
    statistics = call.house.administration.statistics
    hours, days = [await statistics.show(call.actor, span) for span in (Span.HOUR, Span.DAY)]
    return Answer(StatisticsShown(hours=[_shown(each) for each in hours], days=[_shown(each) for each in days]))


def _shown(each: Figures) -> FiguresShown:
    return FiguresShown(
        begins_at=each.begins_at,
        mail_in=each.mail_in,
        mail_out=each.mail_out,
        refused=dict(each.refused),
        junk=each.junk,
        bounced=each.bounced,
        log_ins=each.log_ins,
        failed_log_ins=each.failed_log_ins,
        queue_length=each.queue_length,
        storage_octets=each.storage_octets,
    )


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/v1/statistics",
        "show-statistics",
        "Figures by hour for two days, and by day for 400 days: mail, refusals, log-ins, queue, storage",
        "system",
        Auth.TOKEN,
        Right.SERVER_ADMIN,
        show,
        query=Model,
        shows=StatisticsShown,
        is_ours=True,
        command="statistics",
    ),
)
