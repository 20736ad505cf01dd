"""What `mailstead dns` prints, pasted into a real signed zone, satisfies `mailstead doctor` through a real resolver."""

import pytest

from attacks.home import DOMAIN, open_home
from mailstead.model.diagnosis import Health
from mailstead.policy.dns_records import zone_line
from mailstead.wiring.doctor import make_dns_plan, make_doctor
from mailstead.wiring.house import ADMINISTRATOR
from system.dns import DnsServers

pytestmark = pytest.mark.full

HOST_LINES = ["mx A 127.0.0.1"]


async def printed(house):
    """The lines to paste, but for the policy that nobody serves here."""
    plan = make_dns_plan(house)
    records = [*await plan.of_host(ADMINISTRATOR), *await plan.of_domain(ADMINISTRATOR, DOMAIN)]
    return [zone_line(record) for record in records if record.purpose != "mta-sts"]


async def examined(house):
    return {each.name: each for each in await make_doctor(house).examine(ADMINISTRATOR)}


async def test_what_dns_prints_satisfies_the_doctor(tmp_path):
    with DnsServers(tmp_path, {DOMAIN: HOST_LINES, "test": []}, signed=[DOMAIN, "test"]) as dns:
        async with open_home(tmp_path / "data", dns={"servers": (dns.resolver,)}) as home:
            dns.replace(DOMAIN, [*HOST_LINES, *await printed(home.house)])
            found = await examined(home.house)
            names = [
                "host",
                "helo",
                "tlsa",
                "mx",
                "spf",
                "dmarc",
                "mta-sts-host",
                "tls-rpt",
                "autoconfig",
                "autodiscover",
                "openpgpkey",
            ]
            names += [name for name in found if name.startswith(("dkim ", "srv "))]
            assert len(names) >= 11 + 2 + 6
            assert {name: found[name].found for name in names if found[name].status is not Health.OK} == {}
            assert found["resolver"].status is Health.OK
            assert found["mta-sts"].status is Health.SKIPPED


async def test_a_zone_that_lacks_records_or_has_wrong_ones(tmp_path):
    with DnsServers(tmp_path, {DOMAIN: HOST_LINES}) as dns:
        async with open_home(tmp_path / "data", dns={"servers": (dns.resolver,)}) as home:
            wrong = ["@ MX 10 other", '@ TXT "v=spf1 -all" " exp=x"', "_25._tcp.mx TLSA 3 1 1 " + "00" * 32]
            dns.replace(DOMAIN, [*HOST_LINES, *wrong])
            found = await examined(home.house)
            assert {name for name in ("mx", "tlsa", "dmarc") if found[name].status is Health.ERROR} == {
                "mx",
                "tlsa",
                "dmarc",
            }
            assert "10 other.example.test" in found["mx"].found
            assert {each.status for name, each in found.items() if name.startswith("dkim")} == {Health.ERROR}
            assert found["resolver"].status is Health.WARNING
