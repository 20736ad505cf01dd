"""The second pass over HTML of a message, by the parser of a browser. See `safe_html`."""

from __future__ import annotations

from typing import Final

from mailstead.mime.showing import allowed

_NH3_ATTRIBUTES: Final = {name: set(names) for name, names in allowed.ATTRIBUTES.items()}
for _name, _more in (("a", {"rel", "target"}), ("area", {"rel", "target"})):
    _NH3_ATTRIBUTES[_name] |= _more
_FIXED: Final = {"rel": {"noopener noreferrer"}, "target": {"_blank"}}
"""What is the same everywhere."""


def second_pass(html: str, written: dict[str, set[str]]) -> str:
    """Have another parser build the tree and write it; addresses and styles must be those of the first pass."""
    import nh3

    def checked(_element: str, attribute: str, value: str) -> str | None:
        known = _FIXED.get(attribute, written.get(attribute))
        return value if known is None or value in known else None

    return nh3.clean(
        html,
        tags=set(allowed.ELEMENTS),
        clean_content_tags=set(allowed.DROPPED_WHOLE),
        attributes={name: set(names) for name, names in _NH3_ATTRIBUTES.items()},
        attribute_filter=checked,
        strip_comments=True,
        link_rel=None,
        url_schemes={"http", "https", "mailto", "tel", "data"},
    )
