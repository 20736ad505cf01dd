"""Profiles: sets of terms that make of a domain what it is to be. Each term can still be chosen by itself.

Spec: reference chatmail, section 3 (the relay's defaults).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mailstead.model.directory import MIB

PROFILES: Final[Mapping[str, Mapping[str, Any]]] = {
    "mail": {},
    "chatmail": {
        "is_chatmail": True,
        "opens_accounts": True,
        "owner_aliases_max": 0,
        "client_tls_version_min": "1.3",
        "requires_encryption": True,
        "requires_aligned_dkim": True,
        "requires_tls_inbound": True,
        "requires_tls_outbound": True,
        "uses_mxdeliv": True,
        "hides_metadata": True,
        "keeps_trace": False,
        "account_quota_octets": 500 * MIB,
        "message_octets_max": 30 * MIB,
        "sends_per_minute": 60,
        "send_burst": 10,
        "queue_kept_days": 2,
        "mails_kept_days": 20,
        "large_mails_kept_days": 7,
        "idle_accounts_kept_days": 90,
        "clears_full_mailboxes": True,
    },
}
"""Values of `DomainTerms` that differ from its defaults, by the name of the profile."""
