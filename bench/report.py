"""What was measured: printed as it comes, compared, and kept as raw results."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time

from bench.peers import ROOT

OUT = ROOT / "bench" / "results"
RESULTS: list[dict[str, object]] = []


def record(work: str, system: str, figure: str, values: list[float], unit: str) -> None:
    RESULTS.append(
        {
            "work": work,
            "system": system,
            "figure": figure,
            "unit": unit,
            "median": statistics.median(values),
            "values": values,
        }
    )
    print(f"  {work:34} {system:24} {figure:22} {statistics.median(values):12.4g} {unit}", flush=True)


def ratio(work: str, figure: str, target: str, *, more_is_better: bool, ours: str = "mailstead") -> None:
    """Print ours against each other's; ours are the systems whose name begins so."""
    rows = [row for row in RESULTS if row["work"] == work and row.get("figure") == figure and "system" in row]
    word = "times their rate" if more_is_better else "of their time"
    for mine in (row for row in rows if row["system"].startswith(ours)):
        for row in (row for row in rows if not row["system"].startswith(ours)):
            value = mine["median"] / row["median"]
            RESULTS.append(
                {
                    "work": work,
                    "figure": f"{figure} ratio",
                    "of": mine["system"],
                    "to": row["system"],
                    "ratio": value,
                    "target": target,
                }
            )
            print(
                f"  {work:34} {mine['system']} / {row['system']} = {value:.3g} {word}   (target: {target})", flush=True
            )


def save() -> None:
    OUT.mkdir(exist_ok=True)
    facts = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cpus": os.cpu_count(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "arguments": sys.argv[1:],
        "results": RESULTS,
    }
    file = OUT / f"{facts['at'].replace(':', '')}.json"
    file.write_text(json.dumps(facts, indent=1))
    print(f"raw results: {file.relative_to(ROOT)}")
