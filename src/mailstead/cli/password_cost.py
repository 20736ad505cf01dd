"""`mailstead password-cost`: how dear the hash of a password may be on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from mailstead.cli.terminal import terminal_of


def password_cost(
    context: typer.Context,
    target_ms: Annotated[int, typer.Option(min=10, max=10_000, help="How long one log-in's hash may take.")] = 100,
    memory_max_mib: Annotated[int, typer.Option(min=19, max=4096, help="Memory that one hash may take.")] = 256,
) -> None:
    """Measure hashes of passwords here, and propose settings. Changes nothing; opens no store."""
    import time

    from mailstead.usecases.password_cost import is_too_cheap, propose
    from mailstead.usecases.passwords import THREAD_COUNT, HashCost, hash_once

    terminal = terminal_of(context)
    with terminal.clear_errors():
        limits = terminal.load().settings.limits
    present = HashCost(limits.password_hash_iterations, limits.password_hash_memory_mib * 1024)

    def measure(cost: HashCost) -> float:
        started = time.perf_counter()
        hash_once(cost)
        return time.perf_counter() - started

    best, tried = propose(target_ms / 1000, measure, memory_max_mib * 1024)
    memory_mib = best.cost.memory_kib // 1024
    assert not is_too_cheap(best.cost)
    terminal.say_table(
        ("Memory (MiB)", "Iterations", "Milliseconds", ""),
        [
            (
                str(each.cost.memory_kib // 1024),
                str(each.cost.iterations),
                f"{each.seconds * 1000:.0f}",
                "proposed" if each is best else "",
            )
            for each in tried
        ],
        {
            "password_hash_memory_mib": memory_mib,
            "password_hash_iterations": best.cost.iterations,
            "milliseconds": round(best.seconds * 1000, 1),
            "is_set": best.cost == present,
        },
    )
    if best.cost == present:
        terminal.remark("That is what the settings say.")
    else:
        terminal.remark(
            f"To take it over, write into [limits] of the settings:\n"
            f"password_hash_memory_mib = {memory_mib}\npassword_hash_iterations = {best.cost.iterations}\n"
            f"Up to {THREAD_COUNT * memory_mib} MiB in each worker then go into log-ins. Passwords are hashed anew as "
            f"their owners log in."
        )
