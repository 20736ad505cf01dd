"""Header fields of lists. Spec: reference forwardemail 4.1 (pagination); RFC 8288 (Link)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from mailstead.model.people import Listing, Page


def listing_of(query: Any) -> Listing:
    """Give which part of a list a query asks for: its page and limit, and sort and text (``q``) where it has them."""
    return Listing(query.page, query.limit, getattr(query, "sort", "") or "", getattr(query, "q", "") or "")


def headers_of(page: Page[Any], number: int, limit: int, url: str, asked: list[tuple[str, str]]) -> dict[str, str]:
    """Give the fields for a page of a list.

    `number`: of the page, from 1; `url`: of the list, without query; `asked`: the query as it came.
    """
    page_count = max(1, -(-page.item_count // limit))
    kept = [(name, value) for name, value in asked if name not in {"page", "limit"}]

    def link(to: int, relation: str) -> str:
        return f'<{url}?{urlencode([*kept, ("page", to), ("limit", limit)])}>; rel="{relation}"'

    links = []
    if number > 1:
        links.append(link(min(number - 1, page_count), "prev"))
    if number < page_count:
        links.append(link(number + 1, "next"))
    links += [link(page_count, "last"), link(1, "first")]
    return {
        "x-page-count": str(page_count),
        "x-page-current": str(number),
        "x-page-size": str(len(page.items)),
        "x-item-count": str(page.item_count),
        "link": ", ".join(links),
    }
