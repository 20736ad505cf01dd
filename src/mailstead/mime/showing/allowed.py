"""What HTML of a message may have; whatever is not named here is not shown.

Spec: HTML Living Standard (elements and obsolete presentational attributes, as mail is full of them).
"""

from __future__ import annotations

import re
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


VOID: Final = _words("area br col hr img wbr")
"""Allowed elements that have no end tag."""
FORMATTING: Final = _words("a b big code em font i nobr s small strike strong tt u")
"""What a parser opens anew in each following block until it is closed. Spec: HTML §13.2.4.3."""
BLOCKS: Final = _words(
    "address article aside blockquote center details div dl figcaption figure footer h1 h2 h3 h4 h5 h6 header hr main"
    " menu nav ol p pre section summary table ul"
)
"""What ends an open paragraph."""
ELEMENTS: Final = (
    VOID
    | FORMATTING
    | BLOCKS
    | _words(
        "abbr acronym bdi bdo caption cite colgroup dd del dfn dt ins kbd label li map mark q rp rt ruby samp span sub"
        " sup tbody td tfoot th thead time tr var"
    )
)
DROPPED_WHOLE: Final = _words(
    "datalist iframe math noembed noframes plaintext script select style svg template textarea title xmp"
)
"""Elements that go with all that is in them; of others only the tags go."""
RAW_TEXT: Final = _words("iframe noembed noframes script style textarea title xmp")
"""Elements whose content is text up to their end tag. Spec: HTML §13.2.5.2, §13.2.5.3."""
ACTIVE: Final = _words(
    "applet bgsound button embed form frame frameset iframe input isindex keygen marquee math meta object param script"
    " select svg template textarea base portal fencedframe"
)
"""Elements whose removal is worth telling; counted as `Blocked.active_count`."""
MEDIA: Final = _words("audio video source track embed object")

_EVERYWHERE: Final = _words("align class dir id lang style title")
_SIZES: Final = _words("height width")
_BOX: Final = _SIZES | _words("bgcolor")
_CELL: Final = _BOX | _words("colspan rowspan nowrap scope valign")
_ROW: Final = _words("bgcolor height valign")
_OF: Final[dict[str, frozenset[str]]] = {
    "a": _words("href name"),
    "area": _words("alt coords href shape"),
    "col": _words("span valign width"),
    "colgroup": _words("span valign width"),
    "details": _words("open"),
    "font": _words("color face size"),
    "hr": _words("color noshade size width"),
    "img": _SIZES | _words("alt border hspace src usemap vspace"),
    "li": _words("type value"),
    "map": _words("name"),
    "ol": _words("reversed start type"),
    "table": _BOX | _words("border cellpadding cellspacing role rules"),
    "td": _CELL,
    "th": _CELL,
    "time": _words("datetime"),
    "tr": _ROW,
    "tbody": _ROW,
    "tfoot": _ROW,
    "thead": _ROW,
    "ul": _words("type"),
}
ATTRIBUTES: Final = {name: _EVERYWHERE | _OF.get(name, frozenset()) for name in ELEMENTS}
"""What each element may have."""

_LENGTH: Final = re.compile(r"\+?\d{1,5}(?:\.\d{1,4})?(?:%|px)?")
_NUMBER: Final = re.compile(r"[+-]?\d{1,6}")
_COLOUR: Final = re.compile(r"#?[A-Za-z0-9]{1,30}")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,40}")
_LIST: Final = re.compile(r"[0-9., %]{1,2000}")
_NAME: Final = re.compile(r"[\w.:-]{1,200}")
_CLASSES: Final = re.compile(r"[\w \t\n-]{1,2000}")
_TEXT: Final = re.compile(r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]{0,5000}", re.DOTALL)
_FACE: Final = re.compile(r"[\w ,.'\"-]{1,500}")
_MOMENT: Final = re.compile(r"[0-9TZWP:+. YMDHS-]{1,60}")
_FLAG: Final = re.compile(r".{0,50}", re.DOTALL)
_TYPE: Final = re.compile(r"[1aAiI]|disc|circle|square|none", re.ASCII | re.IGNORECASE)

VALUES: Final = {
    "align": _WORD,
    "alt": _TEXT,
    "bgcolor": _COLOUR,
    "border": _LENGTH,
    "cellpadding": _LENGTH,
    "cellspacing": _LENGTH,
    "class": _CLASSES,
    "color": _COLOUR,
    "colspan": _NUMBER,
    "coords": _LIST,
    "datetime": _MOMENT,
    "dir": re.compile(r"ltr|rtl|auto", re.IGNORECASE),
    "face": _FACE,
    "height": _LENGTH,
    "hspace": _LENGTH,
    "id": _NAME,
    "lang": _WORD,
    "name": _NAME,
    "noshade": _FLAG,
    "nowrap": _FLAG,
    "open": _FLAG,
    "reversed": _FLAG,
    "role": re.compile(r"presentation|none", re.IGNORECASE),
    "rowspan": _NUMBER,
    "rules": _WORD,
    "scope": _WORD,
    "shape": _WORD,
    "size": _NUMBER,
    "span": _NUMBER,
    "start": _NUMBER,
    "title": _TEXT,
    "type": _TYPE,
    "valign": _WORD,
    "value": _NUMBER,
    "vspace": _LENGTH,
    "width": _LENGTH,
}
"""The form of each attribute that is taken as it is; href, src, style and usemap have rules of their own."""
FLAGS: Final = _words("noshade nowrap open reversed")
"""Attributes that say what they say by being there."""
