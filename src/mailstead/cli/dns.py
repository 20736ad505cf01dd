"""`mailstead dns`: every record to publish for a domain, as lines of a zone file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.terminal import terminal_of

if TYPE_CHECKING:
    from mailstead.policy.dns_records import Record
    from mailstead.wiring.house import House


def dns(context: typer.Context, domain: Annotated[str, typer.Argument(metavar="DOMAIN")]) -> None:
    """Print every DNS record that a domain needs, ready to paste, with a comment that says why."""
    terminal = terminal_of(context)

    async def work(house: House) -> tuple[str, list[Record], list[Record]]:
        from mailstead.wiring.doctor import make_dns_plan
        from mailstead.wiring.house import ADMINISTRATOR

        plan = make_dns_plan(house)
        of_domain = await plan.of_domain(ADMINISTRATOR, domain)
        return house.settings.server.hostname, await plan.of_host(ADMINISTRATOR), of_domain

    hostname, of_host, of_domain = terminal.run(work)
    lines = [f"; The mail host {hostname}, once for all domains.", *_lines(of_host)]
    lines += ["", f"; The domain {domain}.", *_lines(of_domain)]
    lines += ["", f"; Then see whether all is well: mailstead doctor {domain}"]
    terminal.say("\n".join(lines), [_as_json(record) for record in (*of_host, *of_domain)])


def _lines(records: list[Record]) -> list[str]:
    from mailstead.policy.dns_records import zone_line

    lines: list[str] = []
    for record in records:
        lines += ["", f"; {'Optional. ' if record.is_optional else ''}{record.why}", zone_line(record)]
    return lines


def _as_json(record: Record) -> dict[str, object]:
    from mailstead.policy.dns_records import TTL_S

    return {
        "purpose": record.purpose,
        "name": record.name,
        "type": record.kind,
        "ttl_s": TTL_S,
        "value": record.value,
        "why": record.why,
        "is_optional": record.is_optional,
        "is_template": record.is_template,
    }
