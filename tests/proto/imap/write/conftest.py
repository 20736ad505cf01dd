"""The small client's reader as a fixture."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(name="read")
def _read():
    spec = importlib.util.spec_from_file_location("client_parser", Path(__file__).parent / "client_parser.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.read
