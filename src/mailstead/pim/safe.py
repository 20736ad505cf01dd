"""What of an object may go to people who did not write it.

Objects are kept and given back as they were sent; these are for whoever shows a part of one, or sends it on.

Spec: RFC 5545 §7; RFC 3986 §3.1, §7.
"""

from __future__ import annotations

import re
from typing import Final

from mailstead.pim.component import Component

_SCHEMES: Final = frozenset({"http", "https", "mailto", "tel", "sip", "sips", "xmpp", "geo"})
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):", re.ASCII)
# What browsers leave out of a URL before they look for its scheme, or take for markup around it.
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029<>\"'`\\]")


def safe_url(value: str) -> str | None:
    """Give a URL that may stand behind a link; None: it does more than lead somewhere, or is no whole URL."""
    url = value.strip()
    scheme = _SCHEME.match(url)
    if scheme is None or scheme[1].lower() not in _SCHEMES or _FORBIDDEN.search(url):
        return None
    return url


def without_alarms(component: Component) -> Component:
    """Give a component without VALARMs at any depth: they are their owner's, and may start programs.

    Spec: RFC 5545 §3.8.6.1 (its forerunner had ACTION:PROCEDURE); RFC 6638 §3.2.1.
    """
    inner = [without_alarms(each) for each in component.components if each.name != "VALARM"]
    return Component(component.name, list(component.properties), inner)
