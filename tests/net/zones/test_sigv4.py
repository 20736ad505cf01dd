"""Signatures of requests, against Amazon's own test vectors."""

from datetime import UTC, datetime

import pytest

from mailstead.net.zones.sigv4 import SigningKey, query_text, signed_headers

KEY = SigningKey("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "service")
NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)


@pytest.mark.parametrize(
    ("method", "query", "signature"),
    [
        ("GET", (), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", (), "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "GET",
            (("Param2", "value2"), ("Param1", "value1")),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
    ],
)
def test_amazons_vectors(method, query, signature):
    url = "https://example.amazonaws.com/" + (f"?{query_text(query)}" if query else "")
    headers = signed_headers(method, url, b"", KEY, NOW)
    assert headers == {
        "X-Amz-Date": "20150830T123600Z",
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}",
    }


def test_a_query_is_sorted_and_escaped():
    assert query_text([("type", "TXT"), ("name", "_a b/*.test.")]) == "name=_a%20b%2F%2A.test.&type=TXT"
