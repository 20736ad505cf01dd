"""All endpoints: what the modules of `services.api.routes` hold in ``ENDPOINTS``.

A new module is served because it is there.
"""

from __future__ import annotations

import importlib
import pkgutil

from mailstead.services.api import routes
from mailstead.services.api.endpoints import Endpoint


def all_endpoints() -> tuple[Endpoint, ...]:
    """Give them in the order of their paths."""
    found: list[Endpoint] = []
    for module in pkgutil.iter_modules(routes.__path__, f"{routes.__name__}."):
        found += getattr(importlib.import_module(module.name), "ENDPOINTS", ())
    return tuple(sorted(found, key=lambda endpoint: (endpoint.path, endpoint.method)))
