"""`mailstead dns`: every record to publish for a domain, as lines of a zone file, or written at the DNS provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from mailstead.cli.errors import FOUND
from mailstead.cli.printing import printable
from mailstead.cli.terminal import terminal_of
from mailstead.model.errors import BadSettings

if TYPE_CHECKING:
    from mailstead.cli.terminal import Terminal
    from mailstead.policy.dns_records import Record
    from mailstead.usecases.dns_writing import Compared
    from mailstead.wiring.house import House

VALUE_LENGTH_MAX: Final = 100
"""Of a value that people are shown; keys are longer."""


def dns(
    context: typer.Context,
    domain: Annotated[str, typer.Argument(metavar="DOMAIN")],
    write: Annotated[
        bool,
        typer.Option("--write", help="Compare with the zone at the provider (dns_provider), and add what is missing."),
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="With --write: put the records in the place of those that differ.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="With --write: optional records, too.")] = False,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="With --write: add without asking; records that differ stay but with --replace."),
    ] = False,
) -> None:
    """Print every DNS record that a domain needs, ready to paste, with a comment that says why; or write them.

    With --write a record that differs is replaced only if you say so. With --json nobody is asked: without --yes it is
    only compared. Ends with 1 if the provider has refused a record.
    """
    if write:
        _write(terminal_of(context), domain, replaces=replace, has_optional=everything, asks=not yes)
        return
    if replace or everything or yes:
        raise typer.BadParameter("--replace, --all and --yes go with --write")
    _print(context, domain)


def _write(terminal: Terminal, domain: str, *, replaces: bool, has_optional: bool, asks: bool) -> None:
    async def work(house: House) -> list[Compared]:
        from mailstead.wiring.doctor import make_dns_writer
        from mailstead.wiring.house import ADMINISTRATOR

        writer = make_dns_writer(house)
        if writer is None:
            raise BadSettings("dns_provider.kind is empty: set who publishes the zone, and its credentials")
        compared = await writer.look(ADMINISTRATOR, domain, has_optional=has_optional)
        if terminal.is_json:
            chosen = [] if asks else [each for each in compared if _is_chosen(each, replaces=replaces)]
        else:
            chosen = _chosen(compared, replaces=replaces, asks=asks)
        written = iter(await writer.write(ADMINISTRATOR, chosen))
        return [next(written) if each in chosen else each for each in compared]

    compared = terminal.run(work)
    terminal.say("\n".join(line for each in compared for line in _shown(each)), [_state_as_json(e) for e in compared])
    if any(each.state == "refused" for each in compared):
        raise typer.Exit(FOUND)


def _is_chosen(each: Compared, *, replaces: bool) -> bool:
    return each.state == "missing" or (replaces and each.is_replaceable)


def _chosen(compared: list[Compared], *, replaces: bool, asks: bool) -> list[Compared]:
    """Give what is to be written, asked of whoever sits there."""
    added = [each for each in compared if each.state == "missing"]
    if added and asks:
        lines = [line for each in added for line in _shown(each)]
        typer.echo(printable("\n".join(lines)), err=True)
        if not typer.confirm(f"Add {'this record' if len(added) == 1 else f'these {len(added)} records'}?", err=True):
            added = []
    replaced = [each for each in compared if each.is_replaceable and (replaces or asks)]
    if not replaces:
        replaced = [each for each in replaced if _is_agreed(each)]
    return [each for each in compared if each in added or each in replaced]


def _is_agreed(each: Compared) -> bool:
    typer.echo(printable("\n".join(_shown(each))), err=True)
    return typer.confirm("Replace what is there? Others may rely on it.", default=False, err=True)


def _shown(each: Compared) -> list[str]:
    record = each.record
    lines = [f"{each.state.value:<9} {record.name} {record.kind} {_cut(record.value)}"]
    label = "was" if each.state == "replaced" else "there is"
    lines += [f"          {label} {_cut(value)}" for value in each.found]
    if each.state == "template":
        lines.append(f"          publish it yourself: {record.why}")
    return [*lines, f"          {each.reason}"] if each.reason else lines


def _cut(value: str) -> str:
    return value if len(value) <= VALUE_LENGTH_MAX else f"{value[:VALUE_LENGTH_MAX]}…"


def _state_as_json(each: Compared) -> dict[str, object]:
    return {"state": each.state.value, "found": list(each.found), "reason": each.reason, **_as_json(each.record)}


def _print(context: typer.Context, domain: str) -> None:
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
