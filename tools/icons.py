"""Draw the icons of the pages as PNG, as telephones want them: the same picture as assets/icon.svg.

``python tools/icons.py`` writes them; a test compares what is there with what is drawn here.
"""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise
from math import hypot
from pathlib import Path

ASSETS = Path(__file__).resolve().parent.parent / "src" / "mailstead" / "services" / "web" / "assets"
UNITS = 64
"""Edge of the picture in the units of icon.svg."""
BACK, FRONT = (0x17, 0x4E, 0xA6), (0xFF, 0xFF, 0xFF)
RADIUS, STROKE = 14.0, 4.0
LETTER = ((12.0, 20.0), (52.0, 20.0), (52.0, 46.0), (12.0, 46.0), (12.0, 20.0))
FLAP = ((12.0, 22.0), (32.0, 37.0), (52.0, 22.0))
ICONS = {"icon-192.png": (192, False), "icon-512.png": (512, False), "icon-whole-512.png": (512, True)}
"""Name: edge in pixels, and whether it reaches to the edge, with the letter well within what any mask leaves."""
WITHIN = 0.8
"""Of the edge: the circle that every mask leaves. Spec: W3C Web Application Manifest, maskable icons."""


def from_segment(x: float, y: float, start: tuple[float, float], end: tuple[float, float]) -> float:
    """Give the distance of a point from a line."""
    along_x, along_y = end[0] - start[0], end[1] - start[1]
    length = along_x * along_x + along_y * along_y
    part = max(0.0, min(1.0, ((x - start[0]) * along_x + (y - start[1]) * along_y) / length))
    return hypot(x - start[0] - part * along_x, y - start[1] - part * along_y)


def from_card(x: float, y: float) -> float:
    """Give the distance of a point from the rounded square; within it, less than 0."""
    half = UNITS / 2
    over_x, over_y = abs(x - half) - half + RADIUS, abs(y - half) - half + RADIUS
    return hypot(max(over_x, 0.0), max(over_y, 0.0)) + min(max(over_x, over_y), 0.0) - RADIUS


def rows(edge: int, *, is_whole: bool) -> bytes:
    """Give the picture: 4 octets for each point (red, green, blue, opacity), each row after a 0 (no filter)."""
    lines = [*pairwise(LETTER), *pairwise(FLAP)]
    unit, size, half = UNITS / edge, (WITHIN if is_whole else 1.0), UNITS / 2
    octets = bytearray()
    for row in range(edge):
        octets.append(0)
        y = ((row + 0.5) * unit - half) / size + half
        for column in range(edge):
            x = ((column + 0.5) * unit - half) / size + half
            step = unit / size
            white = 0.0
            if 9 < x < 55 and 17 < y < 49:
                distance = min(from_segment(x, y, start, end) for start, end in lines) - STROKE / 2
                white = max(0.0, min(1.0, 0.5 - distance / step))
            opacity = 1.0 if is_whole else max(0.0, min(1.0, 0.5 - from_card(x, y) / step))
            octets += bytes(round(back + (front - back) * white) for back, front in zip(BACK, FRONT, strict=True))
            octets.append(round(opacity * 255))
    return bytes(octets)


def chunk(kind: bytes, content: bytes) -> bytes:
    """Spec: PNG (Third Edition) §5.3."""
    return struct.pack("!I", len(content)) + kind + content + struct.pack("!I", zlib.crc32(kind + content))


def png(edge: int, *, is_whole: bool) -> bytes:
    """Give the file. Spec: PNG (Third Edition) §11.2 (8 bits, truecolour with alpha)."""
    head = struct.pack("!IIBBBBB", edge, edge, 8, 6, 0, 0, 0)
    content = zlib.compress(rows(edge, is_whole=is_whole), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


if __name__ == "__main__":
    for name, (edge, is_whole) in ICONS.items():
        (ASSETS / name).write_bytes(png(edge, is_whole=is_whole))
