"""The engine and the image for all tests of this folder: made once, ended in any case."""

import fcntl
import shutil
import tempfile
from pathlib import Path

import pytest

from containers import engine as engines


@pytest.fixture(scope="session")
def engine():
    """Give a Docker engine with the base image's stand-in."""
    if reason := engines.missing():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="mailstead-containers-"))
    try:
        assert shutil.disk_usage(folder).free >= engines.OCTETS_MIN, "2 GiB of free disk are needed"
        # Two engines at once would share bridge and chains of the machine, and the first to end would take them away.
        with (Path(tempfile.gettempdir()) / "mailstead-containers.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = engines.NetworkOfBefore()
            running = engines.Engine(folder)
            try:
                running.start()
                running.make_base(engines.base_name())
                yield running
            finally:
                running.stop()
                before.restore()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def image(engine):
    """Build the image from the Dockerfile as it is, and give its name in the loopback registry, where it is pushed."""
    name = f"{engine.registry}/mailstead:1.0.0"
    engine.docker("build", "--build-arg", "VERSION=1.0.0", "-t", name, str(engines.ROOT), limit_s=400)
    engine.docker("push", "-q", name)
    return name
