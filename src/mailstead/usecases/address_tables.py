"""The addresses of a domain as a table of comma-separated values: out, and in again, line by line.

What goes out does nothing to whoever opens it in a spreadsheet (`usecases.tables`, attack row 100), and comes in again.
Tables that `mailstead alias export` wrote come in, too.

Spec: RFC 4180 §2.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Final

from mailstead.model.directory import Account
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadImport, MailsteadError
from mailstead.model.people import Listing
from mailstead.policy.address_rules import AddressWishes
from mailstead.usecases.address_book import AddressBook, ShownAddress, target_text
from mailstead.usecases.tables import csv_rows, plain

COLUMNS: Final = (
    "name",
    "recipients",
    "description",
    "labels",
    "is_enabled",
    "error_code_if_disabled",
    "has_imap",
    "max_quota",
)
OTHER_NAMES: Final = {
    "alias": "name",
    "targets": "recipients",
    "enabled": "is_enabled",
    "disabled_code": "error_code_if_disabled",
}
"""Of the columns of `mailstead alias export`."""
PASSED_OVER: Final = frozenset({"expires_at", "masked"})
ROWS_MAX: Final = 5000
_AT_ONCE: Final = 1000
_YES: Final = frozenset({"yes", "true", "1", "on"})
_NO: Final = frozenset({"no", "false", "0", "off"})


@dataclass(frozen=True, slots=True)
class ImportedLine:
    """What became of one line."""

    line: int
    """Of the text, from 1."""
    name: str
    is_made: bool
    """In a dry run: would be made."""
    message: str = ""
    """What is wrong with it."""


class AddressTables:
    """Errors of both verbs: NoSuchDomain."""

    def __init__(self, book: AddressBook) -> None:
        self._book = book

    async def export(self, actor: Actor, domain: str) -> str:
        """Give all addresses that the actor has, with a line of heads."""
        rows: list[tuple[str, ...]] = [COLUMNS]
        page = 0
        while True:
            page += 1
            found = await self._book.list(actor, domain, Listing(page=page, limit=_AT_ONCE))
            rows += [_row(shown) for shown in found.items]
            if page * _AT_ONCE >= found.item_count:
                return csv_rows(rows)

    async def import_(self, actor: Actor, domain: str, text: str, *, is_dry_run: bool = False) -> list[ImportedLine]:
        """Make what is in a table, each line by itself: what is wrong with one does not keep the others.

        In a dry run all is checked, and nothing made. Errors: BadImport, for what is no such table at all.
        """
        await self._book.domain(actor, domain)
        done: list[ImportedLine] = []
        names: set[str] = set()
        for line, row in _rows(text):
            name = row.get("name", "")
            try:
                wishes = _wishes(row)
                if is_dry_run:
                    address = await self._book.check(actor, domain, wishes)
                    if address is not None and address.key in names:
                        raise BadImport("That name stands in the table twice")
                    if address is not None:
                        names.add(address.key)
                        name = address.local_part
                else:
                    name = (await self._book.create(actor, domain, wishes)).entry.owner.address.local_part
                done.append(ImportedLine(line, name, is_made=True))
            except MailsteadError as error:
                if error.is_temporary:
                    raise
                done.append(ImportedLine(line, name, is_made=False, message=error.public_text))
        return done


def _row(shown: ShownAddress) -> tuple[str, ...]:
    owner, profile = shown.entry.owner, shown.entry.profile
    is_account = isinstance(owner, Account)
    targets = owner.forward_to if isinstance(owner, Account) else owner.targets
    code = owner.disabled_code
    quota = owner.quota_octets if isinstance(owner, Account) else None
    return (
        owner.address.local_part,
        " ".join(target_text(target) for target in targets),
        profile.description if isinstance(owner, Account) else owner.description,
        ", ".join(profile.labels),
        "yes" if owner.is_enabled else "no",
        "" if code is None else str(code),
        "yes" if is_account else "no",
        "" if quota is None else str(quota),
    )


def _rows(text: str) -> list[tuple[int, dict[str, str]]]:
    """Errors: BadImport."""
    table = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    rows: list[tuple[int, dict[str, str]]] = []
    names: list[str] = []
    try:
        for cells in table:
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = [OTHER_NAMES.get(cell.strip().lower(), cell.strip().lower()) for cell in cells]
                _check_columns(names)
                continue
            if len(rows) >= ROWS_MAX:
                raise BadImport(f"A table has at most {ROWS_MAX} lines; bring it in parts")
            if len(cells) > len(names):
                raise BadImport(f"Line {table.line_num} has more cells than there are columns")
            rows.append((table.line_num, dict(zip(names, map(plain, cells), strict=False))))
    except csv.Error as error:
        raise BadImport(f"Line {table.line_num}: {error}") from None
    if not names:
        raise BadImport("The table is empty")
    return rows


def _check_columns(names: list[str]) -> None:
    """Errors: BadImport."""
    if "name" not in names:
        raise BadImport(f"The first line must name the columns, among them name; columns are {', '.join(COLUMNS)}")
    if len(set(names)) != len(names):
        raise BadImport("The first line names a column twice")
    if unknown := set(names) - set(COLUMNS) - PASSED_OVER:
        raise BadImport(f"There is no column {min(unknown)[:50]!r}; columns are {', '.join(COLUMNS)}")


def _wishes(row: dict[str, str]) -> AddressWishes:
    """Errors: BadImport."""

    def split(name: str, separators: str) -> tuple[str, ...] | None:
        text = row.get(name, "")
        for separator in separators:
            text = text.replace(separator, "\n")
        return tuple(word.strip() for word in text.split("\n") if word.strip()) or None

    code = row.get("error_code_if_disabled", "").strip()
    if code and not code.isdecimal():
        raise BadImport("error_code_if_disabled is 250, 421 or 550")
    return AddressWishes(
        name=row.get("name", ""),
        recipients=split("recipients", ", \r"),
        description=row.get("description"),
        labels=split("labels", ","),
        is_enabled=_yes_no(row, "is_enabled"),
        error_code_if_disabled=int(code) if code else None,
        has_imap=_yes_no(row, "has_imap"),
        max_quota=row.get("max_quota") or None,
    )


def _yes_no(row: dict[str, str], name: str) -> bool | None:
    text = row.get(name, "").strip().lower()
    if not text:
        return None
    if text not in _YES | _NO:
        raise BadImport(f"{name} is yes or no")
    return text in _YES
