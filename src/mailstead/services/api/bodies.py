"""What comes in: the body as JSON, form or multipart, the query; read within bounds, before anything is done with it.

All three forms end in one tree of dicts, lists and strings, which the endpoint's model then checks. Files are kept in
memory, never in temporary files: those would lie in clear on the disk.

Spec: RFC 8259; WHATWG URL (application/x-www-form-urlencoded); RFC 7578; reference forwardemail 4.1. Attack row 98.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import msgspec
from python_multipart import exceptions as multipart_errors
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from mailstead.services.api.endpoints import File
from mailstead.services.api.errors import Refusal

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

DEPTH_MAX: Final = 32
"""Of JSON. Attack row 98."""
CONTAINERS_MAX: Final = 100_000
"""Objects and lists of JSON: more are work without use."""
FIELDS_MAX: Final = 1000
"""Of a form."""
FILES_MAX: Final = 50
PART_HEADER_OCTETS_MAX: Final = 8 * 1024
FORM_DEPTH_MAX: Final = 4
"""Of names with brackets, ``settings[mail][sent_folder]``."""
LIST_ITEMS_MAX: Final = 1000

_NAME: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_KEY: Final = re.compile(r"\[([^\[\]]*)\]")


async def octets_of(request: Request, octets_max: int) -> bytes:
    """Read the whole body. Errors: Refusal, when it is too large or its end never comes."""
    said = request.headers.get("content-length", "")
    if said.isdecimal() and len(said) < 20 and int(said) > octets_max:
        raise _too_large(octets_max)
    pieces = bytearray()
    try:
        async for piece in request.stream():
            pieces += piece
            if len(pieces) > octets_max:
                raise _too_large(octets_max)
    except ClientDisconnect:
        raise Refusal(400, "The body breaks off") from None
    return bytes(pieces)


def tree_of(content_type: str, octets: bytes, *, takes_files: bool) -> tuple[dict[str, Any], tuple[File, ...]]:
    """Give the fields of a body, and its files. An empty body has no fields. Errors: Refusal (400, 413, 415)."""
    if not octets:
        return {}, ()
    kind, options = parse_options_header(content_type)
    match kind:
        case b"application/json":
            return json_of(octets), ()
        case b"application/x-www-form-urlencoded":
            return form_of(_form_pairs(octets)), ()
        case b"multipart/form-data":
            pairs, files = _multipart(octets, options.get(b"boundary", b""))
            if files and not takes_files:
                raise Refusal(415, "This takes no files")
            return form_of(pairs), files
    forms = "application/json, application/x-www-form-urlencoded or multipart/form-data"
    raise Refusal(415, f"The body is to be {forms}, and Content-Type is to say so", headers={"accept": forms})


def json_of(octets: bytes) -> dict[str, Any]:
    """Read an object. Errors: Refusal, also when it is nested too deeply."""
    try:
        value = msgspec.json.decode(octets)
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        raise Refusal(400, "The body is no JSON") from None
    if not isinstance(value, dict):
        raise Refusal(400, "The body is to be a JSON object")
    level: list[Any] = [value]
    count = 0
    for _ in range(DEPTH_MAX):
        level = [child for each in level for child in _children(each)]
        count += len(level)
        if count > CONTAINERS_MAX:
            raise Refusal(413, f"The body has more than {CONTAINERS_MAX} objects and lists")
        if not level:
            return value
    raise _too_deep()


def form_of(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Give the tree of a form or query: repeated names and ``a[]`` are lists, ``a[b]`` is ``{"a": {"b": …}}``.

    Errors: Refusal.
    """
    tree: dict[str, Any] = {}
    for count, (name, value) in enumerate(pairs):
        if count >= FIELDS_MAX:
            raise Refusal(413, f"A form has at most {FIELDS_MAX} fields")
        found = _NAME.fullmatch(name)
        if found is None:
            raise Refusal(400, "The name of a field is not well formed")
        keys = [found[1], *_KEY.findall(found[2])]
        if len(keys) > FORM_DEPTH_MAX:
            raise _too_deep()
        _put(tree, keys, value)
    return {name: _listed(value) for name, value in tree.items()}


def query_of(request: Request) -> dict[str, Any]:
    """Give the tree of a query. Errors: Refusal."""
    try:
        pairs = parse_qsl(
            request.scope["query_string"].decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=FIELDS_MAX,
        )
    except (UnicodeDecodeError, ValueError):
        raise Refusal(400, "The query is not well formed") from None
    return form_of(pairs)


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [each for each in value.values() if isinstance(each, (dict, list))]
    return [each for each in value if isinstance(each, (dict, list))]


def _form_pairs(octets: bytes) -> list[tuple[str, str]]:
    try:
        text = octets.decode("ascii")
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
    except (UnicodeDecodeError, ValueError):
        raise Refusal(400, "The form is not well formed, or has too many fields") from None


def _put(tree: dict[str, Any], keys: list[str], value: str) -> None:
    """Put a value where its name says; of what is there already a list is made."""
    at = tree
    for key in keys[:-1]:
        below = at.setdefault(key, {})
        if not isinstance(below, dict):
            raise Refusal(400, "A field of the form is both a value and an object")
        at = below
    last = keys[-1]
    if not last:  # a[]: each is one more
        last = str(sum(1 for key in at if key.isdecimal()))
    if last not in at:
        at[last] = value
    elif isinstance(at[last], list):
        at[last].append(value)
    elif isinstance(at[last], str):
        at[last] = [at[last], value]
    else:
        raise Refusal(400, "A field of the form is both a value and an object")


def _listed(value: Any) -> Any:
    """Make lists of dicts whose keys are 0, 1, 2 and so on."""
    if not isinstance(value, dict):
        return value
    made = {key: _listed(each) for key, each in value.items()}
    if made and all(key.isdecimal() and len(key) <= 4 for key in made) and len(made) <= LIST_ITEMS_MAX:
        return [made[key] for key in sorted(made, key=int)]
    return made


class _Parts:
    """Collects the parts of a multipart body, as the parser calls."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []
        self.files: list[File] = []
        self.is_complete = False
        self._headers: dict[bytes, bytes] = {}
        self._name = bytearray()
        self._value = bytearray()
        self._data = bytearray()

    def callbacks(self) -> MultipartCallbacks:
        """Give what the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_part_data": self._part_data,
            "on_part_end": self._end,
            "on_end": self._complete,
        }

    def _begin(self) -> None:
        self._headers, self._data = {}, bytearray()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]
        self._bound()

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._bound()

    def _bound(self) -> None:
        if len(self._name) + len(self._value) > PART_HEADER_OCTETS_MAX or len(self._headers) > 20:
            raise Refusal(413, "The header of a part is too large")

    def _header_end(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name, self._value = bytearray(), bytearray()

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]

    def _end(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if kind != b"form-data" or not options.get(b"name"):
            raise Refusal(400, "A part of the body has no name")
        try:
            name = options[b"name"].decode()
            if b"filename" in options:
                media_type = self._headers.get(b"content-type", b"application/octet-stream").decode("ascii")
                if options[b"filename"] or self._data:  # else a browser's field in which no file was chosen
                    self.files.append(File(name, options[b"filename"].decode(), media_type, bytes(self._data)))
            else:
                self.pairs.append((name, self._data.decode()))
        except UnicodeDecodeError:
            raise Refusal(400, "A part of the body is not UTF-8") from None
        self._data = bytearray()
        if len(self.files) > FILES_MAX or len(self.pairs) > FIELDS_MAX:
            raise Refusal(413, f"A body has at most {FILES_MAX} files and {FIELDS_MAX} fields")

    def _complete(self) -> None:
        self.is_complete = True


def _multipart(octets: bytes, boundary: bytes) -> tuple[list[tuple[str, str]], tuple[File, ...]]:
    if not 1 <= len(boundary) <= 70:  # RFC 2046 §5.1.1
        raise Refusal(400, "The body's boundary is not well formed")
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        parser.write(octets)
        parser.finalize()
    except multipart_errors.FormParserError:
        raise Refusal(400, "The body is no multipart/form-data") from None
    if not parts.is_complete:
        raise Refusal(400, "The body breaks off")
    return parts.pairs, tuple(parts.files)


def _too_large(octets_max: int) -> Refusal:
    return Refusal(413, f"The body has more than {octets_max} octets", headers={"connection": "close"})


def _too_deep() -> Refusal:
    return Refusal(400, f"The body is nested more than {DEPTH_MAX} levels deep")
