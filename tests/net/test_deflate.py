"""COMPRESS=DEFLATE as a byte layer."""

import random
import zlib

import pytest

from mailstead.net.deflate import INFLATED_OCTETS_MAX, MEMORY_OCTETS, DeflateLayer
from mailstead.proto.connection import RemoteProtocolError
from mailstead.telemetry import metrics


def deflated(data):
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH)


def everything(layer):
    pieces = []
    while piece := layer.more():
        assert len(piece) <= INFLATED_OCTETS_MAX
        pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 131072, 1_000_000])
def test_round_trip_at_sizes_around_the_bound(size):
    data = random.Random(size).randbytes(size // 2) + b"z" * (size - size // 2)
    layer = DeflateLayer()
    octets = deflated(data)
    received = b""
    for start in range(0, len(octets), 1000):
        layer.receive(octets[start : start + 1000])
        received += everything(layer)
    assert received == data
    assert zlib.decompressobj(-15).decompress(layer.send(data)) == data
    layer.close()


def test_attack_049_a_bomb_comes_out_in_bounded_pieces():
    layer = DeflateLayer()
    layer.receive(deflated(b"\0" * 50_000_000))
    piece_count = 0
    while piece := layer.more():
        assert len(piece) <= INFLATED_OCTETS_MAX
        piece_count += 1
    assert piece_count >= 50_000_000 // INFLATED_OCTETS_MAX
    layer.close()


def test_memory_is_accounted():
    before = metrics.DEFLATE_OCTETS._value.get()
    layer = DeflateLayer()
    assert metrics.DEFLATE_OCTETS._value.get() == before + MEMORY_OCTETS
    layer.close()
    assert metrics.DEFLATE_OCTETS._value.get() == before


@pytest.mark.parametrize("octets", [b"\xff" * 20, b"A NOOP\r\n", deflated(b"x")[:-4] + b"\x03\x00" + b"more"])
def test_broken_or_ended_stream_is_a_protocol_error(octets):
    layer = DeflateLayer()
    layer.receive(octets)
    with pytest.raises(RemoteProtocolError):
        everything(layer)
        layer.receive(b"more")
        everything(layer)
    layer.close()


@pytest.mark.parametrize("is_encrypted", [False, True])
async def test_conversation_compressed(home, tools, client_tls, is_encrypted):
    port = await home.listen(is_tls_implicit=is_encrypted)
    client = await tools.dial(port, tls=client_tls if is_encrypted else None)
    assert await client.ask(b"COMPRESS") == b"250 compressing"
    deflater, inflater = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)
    commands = b"ECHO squeezed\r\nWAIT x\r\nLARGE 200000\r\n" + b"ECHO y\r\n" * 1000
    client.send(deflater.compress(commands) + deflater.flush(zlib.Z_SYNC_FLUSH))
    expected = b"250 squeezed\r\n250 waited x\r\n" + b"x" * 200_000 + b"\r\n" + b"250 y\r\n" * 1000
    received = b""
    while len(received) < len(expected):
        received += inflater.decompress(await client.reader.read(65536))
    assert received == expected
    await client.close()


async def test_attack_049_bomb_of_commands_meets_the_commands_limit(home, tools):
    """What the bomb expands to is refused by the connection's own limit; the driver never holds more than a piece."""
    client = await tools.dial(await home.listen())
    assert await client.ask(b"COMPRESS") == b"250 compressing"
    connection = home.sessions[0].connection
    client.send(deflated(b"A" * 50_000_000))
    assert zlib.decompressobj(-15).decompress(await client.rest()) == b"500 too long\r\n"
    assert connection.buffered_max < 300_000 + 2 * INFLATED_OCTETS_MAX
    await client.close()


async def test_commands_behind_compress_are_dropped_and_the_connection_closed(home, tools):
    client = await tools.dial(await home.listen())
    client.send(b"COMPRESS\r\nECHO plain\r\n")
    assert await client.line() == b"250 compressing"
    assert await client.rest() == b""
    assert "ECHO" not in home.handled
    await client.close()
