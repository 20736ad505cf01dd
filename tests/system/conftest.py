"""One started server for all tests of this folder; tests use mailboxes and subjects of their own."""

import shutil
import time
from pathlib import Path

import pytest
import pytest_asyncio

from system.server import ALICE, BOB, Server

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    started = Server(tmp_path_factory.mktemp("mailstead"))
    started.prepare(ALICE, BOB)
    started.start()
    yield started
    code = started.stop()
    findings = started.check()
    assert findings == []
    assert code == 0, started.log()[-2000:]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser():
    """One Chromium for all tests of pages (see `system.browser`)."""
    from system.browser import open_browser  # only they need Playwright

    async with open_browser() as started:
        yield started


@pytest.fixture
def need():
    """`need("mbsync")` gives the path of a foreign program, or skips with the reason (CI counts that as a failure)."""

    def find(command: str) -> str:
        path = shutil.which(command)
        if path is None:
            pytest.skip(f"{command} is not installed: run `make setup-tools` as root")
        return path

    return find


@pytest.fixture
def until():
    """Wait for something that another process does, with a limit."""

    def wait(condition, limit_s=20.0):
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            if result := condition():
                return result
            time.sleep(0.02)  # other processes give no sign that a test could wait for
        raise AssertionError(f"did not happen within {limit_s} s")

    return wait
