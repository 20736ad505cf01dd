"""A fresh house for each test."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "dialogues"))  # the player, which all wires share

from smtp_house import open_smtp_house


@pytest.fixture
async def house(tmp_path):
    async with open_smtp_house(tmp_path) as opened:
        yield opened


@pytest.fixture
def open_house():
    return open_smtp_house
