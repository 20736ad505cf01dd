"""QR codes inside pages, as SVG: no image is loaded, and a strict content security policy has nothing to forbid.

Spec: ISO/IEC 18004 (by segno).
"""

from __future__ import annotations

import segno
from markupsafe import Markup


def svg_code(text: str, title: str) -> Markup:
    """Draw a text; dark on white in both themes, as cameras want it. `title` is read out by screen readers."""
    drawn = segno.make(text, error="m", micro=False).svg_inline(
        border=4, dark="#000", light="#fff", omitsize=True, title=title, svgclass="code", lineclass=None
    )
    return Markup(drawn)  # noqa: S704  # segno escapes the title, and draws the text
