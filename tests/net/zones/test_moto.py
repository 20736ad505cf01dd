"""Route 53 as moto serves it over HTTP, which others wrote."""

import subprocess
import time
from itertools import count
from pathlib import Path

import httpx2
import pytest

from mailauth.zones import Zones
from mailstead.model.secret import Secret
from mailstead.net.web import SafeWebClient
from mailstead.net.zones.route53 import Route53Zones
from mailstead.ports.clock import SystemClock
from mailstead.ports.zones import NoZone
from net.zones.test_providers import VALUES
from system.server import free_ports

pytestmark = pytest.mark.full

MOTO = Path(__file__).resolve().parents[3] / ".test-tools" / "moto" / "bin" / "moto_server"
_NUMBERS = count()
ZONE = (
    '<CreateHostedZoneRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Name>{0}</Name>'
    "<CallerReference>{0}</CallerReference></CreateHostedZoneRequest>"
)
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/route53/aws4_request"}


@pytest.fixture(scope="module")
def endpoint():
    if not MOTO.exists():
        pytest.skip("needs moto: make setup-tools")
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [MOTO, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 60
        while True:
            try:
                httpx2.get(f"{url}/moto-api/")
                break
            except httpx2.TransportError:
                assert time.monotonic() < end
                time.sleep(0.05)  # it says nowhere that it is ready: the port is asked
        for zone in ("example.test", "sub.example.test"):
            made = httpx2.post(f"{url}/2013-04-01/hostedzone", content=ZONE.format(zone), headers=SIGNED)
            assert made.status_code == 201, made.text
        yield url
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def zones(endpoint):
    web = SafeWebClient(Zones({}), allows_private=True, ca_file="", hostname="mail.example.test")
    return Route53Zones(web, SystemClock(), "testing", Secret("testing"), endpoint)


@pytest.fixture
def name():
    """Another one for each test: moto refuses to create what it has been told to create before."""
    return f"_{next(_NUMBERS)}.b.sub.example.test"


@pytest.mark.parametrize("kind", VALUES)
async def test_values_stand_side_by_side_and_go_one_by_one(zones, name, kind):
    first, second = VALUES[kind]
    assert list(await zones.values(name, kind)) == []
    await zones.add(name, kind, first, 3600)
    await zones.add(name, kind, second, 3600)
    await zones.add(name, kind, second, 3600)
    assert await zones.values(name, kind) == [first, second]
    await zones.remove(name, kind, first)
    await zones.remove(name, kind, first)
    assert await zones.values(name, kind) == [second]
    await zones.settle()
    await zones.remove(name, kind, second)
    assert list(await zones.values(name, kind)) == []


async def test_a_record_takes_the_place_of_others(zones, name):
    for value in ("v=spf1 -all", "verification=1"):
        await zones.add(name, "TXT", value, 3600)
    await zones.replace(name, "TXT", ["v=spf1 -all"], "v=spf1 mx -all", 3600)
    assert await zones.values(name, "TXT") == ["verification=1", "v=spf1 mx -all"]


async def test_a_zone_that_is_not_there_is_told(zones):
    with pytest.raises(NoZone):
        await zones.values("elsewhere.test", "TXT")
