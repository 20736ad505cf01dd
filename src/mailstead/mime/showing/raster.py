"""Images told by their first octets: the raster formats that browsers show. SVG is none of them.

Spec: MIME Sniffing Standard §6.1 (image type pattern matching); PNG §5.2, §11.2.2; GIF89a §17, §18; JPEG
(T.81) B.2.2; RFC 9649 (WebP).
"""

from __future__ import annotations

from typing import Final, NamedTuple

PIXELS_MAX: Final = 60_000_000
"""Of an image: few octets may unfold to any size in a browser."""
SIDE_MAX: Final = 30_000
_SEGMENTS_MAX: Final = 2000


class Raster(NamedTuple):
    """What an image is."""

    media_type: str
    width: int
    height: int

    @property
    def suffix(self) -> str:
        """For names of files."""
        return self.media_type.removeprefix("image/").replace("jpeg", "jpg")

    @property
    def is_reasonable(self) -> bool:
        """Whether a browser can be asked to show it."""
        return 0 < self.width <= SIDE_MAX and 0 < self.height <= SIDE_MAX and self.width * self.height <= PIXELS_MAX


def raster(octets: bytes) -> Raster | None:
    """Give format and size in pixels of PNG, JPEG, GIF, WebP and BMP; None for all else, and for a header cut off."""
    if octets.startswith(b"\x89PNG\r\n\x1a\n"):
        if len(octets) < 24 or octets[12:16] != b"IHDR":
            return None
        return Raster("image/png", _number(octets, 16, 4), _number(octets, 20, 4))
    if octets.startswith((b"GIF87a", b"GIF89a")):
        return Raster("image/gif", _little(octets, 6, 2), _little(octets, 8, 2)) if len(octets) >= 10 else None
    if octets.startswith(b"\xff\xd8\xff"):
        return _jpeg(octets)
    if octets.startswith(b"RIFF") and octets[8:12] == b"WEBP":
        return _webp(octets)
    if octets.startswith(b"BM") and len(octets) >= 26 and _little(octets, 14, 4) >= 40:
        height = int.from_bytes(octets[22:26], "little", signed=True)  # negative: rows from the top
        return Raster("image/bmp", _little(octets, 18, 4), abs(height))
    return None


def _jpeg(octets: bytes) -> Raster | None:
    """Go from segment to segment to the start of the frame."""
    position = 2
    for _ in range(_SEGMENTS_MAX):
        if octets[position : position + 1] != b"\xff" or position + 9 > len(octets):
            return None
        marker = octets[position + 1]
        if marker == 0xFF:  # fill
            position += 1
        elif 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            return Raster("image/jpeg", _number(octets, position + 7, 2), _number(octets, position + 5, 2))
        elif marker == 0x01 or 0xD0 <= marker <= 0xD9:
            position += 2
        else:
            position += 2 + max(_number(octets, position + 2, 2), 2)
    return None


def _webp(octets: bytes) -> Raster | None:
    kind = octets[12:16]
    if len(octets) < 30:
        return None
    if kind == b"VP8X":
        return Raster("image/webp", _little(octets, 24, 3) + 1, _little(octets, 27, 3) + 1)
    if kind == b"VP8L" and octets[20] == 0x2F:
        sizes = _little(octets, 21, 4)
        return Raster("image/webp", (sizes & 0x3FFF) + 1, ((sizes >> 14) & 0x3FFF) + 1)
    if kind == b"VP8 " and octets[23:26] == b"\x9d\x01\x2a":
        return Raster("image/webp", _little(octets, 26, 2) & 0x3FFF, _little(octets, 28, 2) & 0x3FFF)
    return None


def _number(octets: bytes, at: int, size: int) -> int:
    return int.from_bytes(octets[at : at + size], "big")


def _little(octets: bytes, at: int, size: int) -> int:
    return int.from_bytes(octets[at : at + size], "little")
