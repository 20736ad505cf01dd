"""Pages of a relay: Markdown with Jinja variables, ours or the operator's, in a layout.

An operator's folder is data: its templates run in a sandbox.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any, Final

from jinja2.sandbox import SandboxedEnvironment
from markdown_it import MarkdownIt
from markupsafe import Markup

from mailstead.model.directory import MIB, Domain
from mailstead.services.web.custom import (
    LANGUAGE_NAMES,
    LAYOUT,
    MEDIA_TYPES,
    OWN_FILES,
    TEMPLATES,
    asset_paths,
    custom_file,
    layout_paths,
    page_paths,
    www_folders,
)
from mailstead.telemetry import log

_log = log.get("web")

WORDS: Final = {
    "en": {"home": "Home", "info": "How it works", "privacy": "Privacy"},
    "ru": {"home": "Главная", "info": "Как это устроено", "privacy": "Конфиденциальность"},
    "fr": {"home": "Accueil", "info": "Fonctionnement", "privacy": "Vie privée"},
    "es": {"home": "Inicio", "info": "Cómo funciona", "privacy": "Privacidad"},
    "ko": {"home": "홈", "info": "작동 방식", "privacy": "개인정보"},
}
RENDERED_MAX: Final = 200
"""Pages that are remembered."""


@cache
def _own(path: str) -> str:
    return files("mailstead.services.web").joinpath("pages", *path.split("/")).read_text("utf-8")


class Rendering:
    """Makes pages, and remembers them until a file of theirs or the domain's terms change."""

    def __init__(self, custom_folder: str = "") -> None:
        """`custom_folder`: the house's, for the files of all domains; empty: there is none."""
        self._custom_folder = custom_folder
        self._environment = SandboxedEnvironment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
        self._markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
        self._rendered: OrderedDict[tuple[object, ...], str] = OrderedDict()

    def page(self, domain: Domain, mail_host: str, language: str, page: str) -> str:
        """Give a page as HTML. A page of the operator's that cannot be rendered is told in the log; ours is given."""
        folders = www_folders(domain, self._custom_folder)
        file, layout = custom_file(folders, page_paths(language, page)), custom_file(folders, layout_paths())
        stamps = tuple(each.stat().st_mtime_ns if each else 0 for each in (file, layout))
        key = (domain, mail_host, language, page, file, layout, stamps)
        found = self._rendered.get(key)
        if found is None:
            found = self._rendered[key] = self._made(domain, mail_host, language, page, file, layout)
            if len(self._rendered) > RENDERED_MAX:
                self._rendered.popitem(last=False)
        return found

    def _made(
        self, domain: Domain, mail_host: str, language: str, page: str, file: Path | None, layout: Path | None
    ) -> str:
        own = _own(f"{language}/{page}.md")
        if file is not None or layout is not None:
            try:
                text = file.read_text("utf-8") if file else own
                frame = layout.read_text("utf-8") if layout else _own(LAYOUT)
                return self._in_layout(text, frame, domain, mail_host, language, page)
            except Exception as error:  # noqa: BLE001  # whatever an operator has written, visitors get a page
                _log.warning(
                    "a custom page cannot be rendered; ours is shown", page=file, layout=layout, cause=repr(error)
                )
        return self._in_layout(own, _own(LAYOUT), domain, mail_host, language, page)

    def _in_layout(self, text: str, frame: str, domain: Domain, mail_host: str, language: str, page: str) -> str:
        variables = variables_of(domain, mail_host)
        content = self._markdown.render(self._environment.from_string(text).render(variables))
        layout = self._environment.from_string(frame)
        shown = [
            {
                "code": each,
                "name": LANGUAGE_NAMES[each],
                "root": "" if each == domain.terms.languages[0] else f"/{each}",
            }
            for each in domain.terms.languages
        ]
        root = "" if language == domain.terms.languages[0] else f"/{language}"
        return layout.render(
            variables,
            content=Markup(content),  # noqa: S704  # made of our own text or the operator's, with values escaped
            title=variables["domain"],
            language=language,
            languages=shown,
            words=WORDS[language],
            page=page,
            root=root,
        )


def asset(domain: Domain, path: str, custom_folder: str = "") -> tuple[bytes, str] | None:
    """Give a file that is served as it is, with its media type; None if there is none."""
    media_type = MEDIA_TYPES.get(PurePosixPath(path).suffix.lower())
    if media_type is None or path.removeprefix("src/") in TEMPLATES:
        return None
    file = custom_file(www_folders(domain, custom_folder), asset_paths(path))
    if file is not None:
        return file.read_bytes(), media_type
    return (_own(path).encode(), media_type) if path in OWN_FILES else None


def language_asked(accept_language: str, languages: tuple[str, ...]) -> str:
    """Give the language that a visitor likes best of those there are. Spec: RFC 9110 §12.5.4 (weights)."""
    best, best_weight = languages[0], 0.0
    for each in accept_language[:500].split(","):
        tag, _, parameters = each.strip().partition(";")
        weight_text = parameters.strip().removeprefix("q=") or "1"
        try:
            weight = float(weight_text)
        except ValueError:
            continue
        code = tag.strip().lower().partition("-")[0]
        if code in languages and weight > best_weight:
            best, best_weight = code, weight
    return best


def is_self_signed(domain: str) -> bool:
    """Whether nobody gives certificates for such a name, so that apps cannot ask it over HTTPS."""
    return domain.startswith(("_", "["))


def variables_of(domain: Domain, mail_host: str) -> dict[str, Any]:
    """Give what pages may speak of; `config` holds the same under the names that a relay's pages use."""
    terms = domain.terms
    has_invitation = terms.opens_accounts and not terms.invite_tokens
    is_private = is_self_signed(domain.name)
    mine = {
        "domain": domain.name.strip("[]"),
        "mail_host": mail_host,
        "invitation": f"dcaccount:https://{domain.name}/new" if has_invitation and not is_private else "",
        "is_self_signed": has_invitation and is_private,
        "qr": f"/qr-chatmail-invite-{domain.name.strip('[]')}.png",
        "mails_kept_days": terms.mails_kept_days,
        "large_mails_kept_days": terms.large_mails_kept_days,
        "idle_accounts_kept_days": terms.idle_accounts_kept_days,
        "quota": size_in_words(terms.account_quota_octets),
        "message_size": size_in_words(terms.message_octets_max),
        "username_length_min": terms.username_length_min,
        "username_length_max": terms.username_length_max,
        "password_length_min": terms.password_length_min,
        "sends_per_minute": terms.sends_per_minute,
        "send_burst": terms.send_burst,
        "privacy_postal": terms.privacy_postal,
        "privacy_mail": terms.privacy_mail,
        "privacy_pdo": terms.privacy_pdo,
        "privacy_supervisor": terms.privacy_supervisor,
    }
    config = {
        "mail_domain": mine["domain"],
        "delete_mails_after": terms.mails_kept_days,
        "delete_large_after": terms.large_mails_kept_days,
        "delete_inactive_users_after": terms.idle_accounts_kept_days,
        "max_mailbox_size": mine["quota"],
        "max_message_size": terms.message_octets_max,
        "max_user_send_per_minute": terms.sends_per_minute,
        "username_min_length": terms.username_length_min,
        "username_max_length": terms.username_length_max,
        "password_min_length": terms.password_length_min,
        "privacy_postal": terms.privacy_postal,
        "privacy_mail": terms.privacy_mail,
        "privacy_pdo": terms.privacy_pdo,
        "privacy_supervisor": terms.privacy_supervisor,
    }
    return {**mine, "config": config}


def size_in_words(octets: int) -> str:
    """Write a size as people say it."""
    for unit, name in ((1024 * MIB, "GB"), (MIB, "MB"), (1024, "KB")):
        if octets >= unit:
            return f"{octets / unit:.3g} {name}"
    return f"{octets} B"
