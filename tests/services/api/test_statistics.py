"""Figures over the API, for administrators of the server."""

from datetime import datetime

import pytest

from mailstead.model.statistics import Amounts
from mailstead.usecases.statistics import Statistics
from services.api.asking import asking


@pytest.fixture
async def api(tmp_path):
    async with asking(tmp_path) as api:
        yield api


async def test_figures_come_by_hour_and_by_day(api):
    house = api.house
    now = house.clock.now()
    await house.storage.statistics.record(now, Amounts(added={"mail_in": 3, "refused put off": 2, "log_ins": 1}))
    await Statistics(house.storage, house.clock).look_after(now)
    answer = await api.ask("GET", "/v1/statistics", by="server admin")
    assert answer.status == 200
    told = answer.json()
    assert (len(told["hours"]), len(told["days"])) == (48, 400)
    for rows in (told["hours"], told["days"]):
        [row] = [each for each in rows if each["mail_in"]]
        assert row in rows[-2:]  # an hour may have ended meanwhile
        assert (row["mail_in"], row["mail_out"], row["refused"], row["queue_length"]) == (3, 0, {"put off": 2}, 0)
        assert row["storage_octets"] > 0
    assert datetime.fromisoformat(told["days"][-1]["begins_at"]) <= now
    assert told["days"][0]["queue_length"] is None


@pytest.mark.parametrize("by", ["domain admin", "member"])
async def test_figures_are_for_administrators_of_the_server_alone(api, by):
    assert (await api.ask("GET", "/v1/statistics", by=by)).status == 403
