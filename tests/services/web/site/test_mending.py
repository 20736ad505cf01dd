"""What the doctor finds wrong leads to the page that mends it, and each of these pages is there."""

import pytest

from mailstead.model.diagnosis import Diagnosis, Health
from mailstead.services.web.site.mending import LOG, PAGES_BY_NAME, mending_of
from services.web.site.test_rights import ADMIN, asking

BAD, DOMAINS = Health.ERROR, ["a.test", "b.test"]


@pytest.mark.parametrize(
    ("name", "domain", "path"),
    [
        ("certificate", "", "/admin/certificates"),
        ("backups", "", "/admin/backups"),
        ("queue", "", "/admin/queue"),
        ("service imap :143", "", "/admin/logs?level=warning"),
        ("mx", "b.test", "/admin/domains/b.test"),
        ("address 192.0.2.1", "", "/admin/domains/a.test"),
    ],
)
def test_each_thing_has_its_page(name, domain, path):
    assert mending_of(Diagnosis(name, BAD, "", domain=domain), DOMAINS)[0] == path
    for status in (Health.OK, Health.SKIPPED):
        assert mending_of(Diagnosis(name, status, "", domain=domain), DOMAINS) is None


def test_what_no_page_mends_leads_nowhere():
    assert mending_of(Diagnosis("clock", BAD, ""), DOMAINS) is None
    assert mending_of(Diagnosis("address 192.0.2.1", BAD, ""), []) is None


async def test_the_pages_are_there_and_the_doctor_leads_to_them(tmp_path):
    async with asking(tmp_path) as site:
        _, _, text = await site.ask("GET", "/admin/doctor", ADMIN)
        assert 'href="/admin/certificates"' in text  # there is no certificate yet
        assert 'href="/admin/domains/example.test"' in text
        dashboard = (await site.ask("GET", "/admin", ADMIN))[2]
        for path in ("/admin/certificates", "/admin/updates", "/admin/logs", "/admin/junk", "/admin/backups"):
            assert f'href="{path}"' in dashboard
        for path in {each[0] for each in (*PAGES_BY_NAME.values(), LOG)}:
            assert (await site.ask("GET", path, ADMIN))[0] == 200, path
