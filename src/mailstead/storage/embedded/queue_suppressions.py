"""Addresses that mail is not sent to: a table of the queue file."""

from __future__ import annotations

import json
from collections.abc import Sequence

import apsw

from mailstead.model.address import Address
from mailstead.model.queue import Suppression
from mailstead.storage.embedded.moments import moment_of, us_of
from mailstead.storage.embedded.queue_rows import address_of, address_text
from mailstead.storage.embedded.rows import select, select_packed


def suppress(db: apsw.Connection, suppression: Suppression) -> None:
    """See `Queue.suppress`."""
    address = suppression.address
    db.execute(
        "INSERT OR REPLACE INTO suppression VALUES (?, ?, ?, ?)",
        (address.key, address_text(address), suppression.reason, us_of(suppression.at)),
    )


def unsuppress(db: apsw.Connection, address: Address) -> bool:
    """See `Queue.unsuppress`."""
    db.execute("DELETE FROM suppression WHERE key = ?", (address.key,))
    return db.changes() > 0


def suppressed(db: apsw.Connection, addresses: Sequence[Address]) -> dict[str, Suppression]:
    """See `Queue.suppressed`."""
    rows = select(
        db,
        "SELECT key, address, reason, at FROM suppression WHERE key IN (SELECT value FROM json_each(?))",
        (json.dumps([address.key for address in addresses]),),
    )
    return {key: Suppression(address_of(address), reason, moment_of(at)) for key, address, reason, at in rows}


def suppressions(db: apsw.Connection) -> list[Suppression]:
    """See `Queue.suppressions`."""
    rows = select_packed(db, "address, reason, at", "FROM suppression", order="ORDER BY at DESC, key")
    return [Suppression(address_of(address), reason, moment_of(at)) for address, reason, at in rows]
