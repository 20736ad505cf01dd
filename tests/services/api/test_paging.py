"""Lists in pages. Spec: reference forwardemail 4.1; RFC 8288."""

import re

import pytest
from pydantic import Field

from mailstead.model.people import Page
from mailstead.services.api import paging
from mailstead.services.api.endpoints import Answer, Auth, Endpoint, Listed, Right
from services.api.asking import BASE_URL, asking


class Numbers(Listed):
    limit: int = Field(10, ge=1, le=50)
    sort: str = ""
    q: str = ""


async def numbers(call):
    listing = paging.listing_of(call.query)
    whole = range(25)
    shown = tuple(whole[listing.skipped_count : listing.skipped_count + listing.limit])
    return Answer(list(shown), page=Page(shown, len(whole)))


ENDPOINTS = (
    Endpoint("GET", "/v1/numbers", "list-numbers", "x", "test", Auth.NONE, Right.ANYBODY, numbers, query=Numbers),
)


@pytest.mark.parametrize(
    ("query", "counts", "relations"),
    [
        ("", ("3", "1", "10", "25"), {"next": 2, "last": 3, "first": 1}),
        ("?page=2", ("3", "2", "10", "25"), {"prev": 1, "next": 3, "last": 3, "first": 1}),
        ("?page=3", ("3", "3", "5", "25"), {"prev": 2, "last": 3, "first": 1}),
        ("?page=9", ("3", "9", "0", "25"), {"prev": 3, "last": 3, "first": 1}),
        ("?limit=50&pagination=true", ("1", "1", "25", "25"), {"last": 1, "first": 1}),
    ],
)
async def test_pages(tmp_path, query, counts, relations):
    async with asking(tmp_path, people=(), endpoints=ENDPOINTS) as api:
        answer = await api.ask("GET", f"/v1/numbers{query}", by=None)
    names = ("x-page-count", "x-page-current", "x-page-size", "x-item-count")
    assert tuple(answer.headers[name] for name in names) == counts
    assert len(answer.json()) == int(counts[2])
    links = {}
    for link in answer.headers["link"].split(", "):
        url, _, relation = link.partition("; rel=")
        assert url.startswith(f"<{BASE_URL}/v1/numbers?")
        links[relation.strip(chr(34))] = int(re.search(r"[?&]page=(\d+)", url)[1])
    assert links == relations


@pytest.mark.parametrize(
    "query", ["page=0", "page=-1", "page=x", "limit=0", "limit=51", "page=1&page=2", "page=99999999"]
)
async def test_pages_that_there_cannot_be(tmp_path, query):
    async with asking(tmp_path, people=(), endpoints=ENDPOINTS) as api:
        assert (await api.ask("GET", f"/v1/numbers?{query}", by=None)).status == 400


async def test_links_keep_what_was_asked_and_nothing_breaks_out_of_them(tmp_path):
    async with asking(tmp_path, people=(), endpoints=ENDPOINTS) as api:
        answer = await api.ask("GET", "/v1/numbers?q=a%3E%3B%22%0D%0Ax%26b&page=2&sort=-name", by=None)
    assert "q=a%3E%3B%22%0D%0Ax%26b&sort=-name&page=3&limit=10>" in answer.headers["link"]


async def test_attack_091_links_name_the_configured_host_whatever_the_request_says(tmp_path):
    async with asking(tmp_path, people=(), endpoints=ENDPOINTS) as api:
        answer = await api.ask(
            "GET", "/v1/numbers", by=None, host="evil.test", x_forwarded_host="evil.test", forwarded="host=evil.test"
        )
    assert "evil" not in answer.headers["link"]
    assert f"<{BASE_URL}/v1/numbers?" in answer.headers["link"]
