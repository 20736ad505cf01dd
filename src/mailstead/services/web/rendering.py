"""Pages of a relay: Markdown with Jinja variables, ours or the operator's, in a layout.

An operator's folder is data: nothing outside it is read, whatever links lie in it, and its templates run in a sandbox.
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
from mailstead.telemetry import log

_log = log.get("web")

PAGES: Final = ("index", "info", "privacy")
LANGUAGE_NAMES: Final = {"en": "English", "ru": "Русский", "fr": "Français", "es": "Español", "ko": "한국어"}
WORDS: Final = {
    "en": {"home": "Home", "info": "How it works", "privacy": "Privacy"},
    "ru": {"home": "Главная", "info": "Как это устроено", "privacy": "Конфиденциальность"},
    "fr": {"home": "Accueil", "info": "Fonctionnement", "privacy": "Vie privée"},
    "es": {"home": "Inicio", "info": "Cómo funciona", "privacy": "Privacidad"},
    "ko": {"home": "홈", "info": "작동 방식", "privacy": "개인정보"},
}
MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
"""Of files that are served as they are; others are not."""
FILE_OCTETS_MAX: Final = 8 * MIB
RENDERED_MAX: Final = 200
"""Pages that are remembered."""


@cache
def _own(path: str) -> str:
    return files("mailstead.services.web").joinpath("pages", *path.split("/")).read_text("utf-8")


class Rendering:
    """Makes pages, and remembers them until their file or the domain's terms change."""

    def __init__(self) -> None:
        self._environment = SandboxedEnvironment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
        self._markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
        self._rendered: OrderedDict[tuple[object, ...], str] = OrderedDict()

    def page(self, domain: Domain, mail_host: str, language: str, page: str) -> str:
        """Give a page as HTML. A page of the operator's that cannot be rendered is told in the log; ours is given."""
        file = _custom(domain.terms.www_folder, [f"{language}/{page}.md", f"src/{page}.md", f"{page}.md"])
        stamp = file.stat().st_mtime_ns if file else 0
        key = (domain, mail_host, language, page, file, stamp)
        found = self._rendered.get(key)
        if found is None:
            found = self._rendered[key] = self._made(domain, mail_host, language, page, file)
            if len(self._rendered) > RENDERED_MAX:
                self._rendered.popitem(last=False)
        return found

    def _made(self, domain: Domain, mail_host: str, language: str, page: str, file: Path | None) -> str:
        if file is not None:
            try:
                return self._in_layout(file.read_text("utf-8"), domain, mail_host, language, page)
            except Exception as error:  # noqa: BLE001  # whatever an operator has written, visitors get a page
                _log.warning("a page of the www folder cannot be rendered; ours is shown", page=file, cause=repr(error))
        return self._in_layout(_own(f"{language}/{page}.md"), domain, mail_host, language, page)

    def _in_layout(self, text: str, domain: Domain, mail_host: str, language: str, page: str) -> str:
        variables = variables_of(domain, mail_host)
        content = self._markdown.render(self._environment.from_string(text).render(variables))
        layout = self._environment.from_string(_own("layout.html"))
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


def asset(domain: Domain, path: str) -> tuple[bytes, str] | None:
    """Give a file that is served as it is, with its media type; None if there is none."""
    media_type = MEDIA_TYPES.get(PurePosixPath(path).suffix.lower())
    if media_type is None:
        return None
    file = _custom(domain.terms.www_folder, [path])
    if file is not None:
        return file.read_bytes(), media_type
    return (_own(path).encode(), media_type) if path in {"relay.css", "relay.js"} else None


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


def _custom(folder: str, paths: list[str]) -> Path | None:
    """Give the first of these files that lies in the operator's folder, and really does."""
    if not folder:
        return None
    root = Path(folder).resolve()
    for path in paths:
        if any(part in {"", ".", ".."} or part.startswith(".") for part in path.split("/")):
            continue
        file = (root / path).resolve()
        if file.is_relative_to(root) and file.is_file() and file.stat().st_size <= FILE_OCTETS_MAX:
            return file
    return None
