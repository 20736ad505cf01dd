"""Checking is for administrators."""

import pytest

from mailstead.model.envelope import Actor
from mailstead.model.errors import NotAllowed
from mailstead.usecases.checks import Checks


async def test_only_administrators_may_look():
    with pytest.raises(NotAllowed):
        async for _ in Checks(None).findings(Actor(None, None)):
            raise AssertionError("nothing may be seen")
