"""Aliases as a table of comma-separated values, to be edited elsewhere and brought back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from mailstead.model.directory import Alias
from mailstead.model.errors import BadImport, MailsteadError
from mailstead.policy.patterns import alias_address
from mailstead.policy.targets import read_targets

COLUMNS: Final = ("alias", "targets", "enabled", "disabled_code", "expires_at", "description", "masked")
ROWS_MAX: Final = 100_000
_YES_NO: Final = {"yes": True, "no": False}


def write_table(aliases: Iterable[Alias]) -> str:
    """Give a table with a line of heads; targets have spaces between them, moments are in UTC."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for alias in aliases:
        writer.writerow(
            (
                f"{alias.address.local_part}@{alias.address.domain}" if alias.kind.value else str(alias.address),
                " ".join(map(str, alias.targets)),
                "yes" if alias.is_enabled else "no",
                alias.disabled_code,
                f"{alias.expires_at:%Y-%m-%dT%H:%M:%SZ}" if alias.expires_at else "",
                alias.description,
                "yes" if alias.is_masked else "no",
            )
        )
    return text.getvalue()


def read_table(text: str) -> list[Alias]:
    """Read a table; of the columns only ``alias`` and ``targets`` must be there, in any order.

    Errors: BadImport, with the line.
    """
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    aliases: list[Alias] = []
    try:
        names = [(name or "").strip().lower() for name in rows.fieldnames or ()]
        rows.fieldnames = names
        if missing := {"alias", "targets"} - set(names):
            raise BadImport(f"The first line must name the columns; {min(missing)} is missing")
        if unknown := set(names) - set(COLUMNS):
            raise BadImport(f"There is no column {min(unknown)!r}; columns are {', '.join(COLUMNS)}")
        for row in rows:
            if len(aliases) >= ROWS_MAX:
                raise BadImport(f"The table has more than {ROWS_MAX} lines")
            try:
                aliases.append(_alias({name: (value or "").strip() for name, value in row.items() if name is not None}))
            except MailsteadError as error:
                raise BadImport(f"Line {rows.line_num}: {error.public_text}") from None
            except ValueError as error:
                raise BadImport(f"Line {rows.line_num}: {error}") from None
    except csv.Error as error:
        raise BadImport(f"Line {rows.line_num}: {error}") from None
    return aliases


def _alias(row: dict[str, str]) -> Alias:
    code = row.get("disabled_code") or "550"
    return Alias(
        alias_address(row["alias"]),
        read_targets(row["targets"]),
        _yes_no(row, "enabled", otherwise=True),
        int(code),
        _moment(row.get("expires_at", "")),
        row.get("description", ""),
        _yes_no(row, "masked", otherwise=False),
    )


def _yes_no(row: dict[str, str], name: str, *, otherwise: bool) -> bool:
    text = row.get(name, "").lower()
    if not text:
        return otherwise
    if text not in _YES_NO:
        raise ValueError(f"{name} is yes or no, not {text!r}")
    return _YES_NO[text]


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
