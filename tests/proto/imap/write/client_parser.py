"""A small client's reader of responses, written apart from the server's code: what `write` writes it reads back."""

import re

_TOKEN = re.compile(rb'"((?:[^"\\\r\n]|\\["\\])*)"|~?\{(\d+)\}\r\n|([()\[\]])|([^\s()\[\]"]+)|( )|(\r\n)')


class Reader:
    """Reads one run of responses."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def token(self):
        match = _TOKEN.match(self.data, self.at)
        assert match, self.data[self.at : self.at + 40]
        self.at = match.end()
        if match.group(1) is not None:
            return "string", re.sub(rb"\\(.)", rb"\1", match.group(1))
        if match.group(2):
            start, self.at = self.at, self.at + int(match.group(2))
            assert self.at <= len(self.data)
            return "string", self.data[start : self.at]
        if match.group(3):
            return match.group(3).decode(), None
        if match.group(4):
            return "atom", match.group(4)
        return ("space", None) if match.group(5) else ("end", None)

    def lines(self) -> list[list]:
        """Give each response as nested lists; strings as bytes, atoms as text, NIL as None."""
        found = []
        while self.at < len(self.data):
            found.append(self._items("end"))
        return found

    def _items(self, closing: str) -> list:
        items: list = []
        while True:
            kind, value = self.token()
            if kind == closing:
                return items
            if kind == "(":
                items.append(self._items(")"))
            elif kind == "[":
                items.append(("section", self._items("]")))
            elif kind == "string":
                items.append(value)
            elif kind == "atom":
                items.append(None if value == b"NIL" else value.decode())
            else:
                assert kind == "space", kind


def read(data: bytes) -> list[list]:
    return Reader(data).lines()
