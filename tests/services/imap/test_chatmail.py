"""What accounts of chatmail domains find over IMAP, and that others find nothing of it.

Restates what the relay's online tests ask of IMAP (reference chatmail, section 12: capabilities, set_get_metadata,
get_appversions).
"""

import dataclasses
import json

import pytest

from mailstead.model.address import Address
from mailstead.model.directory import Domain, DomainTerms
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadSettings, StorageUnavailable
from mailstead.model.secret import Secret
from mailstead.services.imap import watching
from mailstead.usecases.announcements import APP_VERSIONS_OCTETS_MAX

PASSWORD = "pw-never-in-a-log alice"
TERMS = DomainTerms(
    is_chatmail=True,
    iroh_relay="https://iroh.example.test",
    turn_server="turn.example.test:3478",
    privacy_mail="privacy@example.test",
)
SIX = (
    "/shared/comment /shared/admin /shared/vendor/deltachat/irohrelay /shared/vendor/deltachat/turn "
    "/shared/vendor/deltachat/maxsmtprecipients /shared/vendor/deltachat/appversions"
)
VERSIONS = {
    "clients": [
        {
            "clientId": "android",
            "sources": [
                {
                    "sourceId": "store",
                    "versionInteger": 7,
                    "versionString": "2.7",
                    "downloadUrl": "https://example.test/ü",
                }
            ],
        }
    ]
}


@pytest.fixture
async def relay(house):
    """alice@example.test is of a chatmail domain, carol@ordinary.test is not."""
    await house.become_chatmail(TERMS)
    await house.storage.directory.add_domain(Domain("ordinary.test"))
    await house.accounts.create(Actor(None, None, is_admin=True), Address("carol", "ordinary.test"), Secret(PASSWORD))
    return house


async def logged_in(house, name="alice@example.test"):
    client = house.session()
    await client.greeting()
    told = await client(f'LOGIN {name} "{PASSWORD}"')
    assert " OK [CAPABILITY " in told[-1]
    return client, told[-1]


async def raw(client, octets, line_count):
    """Send exactly this, and read lines as a test of the relay does."""
    await client.send(octets)
    return [await client.line() for _ in range(line_count)]


# capabilities


async def test_capabilities_before_login(relay):
    client = relay.session()
    greeting = (await client.greeting()).decode()
    assert " XCHATMAIL XDELTAPUSH]" in greeting
    assert (await client("CAPABILITY"))[0].endswith(" XCHATMAIL XDELTAPUSH")
    await client.close()


async def test_capabilities_after_login_are_of_the_own_domain(relay):
    client, told = await logged_in(relay)
    assert " XCHATMAIL XDELTAPUSH]" in told
    assert "METADATA" in told
    assert "QUOTA" in told
    await client.close()
    client, told = await logged_in(relay, "carol@ordinary.test")
    assert "XCHATMAIL" not in told
    assert "XDELTAPUSH" not in told
    # nobody again, so anybody's client again
    await client("UNAUTHENTICATE")
    assert "XCHATMAIL" in (await client("CAPABILITY"))[0]
    await client.close()


async def test_sasl_tells_them_too(relay):
    client = relay.session()
    await client.greeting()
    told = await client("AUTHENTICATE PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABwdy1uZXZlci1pbi1hLWxvZyBhbGljZQ==")
    assert " XCHATMAIL XDELTAPUSH]" in told[-1]
    await client.close()


async def test_without_a_chatmail_domain_nothing_is_told(relay):
    await relay.storage.directory.set_terms("example.test", dataclasses.replace(TERMS, is_chatmail=False))
    client = relay.session()
    assert b"XCHATMAIL" not in await client.greeting()
    await client.close()
    client, told = await logged_in(relay)
    assert "XCHATMAIL" not in told
    await client.close()


async def test_nobody_to_push_to_is_no_push(relay):
    await relay.become_chatmail(TERMS, wakes_devices=False)
    client, told = await logged_in(relay)
    assert "XCHATMAIL]" in told
    await client.close()


async def test_a_greeting_does_not_fail_with_the_directory(relay, monkeypatch):
    async def away(_):
        raise StorageUnavailable

    monkeypatch.setattr(type(relay.storage.directory), "domains", away)
    client = relay.session()
    assert (await client.greeting()).startswith(b"* OK ")
    await client.close()


# what the server tells


async def test_the_six_keys_come_in_one_response(relay, tmp_path):
    file = tmp_path / "versions.json"
    file.write_text(json.dumps(VERSIONS, indent=2))
    await relay.become_chatmail(TERMS, app_versions_file=str(file))
    client, _ = await logged_in(relay)
    told = await client(f'GETMETADATA "" ({SIX})')
    assert told[0] == (
        '* METADATA "" (/shared/comment NIL /shared/admin "mailto:privacy@example.test" '
        '/shared/vendor/deltachat/irohrelay "https://iroh.example.test" '
        '/shared/vendor/deltachat/turn "turn.example.test:3478:1770379200:0cA4GFwk8yS7SPevfm0XCDwymiU=" '
        '/shared/vendor/deltachat/maxsmtprecipients "100" '
        f"/shared/vendor/deltachat/appversions {{{len(told[1].encode()) - 1}}}"
    )
    assert told[1].endswith(")")
    assert json.loads(told[1][:-1]) == VERSIONS
    assert told[2].endswith("OK Getmetadata completed")
    assert len(told) == 3
    await client.close()


async def test_what_is_not_there_is_nil(relay):
    await relay.storage.directory.set_terms("example.test", DomainTerms(is_chatmail=True))
    client, _ = await logged_in(relay)
    told = await client(f'GETMETADATA "" ({SIX})')
    assert told[0] == (
        '* METADATA "" (/shared/comment NIL /shared/admin NIL /shared/vendor/deltachat/irohrelay NIL '
        '/shared/vendor/deltachat/turn NIL /shared/vendor/deltachat/maxsmtprecipients "100" '
        "/shared/vendor/deltachat/appversions NIL)"
    )
    assert len(told) == 2
    await client.close()


async def test_without_a_secret_turn_is_nil_and_the_rest_is_told(relay):
    def fail():
        raise BadSettings("no disk")

    await relay.become_chatmail(TERMS, turn_secret=fail)
    client, _ = await logged_in(relay)
    told = await client('GETMETADATA "" (/shared/vendor/deltachat/turn /shared/admin)')
    assert told[0] == ('* METADATA "" (/shared/vendor/deltachat/turn NIL /shared/admin "mailto:privacy@example.test")')
    await client.close()


async def test_get_appversions(relay, tmp_path):
    file = tmp_path / "versions.json"
    file.write_text(json.dumps(VERSIONS, indent=2))
    await relay.become_chatmail(TERMS, app_versions_file=str(file))
    client, _ = await logged_in(relay)
    first, value, last = await raw(client, b'a GETMETADATA "" /shared/vendor/deltachat/appversions\n', 3)
    assert first.startswith('* METADATA "" (/shared/vendor/deltachat/appversions {')
    assert json.loads(value.removesuffix(")")) == VERSIONS
    assert "Getmetadata completed" in last
    await client.close()


@pytest.mark.parametrize("content", [None, b"{", b'"' + b"x" * APP_VERSIONS_OCTETS_MAX + b'"', b'"\xff"'])
async def test_versions_that_cannot_be_read_are_nil(relay, tmp_path, content):
    file = tmp_path / "versions.json"
    if content is not None:
        file.write_bytes(content)
    await relay.become_chatmail(TERMS, app_versions_file=str(file))
    client, _ = await logged_in(relay)
    told = await client('GETMETADATA "" /shared/vendor/deltachat/appversions')
    assert told[0] == '* METADATA "" (/shared/vendor/deltachat/appversions NIL)'
    await client.close()


async def test_the_server_is_not_written_to(relay):
    client, _ = await logged_in(relay)
    assert " NO [" in (await client('SETMETADATA "" (/shared/admin "x")'))[-1]
    assert " NO [" in (await client('SETMETADATA "" (/private/devicetoken "x")'))[-1]
    await client.close()


async def test_depth_finds_what_is_told_too(relay):
    client, _ = await logged_in(relay)
    told = await client('GETMETADATA (DEPTH 1) "" /shared/vendor/deltachat')
    assert "irohrelay" in told[0]
    assert "appversions" not in told[0]
    await client.close()


async def test_ordinary_accounts_are_told_nothing(relay):
    client, _ = await logged_in(relay, "carol@ordinary.test")
    told = await client('GETMETADATA "" (/shared/admin /shared/vendor/deltachat/turn)')
    assert told[0] == '* METADATA "" (/shared/admin NIL /shared/vendor/deltachat/turn NIL)'
    await client.close()


# device tokens


async def test_set_get_metadata(relay):
    client, _ = await logged_in(relay)
    (told,) = await raw(client, b'a01 SETMETADATA INBOX (/private/devicetoken "1111" )\n', 1)
    assert "OK Setmetadata completed" in told
    first, value, last = await raw(client, b"a02 GETMETADATA INBOX /private/devicetoken\n", 3)
    assert first == "* METADATA INBOX (/private/devicetoken {4}"
    assert value.rstrip(")") == "1111"
    assert "Getmetadata completed" in last
    (told,) = await raw(client, b'a01 SETMETADATA INBOX (/private/devicetoken "2222" )\n', 1)
    assert "OK Setmetadata completed" in told
    _, value, _ = await raw(client, b"a02 GETMETADATA INBOX (/private/devicetoken )\n", 3)
    assert value.rstrip(")") == "1111 2222"
    await client.close()


async def test_tokens_are_the_same_on_all_mailboxes_and_nil_removes_none(relay):
    client, _ = await logged_in(relay)
    await client("CREATE Other")
    assert "OK" in (await client("SETMETADATA Other (/private/devicetoken {4+}\r\n1111)"))[-1]
    assert "OK" in (await client("SETMETADATA INBOX (/private/devicetoken NIL)"))[-1]
    for name in ("INBOX", "Other"):
        assert await client(f"GETMETADATA {name} /private/devicetoken", "t") == [
            f"* METADATA {name} (/private/devicetoken {{4}}",
            "1111)",
            "t OK Getmetadata completed",
        ]
    for command in ("GETMETADATA Nowhere /private/devicetoken", 'SETMETADATA Nowhere (/private/devicetoken "1")'):
        assert " NO [NONEXISTENT]" in (await client(command))[-1]
    await client.close()


async def test_no_tokens_are_an_empty_literal(relay):
    client, _ = await logged_in(relay)
    told = await client("GETMETADATA INBOX /private/devicetoken")
    assert told[:2] == ["* METADATA INBOX (/private/devicetoken {0}", ")"]
    await client.close()


@pytest.mark.parametrize("token", ['"1 2"', '""', "{5000+}\r\n" + "x" * 5000, '"t\t"'])
async def test_a_bad_token_is_refused_with_all_that_came_with_it(relay, token):
    client, _ = await logged_in(relay)
    assert " NO [" in (await client(f'SETMETADATA INBOX (/private/comment "x" /private/devicetoken {token})'))[-1]
    assert "(/private/comment NIL)" in (await client("GETMETADATA INBOX /private/comment"))[0]
    await client.close()


async def test_other_entries_are_annotations_as_everywhere(relay):
    client, _ = await logged_in(relay)
    assert "OK" in (await client('SETMETADATA INBOX (/private/comment "mine" /private/devicetoken "1")'))[-1]
    told = await client("GETMETADATA INBOX (/private/comment /private/devicetoken)")
    assert told[:2] == ['* METADATA INBOX (/private/comment "mine" /private/devicetoken {1}', "1)"]
    await client.close()


async def test_for_ordinary_accounts_it_is_an_annotation_like_any_other(relay):
    client, _ = await logged_in(relay, "carol@ordinary.test")
    for token in ("1111", "2222"):
        await client(f'SETMETADATA INBOX (/private/devicetoken "{token}")')
    told = await client("GETMETADATA INBOX /private/devicetoken")
    assert told[0] == '* METADATA INBOX (/private/devicetoken "2222")'
    await client.close()


# bare LF


@pytest.mark.parametrize(
    "command",
    [
        b"a NOOP\n",
        b"a SELECT INBOX\n",
        b"a SETMETADATAX INBOX (/private/comment NIL)\n",
        b"a SETMETADATA INBOX (/private/comment {1}\nx)\r\n",
        b"a SETMETADATA INBOX (/private/comment {1+}\r\nx)\n",
    ],
)
async def test_bare_lf_ends_no_other_command(relay, command):
    client, _ = await logged_in(relay)
    (told,) = await raw(client, command, 1)
    assert told.startswith("a BAD ")
    await client.close()


async def test_bare_lf_ends_no_command_of_ordinary_accounts(relay):
    client, _ = await logged_in(relay, "carol@ordinary.test")
    (told,) = await raw(client, b"a GETMETADATA INBOX /private/comment\n", 1)
    assert told.startswith("a BAD ")
    await client.close()


# quota and IDLE


async def test_quota_has_a_root_and_storage_in_kib(relay):
    client, _ = await logged_in(relay)
    await relay.storage.accounts.set_quota(client.session.actor.account_id, 500 * 1024 * 1024)
    told = await client('GETQUOTAROOT "INBOX"')
    assert told[:2] == ['* QUOTAROOT INBOX ""', '* QUOTA "" (STORAGE 0 512000)']
    await client.close()


async def test_an_idle_client_hears_something_now_and_then(relay, monkeypatch):
    monkeypatch.setattr(watching, "KEEP_ALIVE_S", 0.05)
    client, _ = await logged_in(relay)
    await client("SELECT INBOX")
    await client.send(b"i IDLE\r\n")
    assert [await client.line() for _ in range(3)] == ["+ idling", "* OK Still here", "* OK Still here"]
    await client.send(b"DONE\r\n")
    assert (await client.lines_until("i"))[-1] == "i OK IDLE completed"
    await client.close()
