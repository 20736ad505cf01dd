"""Counts of failed log-ins in a file that several processes have mapped."""

import multiprocessing
import os

import pytest

from mailstead.policy.failures import Count, Failures, Kind, LocalCounts
from mailstead.storage.embedded import shared_counts
from mailstead.storage.embedded.shared_counts import SharedCounts, open_counts

KEY = b"k" * 32


@pytest.fixture(params=["local", "shared"])
def counts(request, tmp_path):
    if request.param == "local":
        yield LocalCounts()
        return
    shared = SharedCounts(tmp_path, KEY)
    yield shared
    shared.close()


def test_counting(counts):
    assert counts.get(Kind.PAIR, "x") is None
    counts.add(Kind.PAIR, "x", 10.0, 100.0)
    counts.add(Kind.PAIR, "x", 20.0, 100.0)
    assert counts.get(Kind.PAIR, "x") == Count(2, 20.0)
    assert counts.get(Kind.NETWORK, "x") is None
    counts.add(Kind.PAIR, "x", 121.0, 100.0)  # what was there is forgotten
    assert counts.get(Kind.PAIR, "x") == Count(1, 121.0)
    counts.forget(Kind.PAIR, "x")
    counts.forget(Kind.PAIR, "never there")
    assert counts.get(Kind.PAIR, "x") is None


def test_many_keys_are_kept_apart(counts):
    for number in range(2000):
        for _ in range(number % 3 + 1):
            counts.add(Kind.ACCOUNT, f"user{number}", float(number), 1e9)
    assert [counts.get(Kind.ACCOUNT, f"user{number}") for number in range(2000)] == [
        Count(number % 3 + 1, float(number)) for number in range(2000)
    ]


def test_a_full_bucket_forgets_what_was_touched_longest_ago(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_counts, "BUCKETS", 1)
    counts = SharedCounts(tmp_path, KEY)
    for number in range(8):
        counts.add(Kind.ACCOUNT, f"user{number}", float(number), 1e9)
    counts.add(Kind.ACCOUNT, "user0", 8.0, 1e9)
    counts.add(Kind.ACCOUNT, "new", 9.0, 1e9)
    assert counts.get(Kind.ACCOUNT, "user1") is None
    assert counts.get(Kind.ACCOUNT, "user0") == Count(2, 8.0)
    assert counts.get(Kind.ACCOUNT, "new") == Count(1, 9.0)
    counts.close()


def guess(folder, address, account, times):
    counts = SharedCounts(folder, KEY)
    failures = Failures(counts=counts)
    for _ in range(times):
        failures.failed(address, account, 100.0)
    counts.close()


def test_attack_061_processes_that_guess_at_once_lose_no_count(tmp_path):
    """Each process has the file mapped by itself, as services in processes of their own do."""
    context = multiprocessing.get_context("spawn")
    guessers = [
        context.Process(target=guess, args=(tmp_path, f"192.0.2.{number}", "alice@example.test", 500))
        for number in range(3)
    ]
    for each in guessers:
        each.start()
    for each in guessers:
        each.join(60)
        assert each.exitcode == 0
    counts = SharedCounts(tmp_path, KEY)
    assert counts.get(Kind.ACCOUNT, "alice@example.test") == Count(1500, 100.0)
    assert counts.get(Kind.NETWORK, "192.0.2.1") == Count(500, 100.0)
    counts.close()


def test_what_one_process_has_counted_another_one_refuses(tmp_path):
    mine, others = SharedCounts(tmp_path, KEY), SharedCounts(tmp_path, KEY)
    for _ in range(6):
        Failures(counts=mine).failed("192.0.2.1", "alice@example.test", 0.0)
    assert Failures(counts=others).judge("192.0.2.1", "alice@example.test", 0.0).refused_s == 2
    Failures(counts=others).succeeded("192.0.2.1", "alice@example.test", 0.0)
    assert Failures(counts=mine).judge("192.0.2.1", "alice@example.test", 0.0).refused_s == 0
    mine.close()
    others.close()


def test_counts_outlive_the_process_but_not_the_machine(tmp_path, monkeypatch):
    counts = SharedCounts(tmp_path, KEY)
    counts.add(Kind.PAIR, "x", 10.0, 1e9)
    counts.close()
    again = SharedCounts(tmp_path, KEY)
    assert again.get(Kind.PAIR, "x") == Count(1, 10.0)
    again.close()
    boot = tmp_path / "boot"
    boot.write_text("another\n")
    monkeypatch.setattr(shared_counts, "_BOOT_FILE", boot)
    after = SharedCounts(tmp_path, KEY)
    assert after.get(Kind.PAIR, "x") is None
    after.close()


def test_names_and_addresses_are_not_in_the_file(tmp_path):
    counts = SharedCounts(tmp_path, KEY)
    Failures(counts=counts).failed("192.0.2.77", "alice@example.test", 5.0)
    counts.close()
    file = tmp_path / "run" / shared_counts.FILE
    octets = file.read_bytes()
    assert b"alice" not in octets
    assert b"192.0.2.77" not in octets
    assert file.stat().st_mode & 0o777 == 0o600
    other = SharedCounts(tmp_path, b"o" * 32)
    assert other.get(Kind.ACCOUNT, "alice@example.test") is None
    other.close()


def test_a_bucket_that_stays_locked_stops_nobody(tmp_path, monkeypatch):
    counts = SharedCounts(tmp_path, KEY)

    def held(_descriptor, _operation, *_rest):
        raise BlockingIOError

    monkeypatch.setattr(shared_counts.fcntl, "lockf", held)
    counts.add(Kind.PAIR, "x", 1.0, 1e9)
    assert counts.get(Kind.PAIR, "x") == Count(1, 1.0)
    counts.close()


def test_without_the_file_each_process_counts_alone(tmp_path, monkeypatch):
    def full(_descriptor, _start, _octets):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(shared_counts.os, "posix_fallocate", full)
    with open_counts(tmp_path, KEY) as counts:
        assert isinstance(counts, LocalCounts)
