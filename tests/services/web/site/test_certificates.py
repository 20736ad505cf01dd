"""The page of certificates, over the house as it is wired."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from mailstead.config.settings import Acme
from mailstead.net.certificates import make_self_signed
from services.web.site.test_rights import ADMIN, HOST, asking


@pytest.fixture
async def site(tmp_path):
    async with asking(tmp_path) as made:
        yield made


@pytest.fixture
async def ordering(tmp_path):
    """A house that orders its certificate, from nobody."""
    acme = Acme(directory_url="https://authority.test/directory", challenge="http-01")
    async with asking(tmp_path, acme=acme) as made:
        yield made, tmp_path / "data" / "tls" / "acme"


async def test_one_that_nobody_signed_is_told_with_what_to_do(site, tmp_path):
    folder = tmp_path / "data" / "tls"
    assert "There is no certificate that can be read" in (await site.ask("GET", "/admin/certificates", ADMIN))[2]
    make_self_signed(folder / "certificate.pem", folder / "key.pem", HOST)
    status, _, text = await site.ask("GET", "/admin/certificates", ADMIN)
    assert status == 200
    for said in (HOST, "Good for 824 more days", "Set acme.directory_url", "certificate.pem"):
        assert said in text, said
    assert str(tmp_path) not in text
    assert "Renew now" not in text
    status, _, text = await site.ask("POST", "/admin/certificates", ADMIN)
    assert (status, "No certificate is ordered here" in text) == (400, True)


async def test_one_that_is_ordered_tells_of_the_last_failure_and_the_next_try(ordering):
    site, folder = ordering
    make_self_signed(folder / "certificate.pem", folder / "key.pem", HOST)
    again_at = datetime.now(UTC) + timedelta(hours=2)
    note = {"count": 3, "again_at": again_at.isoformat(), "reason": "the name <must> lead here", "mark": "x"}
    (folder / "failure.json").write_text(json.dumps(note))
    _, _, text = await site.ask("GET", "/admin/certificates", ADMIN)
    for said in (
        "The last 3 orders have failed",
        "the name &lt;must&gt; lead here",
        "on port 80",
        "authority.test (http-01)",
        f"{again_at:%Y-%m-%d %H:%M} UTC",
        "Renew now",
    ):
        assert said in text, said


async def test_an_order_that_fails_says_why_on_the_page(ordering):
    site, folder = ordering
    make_self_signed(folder / "certificate.pem", folder / "key.pem", HOST)
    # Self-signed, so it is due: nobody is asked whether that is meant. Without web.listen no proof could be seen.
    assert (await site.ask("POST", "/admin/certificates", ADMIN))[:2] == (303, "/admin/certificates")
    await site.site._house.care.jobs.settle()
    _, _, text = await site.ask("GET", "/admin/certificates", ADMIN)
    assert "It came to nothing" in text
    assert "needs the web service in clear text" in text
