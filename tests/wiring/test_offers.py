"""Where programs are told that calendars and contacts are."""

from dataclasses import replace
from pathlib import Path

import pytest

from mailstead.config.settings import Dav, Listeners, Server, Settings, Web
from mailstead.wiring.offers import house_offers

HOUSE = Settings(server=Server(hostname="mail.example.test", data_dir=Path("data")))


def ports(**sections):
    found = house_offers(replace(HOUSE, **sections)).offers
    return [(each.service, each.port) for each in found if each.service in {"caldav", "carddav"} and each.is_tls]


def test_where_the_web_is_and_on_ports_of_their_own():
    assert ports(web=Web(listen=(":80",), listen_tls=(":443",))) == [("caldav", 443), ("carddav", 443)]
    assert ports(web=Web(listen_shared=(":443",))) == [("caldav", 443), ("carddav", 443)]
    assert ports(caldav=Listeners(listen_tls=("[::1]:8443",))) == [("caldav", 8443)]
    assert ports(web=Web(listen=(":80",))) == []


@pytest.mark.parametrize(
    ("url", "port"),
    [("https://mail.example.test", 443), ("https://mail.example.test:8443/", 8443), ("http://mail.example.test", None),
     ("https://dav.example.test", None)],
)  # fmt: skip
def test_behind_a_proxy_the_setting_says_where(url, port):
    """Records name the house by its name: what is elsewhere they do not offer."""
    offered = [] if port is None else [("caldav", port), ("carddav", port)]
    assert ports(web=Web(listen=(":80",)), dav=Dav(base_url=url)) == offered
