"""The API with clients that others wrote for the APIs it is compatible with, whose base address was changed.

From npm forwardemail-api; from PyPI django-forwardemail (a mail backend), pyaddy (addy.io) and simplelogin-client. The
SDK in Go, its Terraform provider and the command line of ginsys are modules that the proxy of Go's modules does not
give out here; forwardemail-js and the vendor's MCP server are not on npm.
"""

import json
import subprocess
from pathlib import Path

import pytest

from system.api import ADMIN, ApiServer
from system.server import ALICE

pytestmark = pytest.mark.full

HERE = Path(__file__).parent
TOOLS = HERE.parents[1] / ".test-tools"


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    server = ApiServer(tmp_path_factory.mktemp("api"))
    server.prepare()
    server.start()
    yield server
    code = server.stop()
    assert server.check() == []
    assert code == 0, server.log()[-2000:]
    assert '"level": "error"' not in server.log()


@pytest.fixture
def python():
    path = TOOLS / "api-clients" / "bin" / "python"
    if not path.exists():
        pytest.skip("clients of the API are not installed: run `make setup-tools`")
    return path


def said(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_the_sdk_of_npm(api, need):
    if not (TOOLS / "node_modules" / "forwardemail-api").exists():
        pytest.skip("forwardemail-api is not installed: run `make setup-tools`")
    found = said(need("node"), HERE / "forwardemail_client.mjs", TOOLS, api.url, api.token)
    assert (found["listed"], found["count"]) == (200, 2)
    assert {"alice", "admin"} == set(found["names"])
    assert found["one"] == found["names"][0]
    # What it sends is JSON that says it is plain text, with misspelt names: Forward Email reads nothing of it.
    assert found["changed"] == 415


def test_a_site_of_django_sends_mail(api, python, until):
    found = said(python, HERE / "django_client.py", api.url, api.token, ADMIN, ALICE)
    assert found["sent"] == 1
    assert found["answer"]["id"]

    def arrived():
        messages = api.ask("GET", "/v1/messages", by=ALICE)[1]
        return messages if len(messages) == 2 else None

    messages = until(arrived)
    assert {each["subject"] for each in messages} == {"From Django", "By the backend"}
    assert {"<p>rich</p>", "<p>rich too</p>"} == {each["nodemailer"]["html"].strip() for each in messages}


def test_masked_addresses_by_programs_of_addy_and_simplelogin(api, python):
    found = said(python, HERE / "masked_clients.py", api.url, api.token)
    created, email, listed, shown = found["addy"]
    assert (created, listed) == (201, 200)
    assert email == shown
    assert email.endswith("@example.test")
    random, custom = found["simplelogin"]
    assert random.endswith("@example.test")
    assert custom.startswith("shop")
    names = {each["name"] for each in api.ask("GET", "/v1/domains/example.test/aliases?limit=50")[1]}
    assert {address.partition("@")[0] for address in (email, random, custom)} <= names


def test_the_journey_of_an_administrator_and_of_an_owner(api):
    """Domain, alias, password, list, message, delete: with nothing but HTTP."""
    status, domain = api.ask("POST", "/v1/domains", {"domain": "journey.test"})
    assert status == 200, domain
    status, alias = api.ask(
        "POST", "/v1/domains/journey.test/aliases", {"name": "walker", "recipients": [ALICE], "has_imap": True}
    )
    assert status == 200, alias
    status, made = api.ask("POST", f"/v1/domains/journey.test/aliases/{alias['id']}/generate-password", {})
    assert (status, made["username"]) == (200, "walker@journey.test")
    status, folders = api.ask("GET", "/v1/folders", by=ALICE)
    assert "INBOX" in {folder["path"] for folder in folders}
    status, message = api.ask(
        "POST", "/v1/messages", {"folder": "INBOX", "subject": "A note", "text": "To myself", "from": ALICE}, by=ALICE
    )
    assert status in {200, 201}, message
    assert api.ask("DELETE", f"/v1/messages/{message['id']}", by=ALICE)[0] in {200, 204}
    assert api.ask("DELETE", f"/v1/domains/journey.test/aliases/{alias['id']}?has_confirmed=true")[0] in {200, 400}
