"""Catalogues of the pages' words: collected from templates, errors and `sentences`, kept up to date, compiled.

`make docs` writes them. What is new stands there untranslated until somebody translates it; what is gone goes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from sentences import sentences

from mailstead.model import errors
from mailstead.services.web.site.languages import DOMAIN, LANGUAGES, SOURCE

WEB = Path(__file__).resolve().parent.parent / "src" / "mailstead" / "services" / "web"
METHODS = [("templates/**.html", "jinja2.ext:babel_extract"), ("site/**.py", "python")]
OPTIONS = {"templates/**.html": {"trimmed": "true", "silent": "false", "newstyle_gettext": "true"}}
NEVER = datetime(2026, 1, 1, tzinfo=UTC)
"""So that the same words make the same file."""


def collected() -> Catalog:
    """All that is to be translated."""
    catalogue = Catalog()
    for _, _, message, comments, context in extract_from_dir(WEB, METHODS, OPTIONS):
        catalogue.add(message, None, auto_comments=comments, context=context)
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.MailsteadError) and error is not errors.MailsteadError:
            catalogue.add(error.default_text)
    for sentence in sentences():
        catalogue.add(sentence)
    return catalogue


def catalogue_of(language: str) -> Catalog:
    """The language's catalogue with all that is to be translated now."""
    file = WEB / "languages" / language / f"{DOMAIN}.po"
    if file.exists():
        with file.open("rb") as octets:
            catalogue = read_po(octets, locale=language, domain=DOMAIN)
    else:
        catalogue = Catalog(locale=language, domain=DOMAIN)
    catalogue.update(collected(), no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    catalogue.project, catalogue.version, catalogue.fuzzy = "Mailstead", "1", False
    catalogue.copyright_holder = "the authors of Mailstead"
    catalogue.creation_date = catalogue.revision_date = NEVER
    catalogue.header_comment = f"# Words of Mailstead's pages in {catalogue.locale.english_name}."  # type: ignore[union-attr]
    return catalogue


def files() -> dict[Path, bytes]:
    """Each file and what is to be in it."""
    made = {}
    for language in LANGUAGES:
        if language == SOURCE:
            continue
        folder, catalogue = WEB / "languages" / language, catalogue_of(language)
        text, compiled = BytesIO(), BytesIO()
        write_po(text, catalogue, width=120, no_location=True, sort_output=True)
        write_mo(compiled, catalogue)
        made[folder / f"{DOMAIN}.po"], made[folder / f"{DOMAIN}.mo"] = text.getvalue(), compiled.getvalue()
    return made
