"""What counters stand at, for who adds up what they have counted. Reading costs those who count nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from prometheus_client import Counter


class Reading(NamedTuple):
    """One counter with one set of labels."""

    labels: Mapping[str, str]
    value: int


def readings(counter: Counter) -> Iterator[Reading]:
    """Give what a counter of `metrics` stands at now, for each set of its labels."""
    for metric in counter.collect():
        for sample in metric.samples:
            if sample.name.endswith("_total"):
                yield Reading(sample.labels, int(sample.value))
