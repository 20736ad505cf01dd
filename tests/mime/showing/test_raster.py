"""Images told by their first octets."""

import struct

import pytest

from mailstead.mime.showing.raster import PIXELS_MAX, SIDE_MAX, Raster, raster

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack("!II", 3, 2)
JPEG = b"\xff\xd8\xff\xe0\0\x04xx\xff\xff\xfe\0\x03x\xff\xc2\0\x11\x08" + struct.pack("!HH", 2, 3) + b"rest"
WEBP_X = b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0\2\0\0\1\0\0"
WEBP_L = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + struct.pack("<I", 2 | 1 << 14) + bytes(9)
WEBP = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 3, 2) + bytes(4)
BMP = b"BM" + bytes(12) + struct.pack("<Iii", 40, 3, -2)


@pytest.mark.parametrize(
    ("octets", "media_type"),
    [
        (PNG, "image/png"), (JPEG, "image/jpeg"), (b"GIF89a\3\0\2\0", "image/gif"), (b"GIF87a\3\0\2\0", "image/gif"),
        (WEBP_X, "image/webp"), (WEBP_L, "image/webp"), (WEBP, "image/webp"), (BMP, "image/bmp"),
    ],
)  # fmt: skip
def test_formats_and_sizes(octets, media_type):
    assert raster(octets) == Raster(media_type, 3, 2)
    assert raster(octets).is_reasonable
    for end in range(len(octets)):
        cut = raster(octets[:end])
        assert cut is None or cut.media_type == media_type


@pytest.mark.parametrize(
    "octets",
    [
        b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<?xml version='1.0'?><svg/>", b"<html>", b"%PDF-1.7", b"\0\0\1\0", b"GIF88a\1\0\1\0",
        b"\x1f\x8b<svg", b"RIFF\0\0\0\0WAVE" + bytes(40), b"\xff\xd8\xff", b"BM<script>", b"\x89PNG\r\n\x1a\n" + bytes(30), b"GIF89a<svg>"[:8],
        b"\xff\xd8\xff\xda" + bytes(100), b"RIFF\0\0\0\0WEBP" + bytes(40),
    ],
)  # fmt: skip
def test_attack_086_what_is_no_picture_is_none(octets):
    assert raster(octets) is None


@pytest.mark.parametrize(
    ("width", "height"), [(0, 1), (1, 0), (SIDE_MAX + 1, 1), (20_000, PIXELS_MAX // 20_000 + 1), (2**32 - 1, 2**32 - 1)]
)
def test_attack_087_a_picture_that_unfolds_without_end_is_not_reasonable(width, height):
    assert not Raster("image/png", width, height).is_reasonable


def test_attack_087_segments_without_end_are_not_followed():
    assert raster(b"\xff\xd8\xff" + b"\xff\xe0\0\2" * 100_000) is None
