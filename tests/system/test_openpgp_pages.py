"""OpenPGP in webmail with GnuPG as the other side: keys go over and back, each reads and checks what the other wrote."""

import os
import shutil
import subprocess
import tempfile

import pytest
import pytest_asyncio

from mailstead.mime.openpgp_mail import encrypted_message, encrypted_payload, signed_message, signed_payload
from mailstead.mime.tree import part_tree
from mailstead.model.envelope import Actor
from mailstead.model.people import Listing
from mailstead.usecases.message_views import MessageQuery
from mailstead.usecases.messages import Messages
from system.browser import ALICE, IN_ONE_BROWSER, open_site

pytestmark = IN_ONE_BROWSER

PASSPHRASE = "pp-never-in-a-log-alice"
BOBS = "pp-never-in-a-log-bob"
BOB = "bob@else.test"
OUTER = b"From: Bob <bob@else.test>\r\nTo: alice@example.test\r\nSubject: [...]\r\nMessage-ID: <%b@else.test>\r\n"
INNER = b'Content-Type: text/html; charset="utf-8"; hp="cipher"\r\nSubject: The plan\r\n\r\n<p>%b</p>\r\n'


class GnuPG:
    """Bob's, with a home of its own."""

    def __init__(self, home):
        self._environment = {**os.environ, "GNUPGHOME": home}

    def run(self, *arguments, data=b"", passphrase=BOBS):
        """Give what it writes, and what it tells."""
        always = ("--batch", "--yes", "--no-tty", "--pinentry-mode", "loopback", "--trust-model", "always")
        command = ["gpg", *always, "--passphrase", passphrase, *arguments]
        done = subprocess.run(command, input=data, capture_output=True, env=self._environment, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout, done.stderr.decode()

    def end(self):
        """End the agent that it has started."""
        subprocess.run(["gpgconf", "--kill", "all"], env=self._environment, check=False)


@pytest.fixture
def gnupg():
    if shutil.which("gpg") is None:
        pytest.skip("gpg is not installed: run `make setup-tools`")
    with tempfile.TemporaryDirectory(prefix="gpg") as home:  # short, as sockets lie in it
        made = GnuPG(home)
        made.run("--quick-gen-key", f"Bob <{BOB}>", "future-default", "default", "never")
        yield made
        made.end()


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path, browser):
    async with open_site(tmp_path, browser) as site:
        account = await site.house.storage.directory.find(ALICE)
        site.actor = Actor(account.account_id, ALICE)
        site.messages = Messages(site.house.mailboxes)
        yield site


async def draft_of(site):
    (view,) = (await site.messages.find(site.actor, MessageQuery(folder="Drafts"), Listing(limit=10))).items
    (octets,) = await site.messages.octets(site.actor, [view])
    return octets


async def saved(page, control):
    async with page.expect_download() as download:
        await control.click()
    return (await (await download.value).path()).read_bytes()


async def test_mail_goes_encrypted_and_signed_to_gnupg_and_back(site, gnupg):
    window = await site.window()
    page = window.page
    await window.log_in(ALICE)
    await window.go("/me/openpgp")
    await page.get_by_text("You have none yet.").wait_for()
    await page.get_by_label("A passphrase for it").fill(PASSPHRASE)
    await page.get_by_label("Once more").fill(PASSPHRASE)
    await page.get_by_role("button", name="Make a key").click()
    await page.get_by_text("Your key is made.").wait_for()
    await page.get_by_role("button", name="Publish for my address").click()
    await page.get_by_text("find your key by your address now").wait_for()
    gnupg.run("--import", data=await saved(page, page.get_by_role("link", name="Save the public key")))
    await page.get_by_text("Paste a public key").click()
    bobs_key, _ = gnupg.run("--armor", "--export", BOB)
    await page.get_by_label("Public key", exact=True).fill(bobs_key.decode())
    await page.get_by_role("button", name="Take it").click()
    await page.get_by_role("button", name="I have compared it").click()
    await page.get_by_text("you have compared the fingerprint").wait_for()
    assert await window.faults_everywhere() == []

    # to Bob
    await window.go(f"/mail/write?to={BOB}&subject=The+plan")
    await page.get_by_label("Text").fill("Meet me – at noon")
    await page.get_by_label("Encrypt", exact=True).check()
    await page.get_by_label("Sign", exact=True).check()
    await page.get_by_role("button", name="Keep as a draft").click()
    await page.get_by_text("The draft is kept.").wait_for()
    assert b"noon" not in await draft_of(site)
    assert b"The plan" not in await draft_of(site)
    assert await page.get_by_label("Text").input_value() == "Meet me – at noon"
    assert await page.get_by_label("Subject").input_value() == "The plan"
    assert await page.get_by_label("Encrypt", exact=True).is_checked()
    assert await page.get_by_label("Sign", exact=True).is_checked()
    await page.get_by_label("To", exact=True).fill(f"{BOB}, carol@else.test")
    await page.get_by_label("Attach files").set_input_files(
        {"name": "map.txt", "mimeType": "text/plain", "buffer": b"the way"}
    )
    await page.get_by_role("button", name="Send", exact=True).click()
    await page.get_by_role("alert").first.wait_for()
    assert "carol@else.test" in await page.get_by_role("alert").first.inner_text()
    assert await window.faults() == []
    assert await page.get_by_label("map.txt").is_checked()  # a refusal loses nothing
    await page.get_by_label("To", exact=True).fill(BOB)
    await page.get_by_role("button", name="Send", exact=True).click()
    await page.get_by_role("heading", name="On its way").wait_for()
    sent = await draft_of(site)
    plain, told = gnupg.run("--decrypt", data=encrypted_payload(sent, part_tree(sent), 0))
    assert "Good signature" in told
    assert b"Subject: The plan" in plain
    assert "noon" in plain.decode()
    assert b'filename="map.txt"' in plain
    assert b"X-Draft" not in plain + sent
    await page.get_by_role("button", name="Take it back").click()
    await page.get_by_text("It was not sent").wait_for()
    assert await page.get_by_label("Text").input_value() == "Meet me – at noon"
    assert await page.get_by_label("Sign", exact=True).is_checked()

    # from Bob
    octets, _ = gnupg.run(
        "--armor", "--sign", "--encrypt", "--compress-algo", "none", "-r", str(ALICE), data=INNER % b"I will be there"
    )
    view = await site.messages.append(site.actor, "INBOX", encrypted_message(OUTER % b"b1", octets, "mark"), [])
    await window.go("/mail")
    await page.locator(".conversations a").first.click()
    await page.get_by_text("whose key you have verified").wait_for()
    await page.get_by_text("Subject: The plan").wait_for()
    await page.frame_locator("iframe").get_by_text("I will be there").wait_for()
    assert await window.faults_everywhere() == []
    await window.go("/me/openpgp")
    await page.get_by_role("button", name="Lock now").click()
    answer = await window.go(f"/mail/m/{view.place.object_id}/decrypted/0")
    assert answer.status == 404
    await window.go("/mail")
    await page.locator(".conversations a").first.click()
    assert await window.faults() == []
    await page.get_by_label("Passphrase of your key").fill(PASSPHRASE)
    await page.get_by_role("button", name="Unlock and read").click()
    await page.frame_locator("iframe").get_by_text("I will be there").wait_for()

    # with the key taken along
    await window.go("/me/openpgp")
    await page.get_by_text("Take it along").click()
    await page.get_by_label("Passphrase", exact=True).fill(PASSPHRASE)
    secret = await saved(page, page.get_by_role("button", name="Save the secret key"))
    gnupg.run("--import", data=secret, passphrase=PASSPHRASE)
    plain, _ = gnupg.run("--decrypt", data=octets, passphrase=PASSPHRASE)
    assert b"I will be there" in plain


async def test_signed_mail_of_gnupg_is_checked_without_a_key_of_ones_own(site, gnupg):
    inner = b"Content-Type: text/plain\r\n\r\nPlainly so\r\n"
    signature, _ = gnupg.run("--armor", "--detach-sign", "--digest-algo", "SHA512", data=inner)
    good = signed_message(OUTER % b"s1", inner, signature, "mark")
    assert signed_payload(good, part_tree(good), 0).covered == inner
    window = await site.window(size="phone", theme="dark")
    page = window.page
    await window.log_in(ALICE)
    await window.go("/me/openpgp")
    await page.get_by_text("Paste a public key").click()
    await page.get_by_label("Public key", exact=True).fill(gnupg.run("--armor", "--export", BOB)[0].decode())
    await page.get_by_role("button", name="Take it").click()
    await page.get_by_text("not verified").wait_for()
    for message, words in (
        (good, "which you have not verified yet"),
        (good.replace(b"Plainly", b"Hardly").replace(b"<s1@", b"<s2@"), "The signature is bad"),
    ):
        await site.messages.append(site.actor, "INBOX", message, [])
        await window.go("/mail")
        await page.locator(".conversations a").first.click()
        await page.get_by_text(words).wait_for()
    assert await window.faults() == []
