"""A page of our own with a few words and perhaps a form: no script, nothing loaded, nothing kept.

Spec: W3C CSP Level 3 §2.3.1 (hashes).
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Final

from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, Response

_STYLE: Final = """
:root { color-scheme: light dark; font: 1.05rem/1.5 system-ui, sans-serif }
body { max-width: 30rem; margin: 10vh auto; padding: 0 1rem }
label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit }
input, button { margin: .3rem 0 1.2rem; padding: .6rem; border: 1px solid #888; border-radius: .4rem }
button { background: #1a56a8; color: #fff; border: 0 }
[role=alert] { border-left: .3rem solid #c33; padding-left: .8rem }
"""
_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'; "
    f"style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
}


def small_page(title: str, content: Markup, status: int = 200) -> Response:
    """Give it."""
    page = Markup(
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        "<title>{title}</title><style>{style}</style><main><h1>{title}</h1>{content}</main></html>"
    ).format(title=escape(title), style=Markup(_STYLE), content=content)  # noqa: S704  # our own text
    return HTMLResponse(page, status, _HEADERS)
