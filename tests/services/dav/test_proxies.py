"""Who has come, where a proxy stands before us; and who only says so."""

import base64
from dataclasses import replace

import pytest

from mailstead.config.settings import Dav
from mailstead.model.errors import BadSettings
from mailstead.net.http_requests import Proxies
from services.dav.asking import asking

PROXIES = Proxies(["10.0.0.0/8", "fc00::/7"])


def seen(client, *fields, proxies=PROXIES):
    headers = [(name.encode(), value.encode()) for name, value in fields]
    scope = proxies.seen_through({"type": "http", "client": (client, 7), "headers": headers, "state": {"x": 1}})
    return scope["client"][0], scope["state"].get("tls_version")


def test_a_proxy_names_who_has_come():
    https = ("x-forwarded-proto", "https")
    assert seen("10.1.2.3", ("x-forwarded-for", "192.0.2.7"), https) == ("192.0.2.7", "TLS")
    assert seen("fc00::1", ("x-forwarded-for", "[2001:db8::7]"), https) == ("2001:db8::7", "TLS")
    assert seen("::ffff:10.1.2.3", ("x-forwarded-for", "192.0.2.7"), https) == ("192.0.2.7", "TLS")
    assert seen("10.1.2.3", ("x-forwarded-for", "192.0.2.7")) == ("192.0.2.7", None)
    assert seen("10.1.2.3", ("x-forwarded-for", "192.0.2.7"), ("x-forwarded-proto", "http")) == ("192.0.2.7", None)


def test_the_scheme_is_that_of_the_way_to_the_proxy():
    headers = [(b"x-forwarded-for", b"192.0.2.7")]
    scope = {"client": ("10.1.2.3", 7), "scheme": "as it came"}
    for kind, clear, encrypted in (("http", "http", "https"), ("websocket", "ws", "wss")):
        given = {**scope, "type": kind, "headers": headers}
        assert PROXIES.seen_through(given)["scheme"] == clear
        given["headers"] = [*headers, (b"x-forwarded-proto", b"https")]
        assert PROXIES.seen_through(given)["scheme"] == encrypted
        assert Proxies().seen_through(given)["scheme"] == "as it came"


def test_what_others_wrote_before_the_proxy_does_not_count():
    https = ("x-forwarded-proto", "https")
    assert seen("10.1.2.3", ("x-forwarded-for", "127.0.0.1, 192.0.2.7"), https)[0] == "192.0.2.7"
    assert seen("10.1.2.3", ("x-forwarded-for", "127.0.0.1"), ("x-forwarded-for", "192.0.2.7"), https)[0] == "192.0.2.7"
    assert seen("10.1.2.3", ("x-forwarded-for", "192.0.2.7, 10.9.9.9"), https)[0] == "192.0.2.7"  # through two of ours
    assert seen("10.1.2.3", ("x-forwarded-for", "192.0.2.7"), https, ("x-forwarded-proto", "http"))[1] is None


@pytest.mark.parametrize("named", ["", "unknown", "192.0.2.7:1234", "192.0.2.7, nonsense", "10.1.1.1"])
def test_who_is_not_named_is_the_proxy_and_in_clear_text(named):
    assert seen("10.1.2.3", ("x-forwarded-for", named), ("x-forwarded-proto", "https")) == ("10.1.2.3", None)


@pytest.mark.parametrize("client", ["192.0.2.1", "127.0.0.1", "11.0.0.1", "nonsense", ""])
def test_nobody_else_is_believed(client):
    fields = ("x-forwarded-for", "127.0.0.1"), ("x-forwarded-proto", "https")
    assert seen(client, *fields) == (client, None)
    assert seen("10.1.2.3", *fields, proxies=Proxies()) == ("10.1.2.3", None)


def test_networks_that_are_none_are_told():
    with pytest.raises(BadSettings, match=r"dav\.proxy_from"):
        Proxies(["traefik"])


async def test_attack_061_who_guesses_through_a_proxy_locks_out_nobody_else(tmp_path):
    async with asking(tmp_path, dav=replace(Dav(), proxy_from=("10.0.0.0/8",))) as dav:
        dav.address = "10.0.0.2"
        guess = "Basic " + base64.b64encode(b"alice@example.test:pw-never-in-a-log guess").decode()
        fields = {"x_forwarded_for": "192.0.2.7", "x_forwarded_proto": "https"}
        for _ in range(30):
            answer = await dav.ask("PROPFIND", "/", by="", authorization=guess, **fields)
        assert answer.status == 429
        assert (await dav.ask("PROPFIND", "/", **fields)).status == 429
        assert (await dav.ask("PROPFIND", "/", **{**fields, "x_forwarded_for": "198.51.100.9"})).status == 207
        assert (await dav.ask("PROPFIND", "/", **{**fields, "x_forwarded_proto": "http"})).status == 403
