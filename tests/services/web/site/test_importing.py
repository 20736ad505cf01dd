"""Which server a form of an import means."""

import pytest

from mailstead.model.errors import PolicyRefused
from mailstead.services.web.site.importing import _server


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("imap.example.org", ("imap.example.org", 993)),
        (" imap.example.org:1993 ", ("imap.example.org", 1993)),
        ("2001:db8::1", ("2001:db8::1", 993)),
    ],
)
def test_a_port_may_stand_behind_the_host(host, expected):
    server = _server({"host": host, "username": "alice"})
    assert (server.host, server.real_port) == expected


@pytest.mark.parametrize(
    "host", ["", ":993", "imap.example.org:0", "imap.example.org:65536", "imap.example.org:999999"]
)
def test_what_names_no_server_is_told(host):
    with pytest.raises(PolicyRefused):
        _server({"host": host, "username": "alice"})
