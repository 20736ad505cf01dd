"""Supervision of several processes, each test in an interpreter of its own (it forks)."""

import os
import signal
import subprocess
import sys
import textwrap

PRELUDE = r"""
import os, signal, socket, sys, time
from mailstead.net.workers import supervise

def until_term(index, status=0):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # so that none can come between "ready" and the wait
    os.write(1, f"ready {index} {os.getpid()}\n".encode())
    signal.sigwait({signal.SIGTERM})
    os.write(1, f"done {index}\n".encode())
    return status
"""


def start(program):
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=20)
    return process.returncode, sorted(out.splitlines()), err


def test_stop_signal_goes_to_all_and_all_end_well():
    for number in (signal.SIGTERM, signal.SIGINT):
        process = start("sys.exit(supervise(3, until_term))")
        for _ in range(3):
            assert process.stdout.readline().startswith("ready")
        process.send_signal(number)
        status, lines, _ = finish(process)
        assert status == 0
        assert lines == ["done 0", "done 1", "done 2"]


def test_a_worker_that_dies_ends_the_whole_with_its_status():
    process = start("sys.exit(supervise(3, lambda index: 7 if index == 1 else until_term(index)))")
    assert finish(process)[0] == 7


def test_a_worker_that_is_killed_ends_the_whole():
    process = start("sys.exit(supervise(2, until_term))")
    ready = [process.stdout.readline().split() for _ in range(2)]
    os.kill(int(ready[0][2]), signal.SIGKILL)
    status, lines, _ = finish(process)
    assert status == 128 + signal.SIGKILL
    assert f"done {ready[1][1]}" in lines


def test_a_worker_with_a_bug_shows_its_stack():
    status, _, err = finish(start("sys.exit(supervise(1, lambda index: 1 // 0))"))
    assert status == 70
    assert "ZeroDivisionError" in err


def test_a_worker_that_does_not_stop_is_killed_at_the_limit():
    process = start(
        """
        def deaf(index):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print("ready", flush=True)
            while True:
                signal.pause()
        sys.exit(supervise(1, deaf, stop_limit_s=0.2))
        """
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] != 0


def test_workers_end_when_the_parent_is_killed():
    process = start("sys.exit(supervise(2, until_term))")
    for _ in range(2):
        assert process.stdout.readline().startswith("ready")
    process.kill()
    _, lines, _ = finish(process)  # ends only when both workers have closed the pipe
    assert lines == ["done 0", "done 1"]


def test_each_worker_keeps_to_a_processor_where_it_is_told_to():
    program = """
    def tell(index):
        os.write(1, f"{index} {sorted(os.sched_getaffinity(0))}\\n".encode())
        return until_term(index)

    sys.exit(supervise(len(os.sched_getaffinity(0)) + 1, tell, has_cpu_affinity=%s))
    """
    cpus = sorted(os.sched_getaffinity(0))
    for is_told, wanted in ((True, [[cpu] for cpu in [*cpus, cpus[0]]]), (False, [cpus] * (len(cpus) + 1))):
        process = start(program % is_told)
        told, ready_count = {}, 0
        while ready_count < len(wanted):  # before that, the signal would kill a worker
            line = process.stdout.readline()
            assert line
            if line.startswith("ready"):
                ready_count += 1
            else:
                index, _, found = line.partition(" ")
                told[int(index)] = found.strip()
        process.send_signal(signal.SIGTERM)
        assert finish(process)[0] == 0
        assert told == {index: str(each) for index, each in enumerate(wanted)}


def test_a_worker_that_may_not_choose_its_processor_works_all_the_same():
    process = start("""
    def refused(pid, cpus):
        raise PermissionError(1, "Operation not permitted")

    os.sched_setaffinity = refused
    sys.exit(supervise(1, until_term, has_cpu_affinity=True))
    """)
    while not (line := process.stdout.readline()).startswith("ready"):
        assert line
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 0
