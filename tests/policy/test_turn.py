from datetime import UTC, datetime

from mailstead.policy.turn import turn_announcement, turn_password


def test_the_password_is_what_openssl_computes():
    # printf 1767657600 | openssl dgst -sha1 -hmac north -binary | base64
    assert turn_password(b"north", "1767657600") == "bCU2Z2zRsmvhayL806U2oRRMKTs="


def test_credentials_run_out_after_five_days():
    told = turn_announcement("turn.example.test:3478", b"north", datetime(2026, 1, 1, tzinfo=UTC))
    assert told == "turn.example.test:3478:1767657600:bCU2Z2zRsmvhayL806U2oRRMKTs="
