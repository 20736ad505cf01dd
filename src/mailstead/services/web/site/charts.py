"""Bars as inline SVG, drawn here. Colours come from classes of the stylesheet, so that they fit both themes.

A drawing has the numbers beside it as a table: it is decoration for those who do not see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

WIDTH: Final = 480
HEIGHT: Final = 80
BAR_HEIGHT: Final = 14
_SVG: Final = Markup('<svg class="chart" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">{}</svg>')
_RECT: Final = Markup('<rect class="{}" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"/>')


def columns(amounts: Sequence[int | None]) -> Markup:
    """Draw amounts over time, from left to right; the highest fills the height. None: nothing is known."""
    highest = max((each for each in amounts if each is not None), default=0)
    step = WIDTH / max(len(amounts), 1)
    parts = [Markup('<line class="base" x1="0" y1="{0}" x2="{1}" y2="{0}"/>').format(HEIGHT, WIDTH)]
    for number, amount in enumerate(amounts):
        if amount:
            height = max(1.0, amount / highest * (HEIGHT - 1))
            parts.append(_RECT.format("main", number * step, HEIGHT - height, step * 0.8, height))
    return _SVG.format(WIDTH, HEIGHT, Markup().join(parts))


def share(good: int, bad: int, highest: int) -> Markup:
    """Draw one bar of two parts, as long as it is in proportion to the highest of its list."""
    unit = WIDTH / max(highest, good + bad, 1)
    parts = [
        _RECT.format(name, begin * unit, 0, amount * unit, BAR_HEIGHT)
        for name, begin, amount in (("good", 0, good), ("bad", good, bad))
        if amount
    ]
    return _SVG.format(WIDTH, BAR_HEIGHT, Markup().join(parts))
