"""The real Delta Chat core against a relay of ours: accounts by logging in, all that people do in a chat, and refusals.

Restates the end-to-end half of the relay's own online suite. Spec: reference chatmail, sections 11 and 12.
"""

import pytest

from system.relays import Clients, EventType, Relay, event, received, within

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def relay(tmp_path_factory):
    with Relay(tmp_path_factory.mktemp("relay"), "_chat.test", sends_per_minute=600, send_burst=100) as started:
        yield started


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    with Clients(tmp_path_factory.mktemp("deltachat")) as started:
        yield started


@pytest.fixture(scope="module")
def pair(relay, clients):
    """Two who know each other's keys."""
    alice, bob = clients.online(relay), clients.online(relay)
    bob.create_chat(alice)
    return alice, bob


def texts(client, count):
    return [received(client).get_snapshot().text for _ in range(count)]


def test_logging_in_makes_an_account_and_a_text_arrives(pair):
    alice, bob = pair
    alice.create_chat(bob).send_text("ping")
    message = received(bob).get_snapshot()
    assert (message.text, message.show_padlock) == ("ping", True)


def test_the_same_password_logs_in_again_and_another_one_does_not(relay, clients):
    login = relay.new_login("samesame1", 'a password of 9 & more/\\"')
    clients.online(relay, login)
    clients.online(relay, login)
    with pytest.raises(Exception, match=r"(?i)password|authentic|login"):
        clients.online(relay, relay.new_login("samesame1", "another password"))


def test_ten_messages_at_once_arrive_in_order(pair):
    alice, bob = pair
    chat = alice.create_chat(bob)
    for number in range(10):
        chat.send_text(f"burst {number}")
    assert texts(bob, 10) == [f"burst {number}" for number in range(10)]


def test_a_reaction_arrives(pair):
    alice, bob = pair
    sent = alice.create_chat(bob).send_text("react to this")
    message = received(bob)
    message.get_snapshot().chat.accept()
    message.send_reaction("👍")
    event(alice, EventType.REACTIONS_CHANGED, lambda found: found.msg_id == sent.id)
    [reaction] = sent.get_reactions().reactions
    assert reaction.emoji == "👍"


def test_a_read_receipt_comes_back(pair):
    alice, bob = pair
    sent = alice.create_chat(bob).send_text("read this")
    message = received(bob)
    message.get_snapshot().chat.accept()
    message.mark_seen()
    event(alice, EventType.MSG_READ, lambda found: found.msg_id == sent.id)
    assert "rror" not in message.get_info()


def test_a_file_of_20_mb_arrives(pair, tmp_path):
    alice, bob = pair
    octets = b"".join(number.to_bytes(4, "big") for number in range(5 * 1024 * 1024))
    path = tmp_path / "data.bin"
    path.write_bytes(octets)
    alice.create_chat(bob).send_file(str(path))
    message = received(bob)

    def whole():
        while message.get_snapshot().download_state != "Done":
            bob.wait_for_event()
        return message.get_snapshot()

    snapshot = message.get_snapshot()
    if snapshot.download_state == "Available":
        bob._rpc.download_full_message(bob.id, message.id)
    snapshot = within(whole)
    with open(snapshot.file, "rb") as file:
        assert file.read() == octets


def test_a_stranger_joins_by_qr_code(relay, clients, pair):
    alice, _ = pair
    joiner = clients.online(relay)
    joiner.secure_join(alice.get_qr_code())
    within(alice.wait_for_securejoin_inviter_success)
    within(joiner.wait_for_securejoin_joiner_success)
    joiner.create_chat(alice).send_text("now verified")
    message = received(alice)
    while message.get_snapshot().text != "now verified":
        message = received(alice)


def test_a_group_of_five_hears_each_other(relay, clients, pair):
    alice, bob = pair
    members = [bob, *(clients.online(relay) for _ in range(3))]
    group = alice.create_group("five")
    for each in members:
        group.add_contact(each)
    group.send_text("hello group")
    chats = []
    for each in members:
        message = received(each).get_snapshot()
        assert message.text == "hello group"
        message.chat.accept()
        chats.append(message.chat)
    chats[1].send_text("hello back")
    for each in [alice, members[0], *members[2:]]:
        assert received(each).get_snapshot().text == "hello back"


def test_a_second_device_gets_what_the_first_sends(relay, clients, tmp_path):
    first, other = clients.online(relay, bcc_self="1"), clients.online(relay)
    other.create_chat(first)
    first.export_backup(str(tmp_path))
    [backup] = tmp_path.glob("*.tar")
    second = clients.deltachat.add_account()
    second.import_backup(str(backup))
    second.bring_online()
    other.create_chat(first).send_text("to both")
    assert received(first).get_snapshot().text == "to both"
    assert received(second).get_snapshot().text == "to both"
    sent = first.create_chat(other).send_text("from the first")
    assert received(other).get_snapshot().text == "from the first"
    shown = event(second, EventType.MSGS_CHANGED, lambda found: found.msg_id != 0)
    while second.get_message_by_id(shown.msg_id).get_snapshot().text != sent.get_snapshot().text:
        shown = event(second, EventType.MSGS_CHANGED, lambda found: found.msg_id != 0)


def test_a_profile_may_have_a_second_address(relay, clients, pair):
    _, bob = pair
    client = clients.online(relay)
    client.add_transport_from_qr(relay.new_login())
    client.bring_online()
    assert len(client.list_transports()) == 2
    bob.create_chat(client).send_text("to either")
    assert received(client).get_snapshot().text == "to either"
