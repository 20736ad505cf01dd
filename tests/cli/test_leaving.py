"""How a command ends that has spoken to a bucket."""

import subprocess
import sys

import pytest

PROGRAM = """\
import atexit, sys
import mailstead.__main__ as program
if {has_client}:
    import obstore
atexit.register(print, "taken down")
sys.argv = ["mailstead", *{words}]
program.main()
"""


def run(words, *, has_client):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(words=words, has_client=has_client)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("has_client", [True, False])
def test_all_is_said_and_the_exit_code_is_kept(has_client):
    done = run(["--version"], has_client=has_client)
    assert (done.returncode, done.stdout.split()[0]) == (0, "mailstead")
    assert run(["no-such-command"], has_client=has_client).returncode == 2


def test_with_the_client_of_buckets_the_interpreter_is_not_taken_down():
    """Its threads could abort what has succeeded."""
    assert "taken down" not in run(["--version"], has_client=True).stdout
    assert "taken down" in run(["--version"], has_client=False).stdout
