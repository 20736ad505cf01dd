"""What the pages behind links share: the form of a new password, and what is said of links that are not good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from mailstead.model.errors import MailsteadError, PolicyRefused
from mailstead.model.secret import Secret
from mailstead.services.web.site.pages import Visit
from mailstead.services.web.site.words import _
from mailstead.telemetry import metrics

FORM_OCTETS_MAX: Final = 8 * 1024
"""Anybody may send these forms."""


def chosen_password(fields: Mapping[str, str]) -> Secret:
    """Give the password that was written twice. Errors: PolicyRefused."""
    password = fields.get("password", "")
    if password != fields.get("again", ""):
        raise PolicyRefused(_("The two are not the same"))
    if not password:
        raise PolicyRefused(_("The password is empty"))
    return Secret(password)


def leads_nowhere(visit: Visit, reason: str, error: MailsteadError) -> Response:
    """Say so, and why; `reason` is a short fixed word for the metric. Spec: RFC 9110 §15.5.5."""
    metrics.refused("web", "404", reason)
    return visit.show("links/nowhere.html", 404, text=error.public_text)
