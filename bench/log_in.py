"""Whether the time of a refused log-in tells why it was refused: nobody's name, wrong password, switched off (row 62).

In this process, without a socket, so that nothing but the work of the house is in the figure. For each pair of reasons:
how likely a time of the one is longer than one of the other (0.5: nothing to tell), beside what chance alone gives.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import itertools
import math
import statistics
import time
from bisect import bisect_left, bisect_right
from pathlib import Path
from typing import Any

from bench.report import RESULTS, record

DOMAIN = "bench.test"
PASSWORD, WRONG = "quite-a-long-password", "another-long-password"
COUNT, QUICK_COUNT = 10_000, 200
"""Log-ins, of all reasons together."""


async def prepared(house: Any) -> dict[str, tuple[str, str]]:
    """Make accounts; give name and password by the reason for which they are refused."""
    from mailstead.model.address import Address
    from mailstead.model.secret import Secret
    from mailstead.wiring.house import ADMINISTRATOR

    await house.domains.add(ADMINISTRATOR, DOMAIN)
    for name in ("known", "disabled"):
        await house.accounts.create(ADMINISTRATOR, Address(name, DOMAIN), Secret(PASSWORD))
    await house.accounts.set_enabled(ADMINISTRATOR, Address("disabled", DOMAIN), is_enabled=False)
    return {
        "wrong password": (f"known@{DOMAIN}", WRONG),
        "unknown": (f"nobody@{DOMAIN}", WRONG),
        "disabled": (f"disabled@{DOMAIN}", PASSWORD),
        "unknown again": (f"nemo@{DOMAIN}", WRONG),  # the same reason: what is seen between these two is noise
    }


async def refused_s(house: Any, name: str, password: str, number: int) -> float:
    from mailstead.model.envelope import Peer
    from mailstead.model.errors import AuthenticationFailed
    from mailstead.model.secret import Secret

    peer = Peer(f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::1", 1, tls_version="TLSv1.3")  # has not failed before
    secret = Secret(password)
    started = time.perf_counter()
    try:
        await house.accounts.log_in(name, secret, peer, "imap")
    except AuthenticationFailed:
        return time.perf_counter() - started
    raise RuntimeError(f"{name} was let in")


def likelihood(ones: list[float], others: list[float]) -> float:
    """Give how likely one of `ones` is longer than one of `others` (the U statistic of Mann and Whitney, by pairs)."""
    ordered = sorted(others)
    return sum((bisect_left(ordered, one) + bisect_right(ordered, one)) / 2 for one in ones) / len(ones) / len(ordered)


def noise(one_count: int, other_count: int) -> float:
    """Give how far from 0.5 chance alone goes in 95 of 100 cases."""
    return 1.96 * math.sqrt((one_count + other_count + 1) / (12 * one_count * other_count))


async def measured(folder: Path, count: int) -> dict[str, list[float]]:
    from mailstead.config.settings import Settings
    from mailstead.model.secret import Secret
    from mailstead.telemetry import log
    from mailstead.wiring.house import open_house

    settings = Settings()
    settings = dataclasses.replace(
        settings,
        server=dataclasses.replace(settings.server, data_dir=folder / "data"),
        store=dataclasses.replace(settings.store, master_key=Secret("42" * 32)),
        limits=dataclasses.replace(settings.limits, login_failures_max=10**9),
    )
    log.configure("error", "json")
    async with open_house(settings) as house:
        cases = await prepared(house)
        times: dict[str, list[float]] = {case: [] for case in cases}
        order = list(cases)
        for number in range(count):
            case = order[(number + number // len(order)) % len(order)]  # each after each other one
            seconds = await refused_s(house, *cases[case], number)
            if number >= count // 20:  # the first warm up
                times[case].append(seconds)
        return times


def measure(folder: Path, options: argparse.Namespace) -> None:
    times = asyncio.run(measured(folder, QUICK_COUNT if options.quick else COUNT))
    for case, values in times.items():
        record("refused log-in", case, "time", [value * 1000 for value in values], "ms")
    for one, other in itertools.combinations(times, 2):
        found, chance = likelihood(times[one], times[other]), noise(len(times[one]), len(times[other]))
        apart_ms = (statistics.median(times[one]) - statistics.median(times[other])) * 1000
        RESULTS.append(
            {
                "work": "refused log-in",
                "figure": "likelihood that the one takes longer",
                "of": one,
                "to": other,
                "likelihood": found,
                "chance": chance,
                "medians_apart_ms": apart_ms,
                "target": "within chance of 0.5, or of what the two unknown ones differ by",
            }
        )
        print(
            f"  {one} / {other}: {found:.4f} (0.5 ± {chance:.4f} by chance), medians {apart_ms:+.3f} ms apart",
            flush=True,
        )
