"""The guide of the set-up says the same in all its languages, and what it points to is there."""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
import typer

from mailstead.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "self-hosting"
ENGLISH = FOLDER / "README.md"
NAMES = {"en": "English", "ko": "한국어", "ru": "Русский", "fr": "Français", "es": "Español"}
CALENDARS = ROOT / "docs" / "calendars.md"
TRANSLATIONS = {code: FOLDER / f"README.{code}.md" for code in NAMES if code != "en"}
GUIDES = [ENGLISH, *TRANSLATIONS.values()]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]+\]\(([^)]+)\)")


def prose(text):
    """What a reader of that language reads: without blocks of code."""
    return FENCE.sub("```", text)


def headings(text):
    return [len(mark) for mark in re.findall(r"^(#+) ", prose(text), re.MULTILINE)]


def tables(text):
    """Of each table the rows, of each row its cells."""
    rows = [(n, line.strip("|").split("|")) for n, line in enumerate(prose(text).splitlines()) if line.startswith("|")]
    starts = [0, *[i for i, ((a, _), (b, _)) in enumerate(pairwise(rows), 1) if b != a + 1]]
    return [[cells for _, cells in rows[a:b]] for a, b in pairwise([*starts, len(rows)])]


def kind(line):
    """What a line begins: a point of a list, a numbered one, a heading, a row, code, or nothing of the kind."""
    found = re.match(r"(- |\d+\. |#+ |\||```)", line)
    return found[1].strip() if found else ""


def shape(text):
    """The order of paragraphs, lists, tables and code: the kind of each first line after another kind or a gap."""
    lines = prose(text).splitlines()
    kinds = [kind(line) for line in lines]
    return [
        k or "text" for k, line, before in zip(kinds, lines, ["", *lines], strict=False) if k or (line and not before)
    ]


def literals(text):
    """What is typed or shown by a machine, and so is the same in every language."""
    return sorted(re.findall(r"`([^`\n]+)`", prose(text)))


def anchors(text):
    """Anchors of the headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def targets(text):
    """Where links lead, in order; the languages' own line aside. Anchors differ from language to language."""
    return sorted(re.sub("#.*", "#", target) for target in LINK.findall(text) if not target.startswith("README."))


def test_the_guide_is_complete_where_all_others_are_measured_by_it():
    text = ENGLISH.read_text()
    assert len(headings(text)) >= 20
    assert len(FENCE.findall(text)) >= 20
    assert len(tables(text)) >= 7
    for verb in ("setup", "dns", "firewall", "backup", "restore", "update", "doctor", "certificate show"):
        assert f"mailstead {verb}" in text, verb


@pytest.mark.parametrize("code", TRANSLATIONS)
@pytest.mark.parametrize("aspect", [headings, shape, literals, targets], ids=lambda f: f.__name__)
def test_a_translation_is_like_the_english_guide(code, aspect):
    assert aspect(TRANSLATIONS[code].read_text()) == aspect(ENGLISH.read_text())


@pytest.mark.parametrize("code", TRANSLATIONS)
def test_a_translation_has_the_same_code_to_the_letter(code):
    assert FENCE.findall(TRANSLATIONS[code].read_text()) == FENCE.findall(ENGLISH.read_text())


@pytest.mark.parametrize("code", TRANSLATIONS)
def test_a_translation_has_the_same_tables(code):
    ours, english = tables(TRANSLATIONS[code].read_text()), tables(ENGLISH.read_text())
    assert [[len(row) for row in table] for table in ours] == [[len(row) for row in table] for table in english]
    for table, other in zip(ours, english, strict=True):
        for row, same in zip(table, other, strict=True):
            assert [not cell.strip() for cell in row] == [not cell.strip() for cell in same], row


@pytest.mark.parametrize("code", TRANSLATIONS)
def test_a_translation_is_one(code):
    """Each paragraph of prose differs from the English one; in a language with letters of its own it has them."""
    paragraphs = [
        p
        for p in prose(TRANSLATIONS[code].read_text()).split("\n\n")
        if re.search(r"[^\W\d_]{4}", re.sub("`[^`]*`", "", p))
    ]
    english = set(prose(ENGLISH.read_text()).split("\n\n"))
    assert [p for p in paragraphs if p in english] == []
    own = {"ko": "[가-힣]", "ru": "[А-яЁё]"}.get(code)
    if own:
        without = [p for p in paragraphs if not re.search(own, p)]
        assert without == []


@pytest.mark.parametrize("guide", GUIDES, ids=lambda p: p.name)
def test_a_guide_names_its_own_language_and_leads_to_all_others(guide):
    [line] = [line for line in guide.read_text().splitlines() if "한국어" in line]
    expected = []
    for code, name in NAMES.items():
        file = "README.md" if code == "en" else f"README.{code}.md"
        expected.append(f"**{name}**" if file == guide.name else f"[{name}]({file})")
    assert line == " · ".join(expected)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda p: p.name)
def test_links_of_a_guide_lead_somewhere(guide):
    text = guide.read_text()
    for target in LINK.findall(text):
        if target.startswith("https://"):
            continue  # nothing is asked outside
        path, _, anchor = target.partition("#")
        file = guide if not path else (FOLDER / path).resolve()
        assert file.is_file(), target
        if anchor:
            assert anchor in anchors(file.read_text()), target


def command_lines(guide=ENGLISH):
    """Command lines of ours in a guide, without what brings them into a container."""
    text = guide.read_text()
    lines = [line for _, block in FENCE.findall(text) for line in block.splitlines()]
    lines += re.findall(r"`((?:\S+/)?mailstead [^`…]+)`", prose(text))
    brought = re.compile(
        r"^(?:docker compose (?:exec|run)(?: -\S+)* mailstead |\S+/bin/)?(mailstead (?!…).+|restore .+)$"
    )
    found = [match[1].removeprefix("mailstead ") for line in lines if (match := brought.match(line))]
    return [shlex.split(line.partition(" < ")[0], comments=True) for line in found]


@pytest.mark.parametrize(("guide", "least"), [(ENGLISH, 30), (CALENDARS, 20)], ids=["set-up", "calendars"])
def test_commands_of_a_guide_are_there_with_their_options(guide, least):
    assert len(command_lines(guide)) >= least
    for words in command_lines(guide):
        command = typer.main.get_command(app)
        taken = []
        while words and words[0] in getattr(command, "commands", ()):
            taken.append(words.pop(0))
            command = command.commands[taken[-1]]
        assert taken, words
        if taken == ["import"] and words and "@" in words[0]:
            command = command.commands["files"]  # as `import ADDRESS SOURCE` means
        options = {option for parameter in command.params for option in parameter.opts}
        for word in words:
            if word.startswith("--"):
                assert word in options, (taken, word)
            else:
                assert not hasattr(command, "commands"), (taken, word)


def test_variables_of_the_guide_are_settings():
    known = set(re.findall(r"(?m)^#?([A-Z_0-9]+)=", (ROOT / ".env.example").read_text()))
    named = set(re.findall(r"\bMAILSTEAD_[A-Z_0-9]+[A-Z0-9]\b(?!_…)", ENGLISH.read_text())) - {"MAILSTEAD_BACKUP"}
    assert len(named) >= 10
    assert named - known == set()


def test_options_of_the_set_up_script_are_known():
    script = (FOLDER / "setup.sh").read_text()
    guide = {option for parameter in typer.main.get_command(app).commands["setup"].params for option in parameter.opts}
    said = [
        line for line in ENGLISH.read_text().splitlines() if "self-hosting/setup.sh" in line or line.startswith("| `--")
    ]
    options = {option for line in said for option in re.findall(r"--[a-z0-9-]+", line)} - {"--help"}
    assert len(options) >= 10
    assert {option for option in options if f"{option} " not in script and option not in guide} == set()


def test_files_named_in_the_guide_are_there():
    names = re.findall(r"self-hosting/[\w.-]+\.sh|compose[\w.-]*\.yaml", ENGLISH.read_text())
    assert len(set(names)) >= 4
    assert [name for name in set(names) - {"compose.override.yaml"} if not (ROOT / name).is_file()] == []
