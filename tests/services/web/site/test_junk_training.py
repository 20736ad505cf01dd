"""The page of what junk filters have learned, over the house as it is wired."""

import pytest

from mailstead.model.address import Address
from mailstead.usecases.mailboxes import Draft
from services.web.site.test_rights import ADMIN, OWNER, asking

PATH = "/admin/junk"


@pytest.fixture
async def site(tmp_path):
    async with asking(tmp_path) as made:
        yield made


async def test_numbers_are_shown_and_a_new_start_is_asked_first(site):
    house = site.house
    actor = await house.users.actor_of_owner(await house.users.owner_at(Address.parse(OWNER)))
    await house.mailboxes.append(actor, "Junk", [Draft(b"Subject: pills\r\n\r\nsecretword pills\r\n")])
    assert await house.junk_filter.learned(actor) == (0, 1)
    _, _, text = await site.ask("GET", PATH, ADMIN)
    assert "0 good, 1 junk" in text
    assert "secretword" not in text
    _, _, text = await site.ask("POST", PATH, ADMIN, {"address": OWNER})
    assert f"The filter of {OWNER} forgets" in text
    assert await house.junk_filter.learned(actor) == (0, 1)
    assert (await site.ask("POST", PATH, ADMIN, {"address": OWNER, "sure": "yes"}))[0] == 303
    assert await house.junk_filter.learned(actor) == (0, 0)


async def test_what_cannot_be_done_is_said(site):
    for fields, expected in (
        ({}, 400),
        ({"address": OWNER, "all": "yes"}, 400),
        ({"address": "nobody@example.test", "sure": "yes"}, 404),
        ({"address": "<b>", "sure": "yes"}, 400),
    ):
        status, _, text = await site.ask("POST", PATH, ADMIN, fields)
        assert status == expected
        assert '<p role="alert">' in text
    assert "No account fits." in (await site.ask("GET", f"{PATH}?q=zzz&after=999999999999", ADMIN))[2]
