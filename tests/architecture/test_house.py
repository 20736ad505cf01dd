"""The house keeps its plan: sizes, names, Spec lines, settings documented."""

import ast
import dataclasses
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from mailstead.config import settings

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "mailstead"
MODULES = sorted(SOURCE.rglob("*.py"))
SIZE_MAX = 800
BAD_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "core", "misc", "manager", "handler"}


def tracked_files():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_module_is_too_large():
    too_large = {str(module): len(module.read_text().splitlines()) for module in MODULES}
    assert {name: lines for name, lines in too_large.items() if lines > SIZE_MAX} == {}


def test_no_module_has_a_name_that_says_nothing():
    bad = [str(m) for m in MODULES if BAD_NAMES & set(re.split(r"[_.]", m.stem)) or BAD_NAMES & set(m.parent.parts)]
    assert bad == []


def test_every_package_says_its_purpose():
    for module in SOURCE.rglob("__init__.py"):
        doc = ast.get_docstring(ast.parse(module.read_text()))
        assert doc, f"{module} has no docstring"


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.relative_to(SOURCE).as_posix())
def test_module_has_no_unfinished_marks_and_no_asyncio_streams(module):
    text = module.read_text()
    assert not re.search(r"\b(TODO|FIXME|XXX|NotImplementedError)\b", text)
    assert not re.search(r"asyncio\.(StreamReader|StreamWriter|open_connection|start_server)\b", text)
    for line in text.splitlines():
        if "type: ignore" in line:
            assert re.search(r"type: ignore\[[^\]]+\].*#|type: ignore\[[^\]]+\]\s+\S", line), f"no reason: {line}"


def test_every_rfc_in_a_spec_line_is_in_the_index():
    index = tomllib.loads((ROOT / "docs" / "rfc" / "index.toml").read_text())["rfc"]
    for module in MODULES:
        for line in re.findall(r"Spec:(.*)", module.read_text()):
            for number in re.findall(r"RFC (\d+)", line):
                assert number in index, f"RFC {number}, named in {module}, is missing in docs/rfc/index.toml"


def test_every_type_of_a_wire_has_a_spec_line():
    missing = []
    for file in [*SOURCE.glob("proto/*/types.py"), *SOURCE.glob("proto/*/types/*.py")]:
        tree = ast.parse(file.read_text())
        module_spec = "Spec:" in (ast.get_docstring(tree) or "")
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                doc = ast.get_docstring(node) or ""
                if "Spec:" not in doc and not module_spec:
                    missing.append(f"{file.relative_to(SOURCE)}: {node.name}")
    assert missing == []


def test_every_wire_module_cites_its_source():
    missing = []
    for file in SOURCE.glob("proto/*/**/*.py"):
        if file.name != "__init__.py" and not re.search(r"RFC \d+|PROXY protocol", file.read_text()):
            missing.append(str(file.relative_to(SOURCE)))
    assert missing == []


def test_every_setting_has_a_help_sentence():
    for section in dataclasses.fields(settings.Settings):
        for field in dataclasses.fields(section.default_factory):
            assert field.metadata.get("help", "").endswith("."), f"{section.name}.{field.name}"


def test_no_registry_host_and_no_machine_path_in_any_file():
    hosts = re.compile(r"(pypi\.org|pythonhosted|registry\.npmjs|deb\.debian\.org|crates\.io/|proxy\.golang)")
    for file in tracked_files():
        if file == Path(__file__):
            continue
        text = file.read_bytes().decode("utf-8", "replace")
        assert not hosts.search(text), f"{file} names a registry host"
        assert "/work/" + "main" not in text, f"{file} has a path of a machine"


def test_every_attack_row_that_applies_has_its_test():
    rows = [*range(1, 27), *range(41, 58), *range(61, 68), *range(70, 78)]
    table = (ROOT / "tests" / "attacks.md").read_text()
    names = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        names |= {int(number) for number in re.findall(r"def test_attack_(\d{3})_", file.read_text())}
    missing = [
        row for row in rows if row not in names and not re.search(rf"^\| {row} \|.*\bnot yet:", table, re.MULTILINE)
    ]
    assert missing == [], "rows without a test, and without a reason in tests/attacks.md"


def test_every_quirk_is_in_the_page_of_clients():
    page = (ROOT / "docs" / "clients.md").read_text().lower()
    names = {
        name.lower().lstrip("_") for m in MODULES for name in re.findall(r"\b_?quirk_\w+", m.read_text(), re.IGNORECASE)
    }
    assert names, "no quirk is found: is the expression right?"
    assert sorted(name for name in names if f"`{name}`" not in page) == []


def test_every_journey_names_a_test_that_is_there():
    for page in (ROOT / "docs" / "journeys").glob("*.md"):
        [test] = re.findall(r"Kept true by `([^`]+)`", page.read_text())
        assert (ROOT / test).is_file(), page.name


def test_tests_do_not_sleep_to_wait():
    """Waiting is for an event, with a limit. Under a second is for giving something the chance to go wrong."""
    sleeping = re.compile(r"\bsleep\((?!0)\d")
    for file in (ROOT / "tests").rglob("test_*.py"):
        if file == Path(__file__):
            continue
        lines = [line.strip() for line in file.read_text().splitlines() if sleeping.search(line)]
        assert lines == [], file
