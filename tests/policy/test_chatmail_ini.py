"""Every key of a relay's configuration, and what becomes of it."""

import dataclasses

import pytest

from mailstead.config.edit import with_settings
from mailstead.model.directory import MIB, DomainTerms
from mailstead.model.errors import BadSettings
from mailstead.policy.chatmail_ini import read_environment, read_ini
from mailstead.policy.domain_terms import changed_terms
from mailstead.policy.profiles import PROFILES

CHAT = DomainTerms(**PROFILES["chatmail"])
KEYS_OF_A_RELAY = [
    "max_user_send_per_minute",
    "max_user_send_burst_size",
    "max_mailbox_size",
    "max_message_size",
    "delete_mails_after",
    "delete_large_after",
    "delete_inactive_users_after",
    "username_min_length",
    "username_max_length",
    "password_min_length",
    "max_load_1m",
    "min_available_memory",
    "min_free_disk_space",
    "max_imap_connections",
    "max_smtp_connections",
    "tls_external_cert_and_key",
    "www_folder",
    "disable_ipv6",
    "acme_email",
    "iroh_relay",
    "mtail_address",
    "turn_socket_path",
    "imap_rawlog",
    "imap_compress",
    "privacy_postal",
    "privacy_mail",
    "privacy_pdo",
    "privacy_supervisor",
    "filtermail_smtp_port",
    "filtermail_smtp_port_incoming",
    "filtermail_http_port_incoming",
    "filtermail_lmtp_port_transport",
    "postfix_reinject_port",
    "postfix_reinject_port_incoming",
    "mailboxes_dir",
    "passdb_path",
    "passthrough_senders",
    "passthrough_recipients",
    "delete_accounts_after",
    "ssh_host",
    "invite_token",
    "use_foreign_cert_manager",
    "change_kernel_settings",
    "fs_inotify_max_user_instances_and_watchers",
    "is_development_instance",
    "languages",
]


def ini(*lines, domain="chat.example"):
    return "\n".join(["# a comment", "[params]", f"mail_domain = {domain}", *lines]) + "\n"


def test_a_whole_file():
    relay = read_ini(
        ini(
            "max_user_send_per_minute = 30", "max_user_send_burst_size = 5", "max_mailbox_size = 100M",
            "max_message_size = 10485760", "delete_mails_after = 40", "delete_large_after = 3",
            "delete_inactive_users_after = 120", "username_min_length = 3", "username_max_length = 20",
            "password_min_length = 10", "max_load_1m = 2.5", "min_available_memory = 1G", "min_free_disk_space = 500",
            "passthrough_senders = echo@chat.example", "passthrough_recipients = @example.com xstore@x.test",
            "privacy_mail = privacy@chat.example", "iroh_relay =", "invite_token = one two", "languages = EN RU",
        )
    )  # fmt: skip
    terms = changed_terms(CHAT, relay.terms)
    assert relay.domain == "chat.example"
    assert terms == dataclasses.replace(
        CHAT,
        sends_per_minute=30,
        send_burst=5,
        account_quota_octets=100 * MIB,
        message_octets_max=10 * MIB,
        mails_kept_days=40,
        large_mails_kept_days=3,
        idle_accounts_kept_days=120,
        username_length_min=3,
        username_length_max=20,
        password_length_min=10,
        load_max=2.5,
        memory_available_octets_min=1024 * MIB,
        disk_free_octets_min=500 * MIB,
        cleartext_senders=("echo@chat.example",),
        cleartext_recipients=("@example.com", "xstore@x.test"),
        privacy_mail="privacy@chat.example",
        invite_tokens=("one", "two"),
        languages=("en", "ru"),
    )


@pytest.mark.parametrize("key", KEYS_OF_A_RELAY)
def test_every_key_of_a_relay_is_known_and_its_fate_is_told(key):
    value = {
        "languages": "ALL",
        "passthrough_senders": "a@b.test",
        "passthrough_recipients": "a@b.test",
        "tls_external_cert_and_key": "/cert.pem /key.pem",
        "mtail_address": "127.0.0.1",
    }.get(key, "12")
    [_, fate] = read_ini(ini(f"{key} = {value if 'iroh' not in key else 'https://x.test'}")).fates
    assert (fate.key, bool(fate.text)) == (key, True)
    assert "slip of the pen" not in fate.text


def test_the_predecessor_of_a_key_does_not_win_over_it():
    for lines in (("delete_accounts_after = 9", "delete_inactive_users_after = 90"),
                  ("delete_inactive_users_after = 90", "delete_accounts_after = 9")):  # fmt: skip
        relay = read_ini(ini(*lines))
        assert relay.terms == {"idle_accounts_kept_days": "90"}
        assert "successor" in {fate.key: fate.text for fate in relay.fates}["delete_accounts_after"]
    assert read_ini(ini("delete_accounts_after = 9")).terms == {"idle_accounts_kept_days": "9"}


def test_what_is_off_asks_for_nothing_and_files_are_named():
    relay = read_ini(ini("disable_ipv6 = False", "imap_rawlog = TRUE", "tls_external_cert_and_key = /c.pem  /k.pem"))
    fates = {fate.key: fate.text for fate in relay.fates}
    assert "or off" in fates["disable_ipv6"]
    assert "server.transcript" in fates["imap_rawlog"]
    assert fates["tls_external_cert_and_key"] == "tls.certificate_file = /c.pem; tls.key_file = /k.pem"
    assert set(relay.settings) == {"server.transcript", "server.log_level", "tls.certificate_file", "tls.key_file"}


def test_every_setting_that_a_key_becomes_is_one():
    lines = ("max_imap_connections = 1", "max_smtp_connections = 2", "tls_external_cert_and_key = /c /k", "use_ipv6 = False",
             "disable_ipv6 = true", "mtail_address = ::1", "turn_socket_path = /run/t", "imap_rawlog = true",
             "path_to_ssl = /certs", "certs_monitoring_timeout = 60")  # fmt: skip
    relay = read_ini(ini(*lines))
    assert with_settings("", relay.settings, "a test")
    assert relay.settings["server.metrics_listen"] == "[::1]:3903"
    assert relay.settings["tls.certificate_file"] == "/certs/fullchain"
    assert relay.terms["turn_server"] == "chat.example:3478"


def test_the_environment_stands_above_the_ini():
    relay = read_environment({"DELETE_MAILS_AFTER": "5"}, ini("delete_mails_after = 9", "delete_large_after = 3"))
    assert (relay.domain, relay.terms) == (
        "chat.example",
        {"mails_kept_days": "5", "large_mails_kept_days": "3"},
    )


def test_an_unknown_key_is_told_and_stops_nothing():
    [_, fate] = read_ini(ini("max_user_sends = 3")).fates
    assert "slip of the pen" in fate.text


def test_an_address_of_a_machine_is_a_domain_in_brackets():
    assert read_ini(ini(domain="198.51.100.7")).domain == "[198.51.100.7]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no section"),
        ("[params\nx", "no chatmail.ini"),
        ("x = 1", "no chatmail.ini"),
        ("[params]\nfoo = 1\n", "no mail_domain"),
        (ini("max_mailbox_size = much"), "max_mailbox_size = much: a size"),
        (ini("max_message_size = 1.5M"), "a number of octets"),
        (ini("tls_external_cert_and_key = /cert.pem"), "two paths"),
        (ini("mtail_address = somewhere"), "mtail_address = somewhere"),
        (ini("max_imap_connections = 5k"), "max_imap_connections = 5k: a number"),
    ],
)
def test_what_is_wrong_is_told(text, said):
    with pytest.raises(BadSettings, match=said):
        read_ini(text)


def test_the_environment_of_a_container():
    relay = read_environment(
        {
            "MAIL_DOMAIN": "chat.example",
            "MAX_MESSAGE_SIZE": "10M",
            "MAX_MAILBOX_SIZE": "1G",
            "DELETE_MAILS_AFTER": "10",
            "LANGUAGES": "ALL",
            "ACME_EMAIL": "a@b.test",
            "PATH": "/bin",
            "delete_large_after": "1",
        }
    )
    terms = changed_terms(CHAT, relay.terms)
    assert (terms.message_octets_max, terms.account_quota_octets, terms.mails_kept_days) == (10 * MIB, 1024 * MIB, 10)
    assert (terms.languages, terms.large_mails_kept_days) == (("en", "ru", "fr", "es", "ko"), 7)
    assert "acme_email" in {fate.key for fate in relay.fates}
    assert read_environment({"MAX_MESSAGE_SIZE": "10M", "MAIL_DOMAIN": ""}) is None
