"""Chunks: memory is bounded, what does not compress is kept as it is."""

import os
import tracemalloc

import apsw
import pytest

from mailstead.model.errors import NoSuchMessage, StoreDamaged
from mailstead.storage.embedded import octets, schema

MIB = 1024 * 1024


@pytest.fixture
def db():
    db = apsw.Connection(":memory:")
    schema.migrate(db)
    yield db
    db.close()


def test_a_large_message_is_never_held_twice():
    """50 MiB in a bytearray: writing looks at it in pieces, none of which stays."""
    large = bytearray(os.urandom(MIB)) * 50
    tracemalloc.start()
    for row in octets.chunks(1, large):
        assert len(row[2]) <= octets.CHUNK_OCTETS
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * MIB


def test_only_what_pays_is_compressed():
    assert [flag for _, flag, _ in octets.chunks(1, b"a" * 300)] == [0]
    assert [flag for _, flag, _ in octets.chunks(1, b"text " * 20_000)] == [1, 1]
    assert [flag for _, flag, _ in octets.chunks(1, os.urandom(100_000))] == [0, 0]


def test_every_range_of_mixed_chunks(db):
    message = b"text " * 40_000 + os.urandom(200_000) + b"end"
    octets.write(db, 7, message)
    octets.write(db, 8, b"neighbour")
    cuts = [0, 1, octets.CHUNK_OCTETS - 1, octets.CHUNK_OCTETS, octets.CHUNK_OCTETS + 1, 200_000, len(message)]
    for start in cuts:
        for stop in cuts:
            assert octets.read(db, 7, start, stop) == message[start:stop]


def test_a_changed_chunk_is_said_damaged(db):
    octets.write(db, 1, b"text " * 1000)
    db.execute("UPDATE chunk SET octets = x'00'")
    with pytest.raises(StoreDamaged):
        octets.read(db, 1, 0, 10)


def test_no_octets_of_what_is_gone(db):
    octets.write(db, 1, b"x")
    octets.delete(db, 1)
    with pytest.raises(NoSuchMessage):
        octets.read(db, 1, 0, 1)
