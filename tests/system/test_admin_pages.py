"""Ways of an administrator through the pages, in a real browser: most on a phone and without scripts."""

import pytest
import pytest_asyncio

from mailstead.config.settings import Backup
from mailstead.model.address import Address
from mailstead.model.envelope import Peer
from mailstead.model.errors import AuthenticationFailed
from mailstead.model.queue import QueueQuery, RecipientState
from mailstead.model.secret import Secret
from mailstead.usecases.sender_lists import DENIED
from mailstead.wiring.house import ADMINISTRATOR
from system.browser import ADMIN, ALICE, IN_ONE_BROWSER, open_site
from system.site_data import CAROL, HELD_ID, QUEUE_ID, fill

pytestmark = IN_ONE_BROWSER

PEER = Peer("127.0.0.1", 1, tls_version="TLSv1.3")


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path, browser):
    async with open_site(tmp_path, browser, backup=Backup(target=str(tmp_path / "backups"))) as site:
        await fill(site.house)
        yield site


@pytest_asyncio.fixture(loop_scope="session")
async def window(site):
    window = await site.window(size="phone", has_scripts=False)
    await window.log_in(ADMIN)
    await window.go("/admin")
    return window


async def states(site, queue_id):
    items = await site.house.storage.queue.items(QueueQuery(queue_id=queue_id))
    return {str(each.recipient.address): each.state for item in items for each in item.recipients}


async def test_the_queue_is_told_and_changed(site, window):
    page = window.page
    await page.get_by_role("link", name="Queue").click()
    await page.get_by_text("The other server asks to come again later.").first.wait_for()
    await page.get_by_text("451 4.7.1 come <again> later").first.wait_for()
    await page.get_by_label("Which").select_option("held")
    await page.get_by_role("button", name="Find").click()
    assert await page.get_by_role("link", name=QUEUE_ID).count() == 0
    await page.get_by_role("link", name=HELD_ID).click()
    await page.get_by_role("button", name="Release").click()  # of one message: at once
    await page.get_by_text("Done.").wait_for()
    assert await states(site, HELD_ID) == {"bob@far.test": RecipientState.WAITING}
    await page.get_by_role("button", name="Cancel").click()
    await page.get_by_text("Mail for 1 recipient never goes out").wait_for()
    await page.get_by_role("link", name="No, leave it as it is").click()
    assert await states(site, HELD_ID) == {"bob@far.test": RecipientState.WAITING}
    await window.go("/admin/queue")
    await page.get_by_role("button", name="Hold far.test").click()
    await page.get_by_text("Mail for 3 recipients is held until you release it.").wait_for()
    await page.get_by_role("button", name="Hold").click()
    await page.get_by_text("Done for 3 recipients.").wait_for()
    # Whole messages: their other recipients are held with them.
    assert set((await states(site, QUEUE_ID)).values()) == {RecipientState.HELD}
    await page.get_by_role("button", name="Cancel (all)").click()
    await page.get_by_role("button", name="Cancel").click()
    # The fourth is invited to the domain by mail.
    await page.get_by_text("Done for 4 recipients.").wait_for()
    assert set((await states(site, QUEUE_ID)).values()) == {RecipientState.CANCELLED}
    await site.house.audit.settle()
    await window.go("/admin/audit?verb=queue.")
    await page.get_by_text("queue.cancel").first.wait_for()


async def test_addresses_that_nothing_is_sent_to(site, window):
    page = window.page
    await page.get_by_role("link", name="Addresses that nothing is sent to").click()
    await page.get_by_role("button", name="Send to gone@far.test again").click()
    await page.get_by_text("There is none.").wait_for()
    await page.get_by_label("Address", exact=True).fill("bob@far.test")
    await page.get_by_label("Why").fill("<b>moved</b>")
    await page.get_by_role("button", name="Add").click()
    await page.get_by_text("<b>moved</b>").wait_for()
    assert [str(each.address) for each in await site.house.storage.queue.suppressions()] == ["bob@far.test"]


async def test_a_message_is_found_and_its_way_is_told(site, window):
    page = window.page
    await page.get_by_role("link", name="Where is a message?").click()
    for text in (QUEUE_ID, "<letter-1@example.test>", "letter-1@example.test", "bob@far.test", "@example.test"):
        await page.get_by_label("Address, @domain, queue id or Message-ID").fill(text)
        await page.get_by_role("button", name="Find").click()
        await page.get_by_text("DKIM: the signature is good").wait_for()
    await page.get_by_text("A check took it for junk.").wait_for()
    await page.get_by_text("It could not be handed over yet, and is tried again.").wait_for()
    await page.get_by_label("Address, @domain, queue id or Message-ID").fill("nobody@nowhere.test")
    await page.get_by_role("button", name="Find").click()
    await page.get_by_text("Nothing is known of that.").wait_for()


async def test_people_are_made_and_switched_off(site, window):
    page, house = window.page, site.house
    await page.get_by_role("link", name="People").click()
    await page.get_by_label("Address", exact=True).fill("eve@elsewhere.test")
    await page.get_by_role("button", name="Make it").click()
    assert "the user needs a password" in await page.get_by_role("alert").inner_text()
    await page.get_by_label("Password").fill("eves very own words")
    await page.get_by_label("Given name").fill("Eve")
    await page.get_by_role("button", name="Make it").click()
    await page.get_by_role("heading", name="eve@elsewhere.test").wait_for()
    eve = await site.window(has_scripts=False)
    await eve.log_in("eve@elsewhere.test", "eves very own words")
    assert (await eve.go("/admin/people")).status == 403
    await page.get_by_label("Looks after the whole server").check()
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Done.").wait_for()
    assert (await eve.go("/admin/people")).status == 200
    await page.get_by_role("button", name="End all sessions").click()
    await page.get_by_text("0 sessions are open.").wait_for()
    await eve.go("/admin/people")
    assert "/log-in" in eve.page.url
    await page.get_by_label("May log in").uncheck()
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Done.").wait_for()
    with pytest.raises(AuthenticationFailed):
        await house.users.log_in("eve@elsewhere.test", Secret("eves very own words"), PEER)
    await window.go("/admin/people?q=eve")
    await page.get_by_text("switched off").wait_for()
    assert await page.get_by_role("link", name=str(CAROL)).count() == 0
    await window.go(f"/admin/people/{ADMIN}")
    await page.get_by_label("May log in").uncheck()
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Done.").or_(page.get_by_role("alert")).or_(page.get_by_label("Password")).first.wait_for()


async def test_members_are_invited_and_change_their_part(site, window):
    page, house = window.page, site.house
    await window.go("/admin/domains/example.test")
    await page.get_by_role("link", name="Members").click()
    await page.get_by_label(f"Part of {CAROL}").select_option("user")
    await page.get_by_role("button", name="Change").click()
    await page.get_by_text("Done.").wait_for()
    await page.get_by_role("button", name="Withdraw the invitation of dave@elsewhere.test").click()
    await page.get_by_text("Done.").wait_for()
    assert list(await house.members.invites(ADMINISTRATOR, "example.test")) == []
    await page.get_by_label("Address", exact=True).fill("eve@elsewhere.test")
    await page.get_by_label("Part", exact=True).select_option("admin")
    await page.get_by_role("button", name="Invite").click()
    link = await page.locator("code").first.inner_text()
    assert "/invitation/" in link
    invite = await house.members.look(link.rpartition("/")[2])
    assert (invite.address, invite.group.value) == ("eve@elsewhere.test", "admin")
    await page.get_by_role("link", name="Members of example.test").click()
    await page.get_by_role("button", name=f"Remove {CAROL}").click()
    await page.get_by_text("Done.").wait_for()
    assert list(await house.members.list(ADMINISTRATOR, "example.test")) == []


async def test_tokens_are_shown_once(site, window):
    page, users = window.page, site.house.users
    await page.get_by_role("link", name="Tokens for programs").click()
    await page.get_by_label("Which program").fill("Script")
    await page.get_by_label("For how many days").fill("x")
    await page.get_by_role("button", name="Make it").click()
    await page.get_by_role("alert").wait_for()
    await page.get_by_label("For how many days").fill("30")
    await page.get_by_role("button", name="Make it").click()
    token = await page.locator("code").inner_text()
    assert (await users.act_with_token(Secret(token), PEER)).address == ADMIN
    await page.get_by_role("link", name="I have it").click()
    assert token not in await page.content()
    await page.get_by_role("button", name="Remove Script").click()
    await page.get_by_text("There is none.").wait_for()
    with pytest.raises(AuthenticationFailed):
        await users.act_with_token(Secret(token), PEER)


async def test_the_audit_log_is_filtered_and_taken_away(window):
    page = window.page
    await page.get_by_role("link", name="Who did what").click()
    await page.get_by_label("What was done").fill("invite.")
    await page.get_by_label("Domain").fill("example.test")
    await page.get_by_role("button", name="Find").click()
    await page.get_by_role("cell", name="dave@elsewhere.test").wait_for()
    assert await page.locator("tbody tr").count() == 1
    async with page.expect_download() as taken:
        await page.get_by_role("link", name="All of it as CSV").click()
    lines = (await (await taken.value).path()).read_text().splitlines()
    assert lines[0].startswith("id,at,actor")
    assert [line.split(",")[4] for line in lines[1:]] == ["invite.add"]


async def test_reports_are_drawn_with_their_numbers(window):
    page = window.page
    await page.get_by_role("link", name="Reports of others").click()
    row = page.get_by_role("row", name="198.51.100.9")
    assert await row.get_by_role("cell").all_inner_texts() == ["0", "7"]
    bar = row.locator("rect.bad")
    assert await bar.count() == 1
    assert (await bar.bounding_box())["width"] > 1
    await page.get_by_label("About").select_option("tls")
    await page.get_by_role("button", name="Find").click()
    row = page.get_by_role("row", name="Receiver <Ltd>").first
    assert await row.get_by_role("cell").all_inner_texts() == ["30", "2"]


async def test_the_dashboard_draws_figures(window):
    page = window.page
    assert await page.locator("svg.chart").count() == 6
    assert await page.locator("svg.chart").first.locator("rect").count() == 48
    await page.get_by_text("In numbers").click()
    assert await page.locator("tbody tr").count() == 48
    await page.get_by_role("link", name="Show two months").click()
    await page.get_by_role("link", name="Show two days").wait_for()


async def test_a_backup_and_a_drill_are_begun_here(site, window):
    page = window.page
    await page.get_by_role("link", name="Backups").click()
    await page.get_by_text("There is no backup yet.").wait_for()
    for button, done in (("Make a backup", 1), ("Try to restore the last one", 2)):
        await page.get_by_role("button", name=button).click()
        for _ in range(200):  # each is a whole page, which takes a while itself
            if await page.get_by_text("It went well").count() == done:
                break
            assert await page.get_by_text("It came to nothing").count() == 0, await page.locator("main").inner_text()
            await window.go("/admin/backups")
        await page.get_by_text("It went well").nth(done - 1).wait_for()
    await page.get_by_role("heading", name="1 backup is kept").wait_for()


async def test_own_lists_of_senders(site):
    window = await site.window(size="phone", has_scripts=False)
    await window.log_in(ALICE)
    await window.go("/me/junk")
    page = window.page
    await page.get_by_label("Addresses, domains or networks").nth(1).fill("spam.test, eve@bad.test")
    await page.get_by_role("button", name="Add").nth(1).click()
    await page.get_by_role("button", name="Remove spam.test").click()
    await page.get_by_text("Done.").wait_for()
    alice = await site.house.users.actor_of_owner(await site.house.users.owner_at(Address.parse(str(ALICE))))
    assert await site.house.sender_lists.entries(alice, DENIED) == ["eve@bad.test"]
