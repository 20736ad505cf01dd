"""Thirty ways to write a recipient elsewhere: an open relay takes one of them. For our tests and for the self-test.

Spec: RFC 5321 §3.6.1, appendix F.2 (source routes); attack row 12.
"""

from __future__ import annotations

from typing import Final

_FORMS: Final = (
    "<victim@{far}>", "<VICTIM@{FAR}>", "<victim@{far}.>", '<"victim"@{far}>',
    "<victim%{far}@{domain}>", '<"victim%{far}"@{domain}>', "<victim%{far}>",
    "<victim%{far}@[127.0.0.1]>", "<victim%{far}@localhost>", "<victim%{far}@{host}>",
    '<"victim@{far}"@{domain}>', '<"victim@{far}">', "<victim@{far}@{domain}>",
    '<"victim@{far}"@[127.0.0.1]>', "<victim@{far}@[127.0.0.1]>", "<victim@{far}%{domain}>",
    "<@{domain}:victim@{far}>", "<@[127.0.0.1]:victim@{far}>", "<@localhost:victim@{far}>",
    '<@{domain}:"victim@{far}">', "<@{domain},@{host}:victim@{far}>",
    "<{far}!victim>", "<{far}!victim@{domain}>", "<{far}!victim@[127.0.0.1]>",
    "<{domain}!{far}!victim>", "<victim@[192.0.2.1]>", "<victim@sub.{domain}>", "<victim@{domain}@>",
    "victim@{far}", "victim%{far}@{domain}",
)  # fmt: skip

FAR: Final = "elsewhere.test"
"""A name that nobody has. Spec: RFC 2606 §2."""


def foreign_recipients(domain: str, hostname: str) -> list[str]:
    """Give what to say behind ``RCPT TO:``, as a tester of open relays does, to a host that serves `domain`.

    A catch-all or a regular expression of the domain may take those that end in it; nothing is relayed by that.
    """
    return [form.format(far=FAR, FAR=FAR.upper(), domain=domain, host=hostname) for form in _FORMS]
