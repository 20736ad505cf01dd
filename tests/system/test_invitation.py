"""The real Delta Chat core with nothing but an invitation: it finds the servers by itself, on the ports that all know.

The relay listens at 993, 465 and 443 of an address of its own; the clients know its name from their own /etc/hosts.
"""

import pytest

from system.neighbours import must_be_root
from system.relays import Clients, Relay, received
from system.server import loopback_block

pytestmark = pytest.mark.full

DOMAIN, ADDRESS = "_invited.test", f"{loopback_block()}.65"


@pytest.fixture(scope="module")
def relay(tmp_path_factory):
    must_be_root()
    started = Relay(tmp_path_factory.mktemp("relay"), DOMAIN)
    started.settings |= {
        "MAILSTEAD_SERVER_HOSTNAME": DOMAIN,
        "MAILSTEAD_IMAP_LISTEN_TLS": f"127.0.0.1:{started.port['imaps']},{ADDRESS}:993",
        "MAILSTEAD_SUBMISSION_LISTEN_TLS": f"127.0.0.1:{started.port['submissions']},{ADDRESS}:465",
        "MAILSTEAD_WEB_LISTEN_SHARED": f"{ADDRESS}:443",
    }
    with started:
        yield started


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    with Clients(tmp_path_factory.mktemp("deltachat"), hosts={DOMAIN: ADDRESS}) as started:
        yield started


@pytest.mark.parametrize("invitation", [f"DCACCOUNT:https://{DOMAIN}/new", f"dcaccount:{DOMAIN}"])
def test_an_invitation_is_enough(relay, clients, invitation):
    invited, other = clients.online(relay, invitation), clients.online(relay)
    assert invited.get_config("configured_addr").endswith(f"@{DOMAIN}")
    invited.create_chat(other).send_text("I was invited")
    assert received(other).get_snapshot().text == "I was invited"


def test_mail_goes_through_the_web_s_port(relay, clients):
    login = (
        relay.new_login()
        .replace(f"ip={relay.port['imaps']}", "ip=443")
        .replace(f"sp={relay.port['submissions']}", "sp=443")
        .replace("ih=127.0.0.1", f"ih={ADDRESS}")
        .replace("sh=127.0.0.1", f"sh={ADDRESS}")
    )
    first, second = clients.online(relay, login), clients.online(relay)
    first.create_chat(second).send_text("by 443")
    assert received(second).get_snapshot().text == "by 443"


def test_what_a_single_device_has_fetched_is_gone_from_the_server(relay, clients, until):
    first, second = clients.online(relay), clients.online(relay)
    first.create_chat(second).send_text("fetched")
    received(second)
    address = second.get_config("configured_addr")
    relay_mails = lambda: relay.run("--json", "chatmail", "report")  # noqa: E731
    assert address
    until(lambda: '"0": 0' in relay_mails().replace("\n", "").split("chatmail_messages_count")[1].split("}")[0])
