"""Pages of a relay: in all languages, the operator's in place of ours, and nothing from outside his folder."""

import dataclasses
import os

import pytest

from mailstead.model.directory import Domain, DomainTerms
from mailstead.policy.domain_terms import LANGUAGES
from mailstead.policy.profiles import PROFILES
from mailstead.services.web.custom import LANGUAGE_NAMES, PAGES
from mailstead.services.web.rendering import (
    WORDS,
    Rendering,
    asset,
    is_self_signed,
    language_asked,
    size_in_words,
)

CHAT = DomainTerms(**PROFILES["chatmail"], languages=LANGUAGES)


def relay(name="chat.test", **terms):
    return Domain(name, dataclasses.replace(CHAT, **terms))


def shown(domain, page="index", language="en"):
    return Rendering().page(domain, "mx.chat.test", language, page)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_there_in_every_language(page, language):
    text = shown(relay(privacy_mail="privacy@chat.test"), page, language)
    assert f'<html lang="{language}">' in text
    assert "chat.test" in text
    assert "{{" not in text
    assert "{%" not in text
    for word in WORDS[language].values():
        assert word in text
    for other in LANGUAGES:
        assert LANGUAGE_NAMES[other] in text
    assert ("privacy@chat.test" in text) == (page == "privacy")


def test_the_invitation_is_a_button_and_a_code():
    text = shown(relay())
    assert 'href="dcaccount:https://chat.test/new"' in text
    assert 'src="/qr-chatmail-invite-chat.test.png"' in text
    assert "500 MB" in text


def test_a_relay_without_a_public_certificate_fetches_the_account_itself():
    text = shown(relay("_chat.test"))
    assert "dcaccount:" not in text
    assert '<script src="/relay.js">' in text
    assert is_self_signed("_chat.test")
    assert is_self_signed("[192.0.2.1]")
    assert not is_self_signed("chat.test")


@pytest.mark.parametrize("terms", [{"opens_accounts": False}, {"invite_tokens": ("secret",)}])
def test_a_closed_relay_shows_no_invitation(terms):
    text = shown(relay(**terms))
    assert "by invitation only" in text
    assert "dcaccount:" not in text
    assert "secret" not in text


def test_values_are_escaped():
    assert "<b>" not in shown(relay(privacy_postal="<b>Street</b>"), "privacy")


def test_a_page_of_the_operator_takes_the_place_of_ours_and_the_others_stay(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "index.md").write_text(
        "# Mine\n\n{{ config.mail_domain }} keeps {{ config.delete_mails_after }}\n"
    )
    domain = relay(www_folder=str(tmp_path))
    assert "<h1>Mine</h1>" in shown(domain)
    assert "chat.test keeps 20" in shown(domain)
    assert "How chat.test works" in shown(domain, "info")
    (tmp_path / "ru").mkdir()
    (tmp_path / "ru" / "index.md").write_text("# Моё\n")
    assert "Моё" in shown(domain, language="ru")
    assert "<h1>Mine</h1>" in shown(domain, language="fr")


def test_a_changed_page_is_shown_at_once(tmp_path):
    page = tmp_path / "index.md"
    rendering, domain = Rendering(), relay(www_folder=str(tmp_path))
    for number, text in enumerate(("first", "second")):
        page.write_text(text)
        os.utime(page, (number, number))
        assert text in rendering.page(domain, "mx.chat.test", "en", "index")


@pytest.mark.parametrize("text", ["{{ ", "{% for x in y %}", "{{ 1 / 0 }}", "{{ ''.__class__.__mro__ }}", b"\xff"])
def test_a_page_that_cannot_be_rendered_is_told_and_ours_is_shown(tmp_path, text):
    (tmp_path / "index.md").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert "Welcome to chat.test" in shown(relay(www_folder=str(tmp_path)))


def test_nothing_outside_the_folder_is_read(tmp_path):
    folder = tmp_path / "www"
    folder.mkdir()
    (tmp_path / "outside.txt").write_text("outside")
    (folder / "link.txt").symlink_to(tmp_path / "outside.txt")
    (folder / ".hidden.txt").write_text("hidden")
    (folder / "index.md").symlink_to(tmp_path / "outside.txt")
    (folder / "fine.txt").write_text("fine")
    (folder / "script.py").write_text("x")
    domain = relay(www_folder=str(folder))
    assert asset(domain, "fine.txt") == (b"fine", "text/plain; charset=utf-8")
    for path in ("link.txt", ".hidden.txt", "../outside.txt", "a/../../outside.txt", "script.py", "", "/etc/x.txt"):
        assert asset(domain, path) is None, path
    assert "outside" not in shown(domain)


def test_our_own_files_are_there_without_a_folder():
    assert asset(relay(), "relay.css")[1] == "text/css; charset=utf-8"
    assert asset(relay(), "relay.js")[1].startswith("text/javascript")
    assert asset(relay(), "layout.html") is None


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("ru", "ru"),
        ("de, fr-CA;q=0.8, ru;q=0.9", "ru"),
        ("ko;q=0, es;q=0.1", "es"),
        ("en;q=x, ;, fr", "fr"),
        ("de", "en"),
    ],
)
def test_the_language_that_a_visitor_likes_best(accepted, language):
    assert language_asked(accepted, LANGUAGES) == language


def test_sizes_are_said_as_people_say_them():
    assert [size_in_words(octets) for octets in (0, 2048, 30 * 1024**2, 500 * 1024**2, 3 * 1024**3 // 2)] == [
        "0 B",
        "2 KB",
        "30 MB",
        "500 MB",
        "1.5 GB",
    ]
