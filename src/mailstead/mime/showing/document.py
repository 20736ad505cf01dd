"""The document that a frame shows, and the policy that its answer must carry.

The frame has an address of its own: a document in ``srcdoc`` has the policy of the page around it, which allows no
styles of a message.

Spec: Content Security Policy Level 3 §6; HTML Living Standard §4.8.5 (sandbox).
"""

from __future__ import annotations

from html import escape
from typing import Final

_SANDBOX: Final = "allow-popups allow-popups-to-escape-sandbox"
SANDBOX: Final = _SANDBOX
"""For the frame's ``sandbox`` attribute: no scripts, no forms, no origin; links open in a window of their own."""
_STYLE: Final = """
:root{color-scheme:light;background:#fff;color:#1b1b1b}
body{margin:0;padding:8px;font:15px/1.45 system-ui,sans-serif;overflow-wrap:anywhere}
img{max-width:100%}
table{max-width:100%}
img:not([src]){display:inline-block;background:#eceff1;outline:1px dashed #90a4ae}
blockquote{margin:0 0 0 .2em;padding-left:.8em;border-left:2px solid #90a4ae}
.m-text{white-space:pre-wrap}
.m-signature{color:#5f6368}
"""


def frame_policy(*, has_remote: bool = False) -> str:
    """Give the Content-Security-Policy of the frame's document; images of the house's proxy only where asked for."""
    images = "'self' data:" if has_remote else "data:"
    return (
        f"default-src 'none'; img-src {images}; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none';"
        f" frame-ancestors 'self'; sandbox {_SANDBOX}"
    )


def frame_headers(*, has_remote: bool = False) -> dict[str, str]:
    """Give the header fields of the answer that holds the document (attack row 87: no prefetch, no referrer)."""
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": frame_policy(has_remote=has_remote),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-DNS-Prefetch-Control": "off",
        "X-Frame-Options": "SAMEORIGIN",
        "Permissions-Policy": "browsing-topics=(), camera=(), geolocation=(), microphone=()",
        "Cache-Control": "private, no-store",
    }


def document(body: str, css: str = "", *, title: str = "") -> str:
    """Give a whole document around what `safe_html` or `html_of_text` gave. `title` is for readers of screens."""
    return (
        '<!DOCTYPE html><html><head><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style><style>{css}</style></head><body>{body}</body></html>"
    )
