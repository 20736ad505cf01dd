"""`mailstead dns --write`, against a double of Cloudflare."""

import json

import pytest
from typer.testing import CliRunner

from mailstead.cli.app import app
from net.zones.providers import Cloudflare

OTHER_SPF = {"id": "1", "name": "example.test", "type": "TXT", "content": '"v=spf1 include:other.test -all"', "ttl": 1}


@pytest.fixture
def provider():
    with Cloudflare({"example.test": [OTHER_SPF]}) as provider:
        yield provider


@pytest.fixture
def run(tmp_path, monkeypatch, provider):
    monkeypatch.setenv("MAILSTEAD_SERVER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MAILSTEAD_SERVER_HOSTNAME", "mx.example.test")
    monkeypatch.setenv("MAILSTEAD_SERVER_PUBLIC_ADDRESSES", "192.0.2.1")
    monkeypatch.setenv("MAILSTEAD_SERVER_SERVICES", "mx")
    monkeypatch.setenv("MAILSTEAD_DNS_PROVIDER_KIND", "cloudflare")
    monkeypatch.setenv("MAILSTEAD_DNS_PROVIDER_API_TOKEN", provider.token)
    monkeypatch.setenv("MAILSTEAD_DNS_PROVIDER_ENDPOINT", provider.endpoint)
    monkeypatch.delenv("MAILSTEAD_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*words, code=0, said=None):
        result = CliRunner().invoke(app, [str(word) for word in words], input=said)
        assert result.exit_code == code, (result.exit_code, result.output, result.exception)
        assert "Traceback" not in result.output
        assert provider.token not in result.output
        return json.loads(result.stdout) if "--json" in words and result.stdout else result

    call("init", "--domain", "example.test")
    return call


def held(provider):
    return {(each["name"], each["type"], each["content"]) for each in provider.zones["example.test"]}


def spf(provider):
    return [each["content"] for each in provider.zones["example.test"] if each["content"].startswith('"v=spf1')]


def state(records, purpose):
    [found] = {each["state"] for each in records if each["purpose"] == purpose}
    return found


def test_what_is_missing_is_added_and_what_differs_stays(run, provider):
    records = run("--json", "dns", "example.test", "--write", "--yes")
    assert (state(records, "mx"), state(records, "dkim"), state(records, "spf")) == ("added", "added", "differs")
    [differing] = [each for each in records if each["state"] == "differs"]
    assert differing["found"] == ["v=spf1 include:other.test -all"]
    assert ("example.test", "MX", "mx.example.test") in held(provider)
    assert ("mx.example.test", "A", "192.0.2.1") in held(provider)
    assert spf(provider) == [OTHER_SPF["content"]]
    before = held(provider)
    again = run("--json", "dns", "example.test", "--write", "--yes")
    assert {each["state"] for each in again} <= {"there", "differs"}
    assert held(provider) == before


def test_machines_that_do_not_say_yes_only_compare(run, provider):
    records = run("--json", "dns", "example.test", "--write", "--replace")
    assert (state(records, "mx"), state(records, "spf")) == ("missing", "differs")
    assert held(provider) == {("example.test", "TXT", OTHER_SPF["content"])}


def test_people_are_asked_for_each_record_that_would_be_replaced(run, provider):
    result = run("dns", "example.test", "--write", said="y\nn\n")
    assert "differs   example.test TXT v=spf1 mx -all" in result.stdout
    assert "there is v=spf1 include:other.test -all" in result.stdout
    assert "added     example.test MX 10 mx.example.test." in result.stdout
    assert spf(provider) == [OTHER_SPF["content"]]
    result = run("dns", "example.test", "--write", said="y\n")
    assert "replaced  example.test TXT v=spf1 mx -all" in result.stdout
    assert "was v=spf1 include:other.test -all" in result.stdout
    assert spf(provider) == ['"v=spf1 mx -all"']


def test_who_says_no_gets_nothing(run, provider):
    assert "missing   example.test MX" in run("dns", "example.test", "--write", said="n\nn\n").stdout
    assert held(provider) == {("example.test", "TXT", OTHER_SPF["content"])}


def test_all_and_replace_at_once(run, provider):
    records = run("--json", "dns", "example.test", "--write", "--yes", "--replace", "--all")
    assert state(records, "spf") == "replaced"
    assert state(records, "tlsa") == "added"
    assert state(records, "autoconfig") == "added"
    assert state(records, "caa") == "template"
    assert not [each for each in provider.zones["example.test"] if each["type"] == "CAA"]


def test_a_refusal_is_told_and_ends_with_1(run, provider, monkeypatch):
    monkeypatch.setenv("MAILSTEAD_SERVER_HOSTNAME", "mx.elsewhere.test")
    result = run("dns", "example.test", "--write", "--yes", code=1)
    assert "refused   mx.elsewhere.test A 192.0.2.1" in result.stdout
    assert "no zone for mx.elsewhere.test" in result.stdout
    assert ("example.test", "MX", "mx.elsewhere.test") in held(provider)


def test_a_wrong_token_is_told(run, monkeypatch):
    monkeypatch.setenv("MAILSTEAD_DNS_PROVIDER_API_TOKEN", "wrong")
    assert "Zone.DNS edit" in run("dns", "example.test", "--write", "--yes", code=75).stderr


def test_without_a_provider_it_is_told(run, monkeypatch):
    monkeypatch.setenv("MAILSTEAD_DNS_PROVIDER_KIND", "")
    assert "dns_provider.kind is empty" in run("dns", "example.test", "--write", code=78).stderr


@pytest.mark.parametrize("option", ["--yes", "--all", "--replace"])
def test_options_of_writing_go_with_it(run, option):
    assert "--write" in run("dns", "example.test", option, code=2).output
