"""The custom folder of the house: what takes the place of ours, and what is said of each file in it."""

import os
from pathlib import Path

import pytest

from mailstead.model.directory import Domain, DomainTerms
from mailstead.policy.profiles import PROFILES
from mailstead.services.web.custom import FILE_OCTETS_MAX, custom_files
from mailstead.services.web.rendering import Rendering, asset


def relay(**terms):
    return Domain("chat.test", DomainTerms(**PROFILES["chatmail"], languages=("en", "ru"), **terms))


@pytest.fixture
def custom(tmp_path):
    def write(path, text="Mine for {{ domain }}\n"):
        file = tmp_path / "custom" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    write.folder = str(tmp_path / "custom")
    return write


def shown(folder, domain=None, language="en", page="index"):
    return Rendering(folder).page(domain or relay(), "mx.chat.test", language, page)


def test_one_page_of_the_operator_s_and_the_others_ours(custom):
    custom("www/src/index.md")
    assert "Mine for chat.test" in shown(custom.folder)
    assert "Mine for chat.test" in shown(custom.folder, language="ru")
    assert "How chat.test works" in shown(custom.folder, page="info")
    custom("www/ru/index.md", "Моё\n")
    assert "Моё" in shown(custom.folder, language="ru")
    assert "Mine" in shown(custom.folder)


def test_the_folder_of_a_domain_counts_first(custom, tmp_path):
    custom("www/src/index.md")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "index.md").write_text("Of the domain\n")
    domain = relay(www_folder=str(tmp_path / "own"))
    assert "Of the domain" in shown(custom.folder, domain)
    custom("www/src/info.md")
    assert "Mine for chat.test" in shown(custom.folder, domain, page="info")


@pytest.mark.parametrize("path", ["www/layout.html", "www/src/layout.html"])
def test_the_layout_is_around_our_pages_too(custom, path):
    custom(path, "<b>{{ title }}</b>{{ content }}")
    assert shown(custom.folder).startswith("<b>chat.test</b>")
    assert "Welcome to chat.test" in shown(custom.folder)


def test_what_changes_is_shown_at_once(custom):
    rendering, domain = Rendering(custom.folder), relay()
    for number, (path, text) in enumerate(
        [("index.md", "first"), ("index.md", "second"), ("layout.html", "third"), ("layout.html", "fourth")]
    ):
        os.utime(custom(f"www/{path}", text), (number, number))
        assert text in rendering.page(domain, "mx.chat.test", "en", "index")
    Path(custom.folder, "www/layout.html").unlink()
    assert "second" in rendering.page(domain, "mx.chat.test", "en", "index")


@pytest.mark.parametrize("path", ["www/index.md", "www/layout.html"])
def test_what_cannot_be_rendered_leaves_ours(custom, path):
    custom(path, "{{ 1 / 0 }}")
    assert "Welcome to chat.test" in shown(custom.folder)
    assert "<!doctype html>" in shown(custom.folder)


def test_files_that_are_served_as_they_are(custom):
    custom("www/relay.css", "mine")
    custom("www/src/logo.svg", "drawn")
    custom("www/layout.html", "frame")
    assert asset(relay(), "relay.css", custom.folder) == (b"mine", "text/css; charset=utf-8")
    assert asset(relay(), "logo.svg", custom.folder) == (b"drawn", "image/svg+xml")
    assert asset(relay(), "layout.html", custom.folder) is None
    assert asset(relay(), "relay.js", custom.folder)[1].startswith("text/javascript")


@pytest.mark.parametrize(
    ("path", "replaces", "advice"),
    [
        ("www/src/index.md", "the page index in all languages", ""),
        ("www/privacy.md", "the page privacy in all languages", ""),
        ("www/fr/info.md", "the page info in Français", ""),
        ("www/src/layout.html", "the layout of all pages", ""),
        ("www/relay.css", "our relay.css", ""),
        ("www/logo.png", "nothing; it is served as /logo.png", ""),
        ("www/src/img/logo.png", "nothing; it is served as /img/logo.png", ""),
        ("www/src/index2.md", "", "there is nothing of that name; did you mean www/src/index.md?"),
        ("www/de/info.md", "", "there is nothing of that name; did you mean www/"),
        ("www/src/page-layout.html", "", "there is nothing of that name; did you mean www/src/layout.html?"),
        ("src/index.md", "", "only files below www/ are looked for; did you mean www/src/index.md?"),
        ("notes.zip", "", "only files below www/ are looked for"),
    ],
)
def test_what_is_said_of_a_file(custom, path, replaces, advice):
    custom(path)
    (found,) = custom_files(custom.folder)
    assert (found.path, found.replaces) == (path, replaces)
    assert found.advice.startswith(advice)
    assert bool(found.advice) == (not replaces)


def test_what_leads_out_of_the_folder_or_is_too_large_is_told(custom, tmp_path):
    (tmp_path / "secret.md").write_text("secret")
    custom("www/info.md").unlink()
    Path(custom.folder, "www/info.md").symlink_to(tmp_path / "secret.md")
    with custom("www/index.md").open("r+b") as file:
        file.truncate(FILE_OCTETS_MAX + 1)
    custom("www/.hidden.md")
    assert [(each.path, each.replaces, "not read" in each.advice) for each in custom_files(custom.folder)] == [
        ("www/index.md", "", True),
        ("www/info.md", "", True),
    ]
    assert "secret" not in shown(custom.folder, page="info")


def test_without_a_folder_there_is_nothing_to_say(tmp_path):
    assert custom_files("") == custom_files(str(tmp_path / "nowhere")) == []
