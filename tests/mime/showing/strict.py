"""A second look at what is shown: nothing in it may run, load or leave. Knows nothing of how it was made."""

import re
from html.parser import HTMLParser

ELEMENTS = {
    "a",
    "abbr",
    "acronym",
    "address",
    "area",
    "article",
    "aside",
    "b",
    "bdi",
    "bdo",
    "big",
    "blockquote",
    "br",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "details",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "figcaption",
    "figure",
    "font",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "i",
    "img",
    "ins",
    "kbd",
    "label",
    "li",
    "main",
    "map",
    "mark",
    "menu",
    "nav",
    "ol",
    "p",
    "pre",
    "q",
    "rp",
    "rt",
    "ruby",
    "s",
    "samp",
    "section",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "summary",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "time",
    "tr",
    "u",
    "ul",
    "var",
    "wbr",
}
ATTRIBUTES = {
    "align",
    "alt",
    "bgcolor",
    "border",
    "cellpadding",
    "cellspacing",
    "class",
    "color",
    "colspan",
    "coords",
    "datetime",
    "dir",
    "face",
    "height",
    "href",
    "hspace",
    "id",
    "lang",
    "name",
    "noshade",
    "nowrap",
    "open",
    "rel",
    "reversed",
    "role",
    "rowspan",
    "rules",
    "scope",
    "shape",
    "size",
    "span",
    "src",
    "start",
    "style",
    "target",
    "title",
    "type",
    "usemap",
    "valign",
    "value",
    "vspace",
    "width",
}
LINK = re.compile(r"(?:https?://[^/\s\"'<>\\@]+/[^\s\"'<>\\]*|mailto:[^\s\"'<>\\]*|tel:[^\s\"'<>\\]*|#m-[\w.:-]+)\Z")
NEVER = re.compile(
    r"expression|javascript|vbscript|beh[a]viou?r|-moz-binding|@import|@font-face|@namespace|@charset|@keyframes|position\s*:"
    r"|content\s*:|<|\\|/\*|image-set|element\(|src\(|paint\(|var\(|--|animation|transition|transform|filter|mask|z-index",
    re.IGNORECASE,
)
NEEDED_END = ELEMENTS - {"area", "br", "col", "hr", "img", "wbr"}


class Strict(HTMLParser):
    """Collects whatever should not be there."""

    def __init__(self, allowed=()):
        super().__init__(convert_charrefs=True)
        self.allowed = set(allowed)
        self.escapes = []
        self.tag_count = 0
        self.open = []

    def handle_starttag(self, tag, attributes):
        self.tag_count += 1
        if tag not in ELEMENTS:
            self.escapes.append(f"element {tag}")
        if tag in NEEDED_END:
            self.open.append(tag)
        for name, value in attributes:
            if name not in ATTRIBUTES:
                self.escapes.append(f"attribute {tag} {name}")
            if name == "href" and not LINK.match(value):
                self.escapes.append(f"link {value}")
            if name == "href" and not value.startswith("#") and dict(attributes).get("rel") != "noopener noreferrer":
                self.escapes.append(f"link without rel {value}")
            if name == "target" and value != "_blank":
                self.escapes.append(f"target {value}")
            if name == "src" and value not in self.allowed:
                self.escapes.append(f"source {value}")
            if name in {"id", "name"} and not value.startswith("m-"):
                self.escapes.append(f"name {value}")
            if name == "usemap" and not value.startswith("#m-"):
                self.escapes.append(f"map {value}")
            if name == "style":
                self.escapes += styles(value, self.allowed)

    def handle_startendtag(self, tag, attributes):
        self.escapes.append(f"self-closing {tag}")

    def handle_endtag(self, tag):
        self.tag_count += 1
        if not self.open or self.open.pop() != tag:
            self.escapes.append(f"unbalanced {tag}")

    def handle_comment(self, data):
        self.escapes.append("comment")

    def handle_decl(self, decl):
        self.escapes.append("declaration")

    def handle_pi(self, data):
        self.escapes.append("instruction")

    unknown_decl = handle_decl


def styles(css, allowed=()):
    """Whatever should not be in CSS."""
    escapes = [f"css {found[0]}" for found in NEVER.finditer(css)]
    for address in re.findall(r"url\s*\(([^)]*)\)?", css, re.IGNORECASE):
        if address.strip("\"'") not in allowed or not re.fullmatch(r'"[^"]*"', address):
            escapes.append(f"css url {address}")
    bare = re.sub(r'"[^"\n]*"', "", css)
    if '"' in bare or "'" in bare:
        escapes.append("css string")
    if re.search(r"@(?!media )", bare):
        escapes.append("css at-rule")
    if bare.count("{") != bare.count("}") or bare.count("(") != bare.count(")"):
        escapes.append("css brackets")
    return escapes


def escapes(html, css="", allowed=()):
    """All that got out."""
    parser = Strict(allowed)
    parser.feed(html)
    parser.close()
    found = parser.escapes + styles(css, allowed)
    if parser.open:
        found.append(f"open {parser.open}")
    if html.count("<") != parser.tag_count or parser.rawdata:
        found.append("a < that is no tag")
    if re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", html + css):
        found.append("control character")
    return found
