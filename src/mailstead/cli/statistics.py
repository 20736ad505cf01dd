"""`mailstead statistics`: how much mail came and went, as small bar charts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from mailstead.cli.terminal import terminal_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailstead.model.statistics import Figures
    from mailstead.wiring.house import House

_T = TypeVar("_T")
_BARS: Final = " ▁▂▃▄▅▆▇█"
_COLUMNS: Final = 60
"""Of a chart at most; more spans than that are taken together."""
_COUNTS: Final = (
    ("mail in", "mail_in"),
    ("mail out", "mail_out"),
    ("refused", "refused_count"),
    ("junk", "junk"),
    ("bounced", "bounced"),
    ("log-ins", "log_ins"),
    ("failed log-ins", "failed_log_ins"),
)
_GAUGES: Final = (("queue", "queue_length"), ("storage", "storage_octets"))
_UNITS: Final = ("octets", "KiB", "MiB", "GiB", "TiB")


def statistics(
    context: typer.Context,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=400, help="Show so many days instead of the last 48 hours.")
    ] = None,
) -> None:
    """Show how much mail came and went, what was refused, who logged in, queue and storage; 48 hours or some days.

    A bar stands for an hour or a day (with --days above 60: for several), the last one for the present; times are UTC.
    """
    terminal = terminal_of(context)

    async def work(house: House) -> list[Figures]:
        from mailstead.model.statistics import Span
        from mailstead.usecases.statistics import Statistics
        from mailstead.wiring.house import ADMINISTRATOR

        return await Statistics(house.storage, house.clock).show(ADMINISTRATOR, Span.DAY if days else Span.HOUR)

    found = terminal.run(work)[-(days or 0) :]
    terminal.say(_charts(found), [_as_json(each) for each in found])


def _charts(found: Sequence[Figures]) -> str:
    """Give one line for each figure: its name, the bars, and the sum or the last value."""
    from mailstead.policy.statistics import GROUPS

    form = "%Y-%m-%d" if len({each.begins_at.hour for each in found}) == 1 else "%Y-%m-%d %H:%M"
    lines = [f"{found[0].begins_at:{form}} to {found[-1].begins_at:{form}} UTC", ""]
    for title, name in _COUNTS:
        values = [int(getattr(each, name)) for each in found]
        lines.append(_line(title, [sum(group) for group in _groups(values)], f"{sum(values)} in all"))
    for title, name in _GAUGES:
        measured = [getattr(each, name) for each in found]
        highest = [max((value for value in group if value is not None), default=0) for group in _groups(measured)]
        last = next((value for value in reversed(measured) if value is not None), None)
        told = "not measured" if last is None else _octets(last) if name == "storage_octets" else f"{last} waiting"
        lines.append(_line(title, highest, told))
    sums = {group: sum(each.refused.get(group, 0) for each in found) for group in GROUPS}
    if any(sums.values()):
        lines += ["", "Refused: " + ", ".join(f"{group} {count}" for group, count in sums.items() if count)]
    return "\n".join(lines)


def _line(title: str, values: Sequence[int], told: str) -> str:
    return f"{title:<15}{bars(values)}  {told}"


def bars(values: Sequence[int]) -> str:
    """Draw values from 0 up, one sign each; what is not 0 is seen."""
    top = max(values, default=0)
    steps = len(_BARS) - 1
    return "".join(_BARS[-(-value * steps // top)] if value > 0 else _BARS[0] for value in values)


def _groups(values: Sequence[_T]) -> list[Sequence[_T]]:
    size = -(-len(values) // _COLUMNS)
    return [values[at : at + size] for at in range(0, len(values), size)]


def _octets(count: int) -> str:
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def _as_json(each: Figures) -> dict[str, object]:
    return {
        "begins_at": each.begins_at.isoformat(),
        "mail_in": each.mail_in,
        "mail_out": each.mail_out,
        "refused": dict(each.refused),
        "junk": each.junk,
        "bounced": each.bounced,
        "log_ins": each.log_ins,
        "failed_log_ins": each.failed_log_ins,
        "queue_length": each.queue_length,
        "storage_octets": each.storage_octets,
    }
