"""`mailstead trial` against a started server: a message through, nothing left, and what goes wrong is told."""

import json

import pytest

from system.server import DOMAIN, Server

pytestmark = pytest.mark.full


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path)
    made.run("init", "--domain", DOMAIN)
    yield made
    if made.process is not None:
        assert made.stop() == 0
    assert made.check() == []


def test_a_message_comes_through_and_nothing_is_left(server):
    server.start()
    told = json.loads(server.run("--json", "trial"))
    assert (told["is_well"], told["found"]) == (True, "")
    assert json.loads(server.run("--json", "account", "list")) == []


def test_a_server_that_does_not_run(server):
    assert "No message came through" in server.run("trial", expect=1)
    assert json.loads(server.run("--json", "account", "list")) == []


def test_where_no_domain_takes_plain_mail_nothing_is_sent(server):
    server.run("domain", "remove", DOMAIN)
    server.run("domain", "add", "_chat.test", "--profile", "chatmail")
    server.start()
    assert json.loads(server.run("--json", "trial"))["found"] == "no domain"
