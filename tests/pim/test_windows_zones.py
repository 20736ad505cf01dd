"""The names that Windows has for zones."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from mailstead.pim.windows_zones import WINDOWS_ZONES
from mailstead.pim.zones import iana_zone, known_zone


def test_each_stands_for_a_zone_of_the_database():
    assert len(WINDOWS_ZONES) >= 135
    assert [name for name, zone in WINDOWS_ZONES.items() if iana_zone(zone) is None] == []


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("GMT Standard Time", "Europe/London"),
        ("Pacific Standard Time", "America/Los_Angeles"),
        ("India Standard Time", "Asia/Calcutta"),
        ("AUS Eastern Standard Time", "Australia/Sydney"),
        ("Nepal Standard Time", "Asia/Katmandu"),
    ],
)
def test_well_known_ones(name, zone):
    found, wanted = known_zone(name), ZoneInfo(zone)  # which may be another name of the same zone
    for month in range(1, 13):
        at = datetime(2026, month, 1)
        assert at.replace(tzinfo=found).utcoffset() == at.replace(tzinfo=wanted).utcoffset()
