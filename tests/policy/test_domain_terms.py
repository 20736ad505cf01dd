import dataclasses

import pytest

from mailstead.model.directory import MIB, DomainTerms
from mailstead.model.errors import BadSettings
from mailstead.policy.domain_terms import TERMS, changed_terms, text_of_term


def test_every_term_has_its_help():
    assert list(TERMS) == [field.name for field in dataclasses.fields(DomainTerms)]
    assert all(term.help.endswith(".") for term in TERMS.values())


def test_terms_are_read_from_text():
    changed = changed_terms(
        DomainTerms(),
        {
            "uses_dns_rules": "yes",
            "keeps_trace": "Off",
            "denylist": "Spam@X.test, bücher.example,192.0.2.7/24,,2001:db8::1,*.ZIP",
            "refused_extensions": ".EXE,scr",
            "smarthost": "Relay.example",
            "ip_version": "4",
            "source_ipv6": "2001:DB8::1",
            "targets_per_alias_max": "25",
            "cleartext_recipients": "@Example.com,Echo@X.test",
            "account_quota_octets": "500M",
            "message_octets_max": "30 MiB",
            "load_max": "2.5",
            "languages": "RU,en",
            "turn_server": "turn.example",
        },
    )
    assert changed == DomainTerms(
        uses_dns_rules=True,
        keeps_trace=False,
        denylist=("spam@x.test", "xn--bcher-kva.example", "192.0.2.0/24", "2001:db8::1/128", "*.zip"),
        refused_extensions=("exe", "scr"),
        smarthost="relay.example:587",
        ip_version="4",
        source_ipv6="2001:db8::1",
        targets_per_alias_max=25,
        cleartext_recipients=("@example.com", "echo@x.test"),
        account_quota_octets=500 * MIB,
        message_octets_max=30 * MIB,
        load_max=2.5,
        languages=("ru", "en"),
        turn_server="turn.example:3478",
    )
    texts = {name: text_of_term(getattr(changed, name)) for name in TERMS if not TERMS[name].is_secret}
    assert changed_terms(DomainTerms(), texts) == changed
    emptied = dict.fromkeys(("denylist", "smarthost", "smarthost_password", "source_ipv6", "refused_extensions"), "")
    assert changed_terms(dataclasses.replace(changed, smarthost_password="x"), emptied).smarthost_password == ""


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("uses_dns_rule", "yes", "did you mean uses_dns_rules"),
        ("nonsense", "yes", "terms are uses_dns_rules"),
        ("keeps_trace", "maybe", "yes or no"),
        ("targets_per_alias_max", "0", "between 1 and 500"),
        ("targets_per_alias_max", "501", "between 1 and 500"),
        ("denylist", "a b", "characters"),
        ("denylist", ",".join(f"d{number}.test" for number in range(1001)), "at most 1000"),
        ("refused_extensions", "../x", "extensions"),
        ("smarthost", "user@example.net", "host:port"),
        ("smarthost", "relay.example:0", "65535"),
        ("smarthost_password", "secret", "stdin"),
        ("smarthost_security", "maybe", "starttls, tls, none"),
        ("source_ipv4", "2001:db8::1", "source_ipv4"),
        ("verification", "a b", "without spaces"),
        ("webhook_key", "short", "at least 32"),
        ("mta_sts_mode", "off", "enforce, testing, none"),
        ("username_length_min", "10", "no more than username_length_max"),
        ("password_length_min", "7", "between 8 and 1000"),
        ("load_max", "0", "above 0"),
        ("load_max", "nan", "above 0"),
        ("account_quota_octets", "half a lot", "such as 500M"),
        ("account_quota_octets", "1.5G", "such as 500M"),
        ("cleartext_recipients", "@", "domain"),
        ("iroh_relay", "relay.example", "https://"),
        ("turn_server", "user@turn.example", "host:port"),
        ("languages", "tlh", "en, ru, fr, es, ko"),
        ("languages", "", "en, ru, fr, es, ko"),
        ("privacy_mail", "a\nb", "one line"),
    ],
)
def test_wrong_values_are_told(name, text, said):
    with pytest.raises(BadSettings, match=said) as refused:
        changed_terms(DomainTerms(), {name: text})
    assert "secret" not in refused.value.public_text
