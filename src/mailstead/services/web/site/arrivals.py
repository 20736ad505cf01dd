"""What the pages need for those who come without a session: by a link that they were sent, or from a provider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailstead.usecases.invitation_links import InvitationLinks
from mailstead.usecases.log_in_links import LogInLinks

if TYPE_CHECKING:  # loaded only where a provider is set up
    from mailstead.usecases.oidc_log_ins import OidcLogIns


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Use cases by name."""

    log_in_links: LogInLinks
    invitation_links: InvitationLinks
    oidc: OidcLogIns | None = None
    """None: no OpenID Connect provider is set up."""
