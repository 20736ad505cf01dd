"""Which page mends what the doctor has found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mailstead.model.diagnosis import Diagnosis, Health
from mailstead.services.web.site.words import _

PAGES_BY_NAME: Final = {
    "certificate": ("/admin/certificates", _("To the certificates")),
    "backups": ("/admin/backups", _("To the backups")),
    "queue": ("/admin/queue", _("To the queue")),
    "destinations": ("/admin/queue", _("To the queue")),
}
LOG: Final = ("/admin/logs?level=warning", _("To the log"))
RECORDS: Final = _("To the records")
SERVICE: Final = "service "
"""How the names of our own services begin."""
_RECORDS_OF_HOST: Final = frozenset({"address", "host", "helo", "tlsa", "caa"})


def mending_of(each: Diagnosis, domains: Sequence[str]) -> tuple[str, str] | None:
    """Give path and words of the page that mends it; None: it is well, or no page does.

    `domains`: those of the visitor. Records of the mail host stand on the page of each of them.
    """
    if each.status not in {Health.WARNING, Health.ERROR}:
        return None
    if each.domain:
        return f"/admin/domains/{each.domain}", RECORDS
    name = each.name.split(" ")[0]
    if name in _RECORDS_OF_HOST and domains:
        return f"/admin/domains/{domains[0]}", RECORDS
    if each.name.startswith(SERVICE):
        return LOG
    return PAGES_BY_NAME.get(each.name)
