"""Names of Forward Email's .env, and what follows from each."""

import pytest

from mailstead.config.edit import with_settings
from mailstead.model.errors import BadSettings
from mailstead.policy.forward_email_env import read_env

ENV = """\
# the one that the installer writes
NODE_ENV=production
DOMAIN=Example.Org
WEB_HOST={{DOMAIN}}
MX_HOST=mx.{{DOMAIN}}
MX_PORT=25
SMTP_PORT=465
export IMAP_PORT = 993
POP3_PORT=995
SMTP_MESSAGE_MAX_SIZE="25MB"
MAX_RECIPIENTS=50
ALLOWLIST=192.0.2.1, example.com,
DENYLIST=
LOG_RETENTION=14d
BACKUP_BUCKET=forwardemail-selfhosted
AWS_ENDPOINT_URL='https://s3.example.net'  # here
AWS_REGION=auto
AWS_ACCESS_KEY_ID=ab
AWS_SECRET_ACCESS_KEY=hush
HELPER_ENCRYPTION_KEY=0123456789
REDIS_HOST=127.0.0.1
WEB_SSL_KEY_PATH=/app/ssl/privkey.pem
"""
NAMES = """NODE_ENV SELF_HOSTED DOMAIN WEB_HOST WEB_URL WEBSITE_URL WEB_PORT WEB_PROTOCOL API_HOST API_PORT API_PROTOCOL API_URL
CALDAV_HOST CALDAV_PORT CARDDAV_HOST CARDDAV_PORT SQLITE_HOST SQLITE_PORT SMTP_HOST SMTP_PORT MX_HOST MX_PORT MX1_HOST MX2_HOST
SMTP_EXCHANGE_DOMAINS IMAP_HOST IMAP_PORT POP3_HOST POP3_PORT HTTP_PROTOCOL HTTP_PORT PROXY_PORT WEB_SSL_KEY_PATH
MX_SSL_CERT_PATH IMAP_SSL_CA_PATH APP_NAME APP_COLOR VANITY_DOMAINS TXT_RECORD_PREFIX IMAGE_TAG COMPOSE_PROFILES
HELPER_ENCRYPTION_KEY HELPER_ENCRYPTION_KEY_LEGACY SRS_SECRET TXT_ENCRYPTION_KEY WEBHOOK_SIGNATURE_KEY API_SECRETS
API_RESTRICTED_SYMBOL SMTP_TRANSPORT_USER SMTP_TRANSPORT_PASS SMTP_TRANSPORT_HOST SMTP_TRANSPORT_PORT SMTP_TRANSPORT_SECURE
DKIM_DOMAIN_NAME DKIM_KEY_SELECTOR DKIM_PRIVATE_KEY_PATH DKIM_PRIVATE_KEY_VALUE GPG_SECURITY_KEY GPG_SECURITY_PASSPHRASE
AUTH_LOCAL_ENABLED AUTH_OTP_ENABLED AUTH_WEBAUTHN_ENABLED AUTH_GOOGLE_CLIENT_ID AUTH_BASIC_ENABLED AUTH_BASIC_USERNAME
AUTH_BASIC_PASSWORD AUTH_BASIC_ALWAYS VERIFICATION_PIN_TIMEOUT_MS RESET_TOKEN_TIMEOUT_MS CHANGE_EMAIL_LIMIT_MS
TURNSTILE_ENABLED TURNSTILE_SITEKEY MONGO_HOST MONGO_URI LOGS_MONGO_HOST REDIS_HOST WEB_REDIS_HOST MANDARIN_REDIS_PORT
SQLITE_STORAGE_PATH SQLITE_TMPDIR SQLITE_FTS5_ENABLED AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_REGION AWS_ENDPOINT_URL
BACKUP_BUCKET EMAIL_RETENTION LOG_RETENTION ANALYTICS_RETENTION SEND_EMAIL PREVIEW_EMAIL TRANSPORT_DEBUG SMTP_MESSAGE_MAX_SIZE
MAX_RECIPIENTS MAX_FORWARDED_ADDRESSES SMTP_ALLOW_INSECURE_AUTH SMTP_TLS_MIN_VERSION SMTP_TLS_MAX_VERSION ALLOWLIST DENYLIST
TRUTH_SOURCES EMAIL_ABUSE EMAIL_DEFAULT_FROM_EMAIL REMOVED_EMAIL_DOMAIN SMTP_SPAM_SUSPENSION_WINDOW
SMTP_DOMAIN_SUSPENSION_ALIAS_THRESHOLD SMTP_RATE_LIMIT_ALERT_TTL GENERIC_RDNS_SPAM_MONITOR_ONLY ROOT_SCRIPT_SPAM_MONITOR_ONLY
SMTP_PISCINA_ENABLED SMTP_MAX_THREADS SMTP_IDLE_TIMEOUT RATELIMIT_ALLOWLIST API_RATELIMIT_WHITELIST CACHE_RESPONSES
IGNORED_SELF_TEST_DOMAINS SUPPORT_REQUEST_MAX_LENGTH WS_TRUST_PROXY ENABLE_MONITOR_SERVER APPLE_TEAM_ID APNS_BUNDLE_ID
FCM_PROJECT_ID VAPID_SUBJECT DOMAIN_CONNECT_KEY I18N_LOCALES AXE_LEVEL OLLAMA_HOST LANCEDB_PATH MAIL_HOST""".split()  # noqa: SIM905  # 130 lines would tell no more


def test_names_become_settings():
    adopted = read_env(ENV)
    assert adopted.domain == "example.org"
    assert adopted.settings == {
        "server.hostname": "mx.Example.Org",
        "mx.listen": ":25",
        "submission.listen_tls": ":465",
        "imap.listen_tls": ":993",
        "pop3.listen_tls": ":995",
        "smtp.message_octets_max": str(25 * 1024**2),
        "smtp.recipients_max": "50",
        "policy.allowlist": "192.0.2.1,example.com",
        "trace.kept_days": "14",
        "backup.target": "s3://forwardemail-selfhosted/mailstead",
        "backup.s3_endpoint": "https://s3.example.net",
        "backup.s3_access_key_id": "ab",
        "backup.s3_secret_access_key": "hush",
    }
    assert "recipients_max = 50" in with_settings("", adopted.settings, "a test")


def test_secrets_are_not_shown():
    shown = str([(fate.key, fate.value, fate.text) for fate in read_env(ENV).fates])
    assert "hush" not in shown
    assert "0123456789" not in shown
    assert "hush" not in with_settings("", read_env(ENV).settings, "a test", hides_secrets=True)
    assert "hush" in with_settings("", read_env(ENV).settings, "a test")


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_the_reference_is_known(name):
    value = "5" if name.endswith(("PORT", "RETENTION", "SIZE", "RECIPIENTS")) else "x"
    [fate] = read_env(f"{name}={value}").fates
    assert fate.text
    assert "slip of the pen" not in fate.text


def test_an_unknown_name_is_told_and_stops_nothing():
    [first, second] = read_env("MAX_RECIPIENT=5\nMAX_RECIPIENTS=6").fates
    assert "slip of the pen" in first.text
    assert second.settings == {"smtp.recipients_max": "6"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no line NAME=value"),
        ("hello", "is not NAME=value"),
        ("A={{B}}\nB={{A}}", "refers to itself"),
        ("MAX_RECIPIENTS=many", "MAX_RECIPIENTS = many: a number"),
        ("IMAP_PORT=imaps", "a port"),
        ("SMTP_MESSAGE_MAX_SIZE=big", "such as 50MB"),
        ("LOG_RETENTION=long", "such as 7d"),
    ],
)
def test_what_is_wrong_is_told(text, said):
    with pytest.raises(BadSettings, match=said):
        read_env(text)


def test_a_retention_in_other_units():
    for text, days in (("36h", "2"), ("10m", "1"), ("2w", "14"), ("86400000", "1")):
        assert read_env(f"LOG_RETENTION={text}").settings == {"trace.kept_days": days}
