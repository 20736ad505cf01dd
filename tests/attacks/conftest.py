"""Attacks on a whole house over its ports."""

import logging

import pytest
import structlog

from attacks.home import open_home


@pytest.fixture(autouse=True)
def _quiet_log():
    """Refusals are many here, and a console is slow."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.configure(**before)


@pytest.fixture
async def home(tmp_path):
    """alice and bob at example.test, all services listening."""
    async with open_home(tmp_path / "data") as opened:
        yield opened
