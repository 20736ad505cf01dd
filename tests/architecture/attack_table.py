"""Fills the third column of tests/attacks.md with the tests that carry each row's number: run this file after adding one."""

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
TABLE = TESTS / "attacks.md"
_ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| (.*) \|$", re.MULTILINE)
_NAME = re.compile(r"def (test_attack_\d{3}\w*)")
_NUMBERS = re.compile(r"test_attack_(\d{3}(?:(?:_and)?_\d{3})*)_")


def tests_by_row():
    """Row → ``file::name`` of its tests, and the dialogues that carry its number."""
    found = {}
    for file in sorted(TESTS.rglob("test_*.py")):
        for name in _NAME.findall(file.read_text()):
            for number in re.findall(r"\d{3}", _NUMBERS.match(name).group(1)):
                found.setdefault(int(number), []).append(f"`{file.relative_to(TESTS).as_posix()}::{name}`")
    for file in sorted(TESTS.glob("dialogues/*/attack-*.txt")):
        found.setdefault(int(file.name.split("-")[1]), []).append(f"`{file.relative_to(TESTS).as_posix()}`")
    return found


def rows(text):
    """Row → its third cell."""
    return {int(number): cell for number, _, cell in _ROW.findall(text)}


def rewritten(text):
    """The table with the tests of today; what is *not yet* keeps its reason."""
    found = tests_by_row()

    def row(match):
        number, title, cell = match.groups()
        reason = [cell.split("<br>")[0]] if cell.startswith("not yet:") else []
        return f"| {number} | {title} | {'<br>'.join(reason + found.get(int(number), []))} |"

    return _ROW.sub(row, text)


if __name__ == "__main__":
    TABLE.write_text(rewritten(TABLE.read_text()))
