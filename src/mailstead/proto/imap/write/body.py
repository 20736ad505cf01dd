"""BODY from BODYSTRUCTURE: the same structure without extension data.

Spec: RFC 9051 §7.5.2 (body-type-1part, body-type-mpart; body-ext-* left out)
"""

from __future__ import annotations

import re
from typing import Final

# quoted strings, literals' heads, parentheses and atoms, as our own `mime` writes them
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|~?\{(\d+)\}\r\n|[()]|[^\s()"]+', re.DOTALL)

_Node = bytes | list["_Node"]


def basic_body(body_structure: bytes) -> bytes:
    """Give the BODY form of a BODYSTRUCTURE that our own side has written."""
    tree = _parse(body_structure)
    return _write(_basic(tree)) if isinstance(tree, list) else tree


def _parse(octets: bytes) -> _Node:
    root: list[_Node] = []
    open_lists = [root]
    position = 0
    while match := _TOKEN.search(octets, position):
        position = match.end()
        token = match.group()
        if token == b"(":
            inner: list[_Node] = []
            open_lists[-1].append(inner)
            open_lists.append(inner)
        elif token == b")":
            open_lists.pop()
        elif match.group(1):
            start, position = position, position + int(match.group(1))
            open_lists[-1].append(token + octets[start:position])
        else:
            open_lists[-1].append(token)
    return root[0]


def _basic(node: list[_Node]) -> list[_Node]:
    """Cut extension data off; depth is bounded by `mime` (100 levels)."""
    if isinstance(node[0], list):
        # body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]
        bodies = 0
        while bodies < len(node) and isinstance(node[bodies], list):
            bodies += 1
        return [*[_basic(child) for child in node[:bodies] if isinstance(child, list)], *node[bodies : bodies + 1]]
    # body-type-1part: type subtype params id description encoding octets, then what the type adds
    media = (node[0].upper(), node[1].upper() if isinstance(node[1], bytes) else b"")
    if media[0] == b'"TEXT"':
        return node[:8]
    if media in {(b'"MESSAGE"', b'"RFC822"'), (b'"MESSAGE"', b'"GLOBAL"')} and len(node) > 9:
        body = node[8]
        return [*node[:8], _basic(body) if isinstance(body, list) else body, node[9]]
    return node[:7]


def _write(node: _Node) -> bytes:
    if isinstance(node, bytes):
        return node
    parts = [_write(child) for child in node]
    # bodies of a multipart stand side by side without a space: 1*body
    text = b" ".join(parts)
    if isinstance(node[0] if node else b"", list):
        bodies = sum(1 for child in node if isinstance(child, list))
        text = b"".join(parts[:bodies]) + b"".join(b" " + part for part in parts[bodies:])
    return b"(%b)" % text
