"""All pages: the tuples ``PAGES`` of the modules here."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from mailstead.services.web import site
from mailstead.services.web.site.pages import Page


def all_pages() -> list[Page]:
    """Give them, by module."""
    modules = [import_module(f"{site.__name__}.{each.name}") for each in iter_modules(site.__path__)]
    return [page for module in modules for page in getattr(module, "PAGES", ())]
