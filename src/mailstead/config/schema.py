"""The settings schema, walked: one `Entry` per setting, with names, type, default and help.

Loader, reference page, example file and `config show` all look at settings through this module, so that none of them
knows a setting by name.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Final, get_type_hints

from mailstead.config.settings import Settings
from mailstead.model.secret import Secret

ENVIRONMENT_PREFIX: Final = "MAILSTEAD_"


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting, as its field in the schema declares it."""

    section: str
    name: str
    kind: Any
    """`str`, `int`, `float`, `bool`, `Path`, `Secret` or ``tuple[str, ...]``."""
    default: Any
    help_text: str
    choices: tuple[str, ...]
    minimum: float | None

    @property
    def key(self) -> str:
        """``section.name``, as in messages and in `Loaded.origins`."""
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"{ENVIRONMENT_PREFIX}{self.section}_{self.name}".upper()

    @property
    def is_secret(self) -> bool:
        """Whether its value is never shown."""
        return self.kind is Secret

    @property
    def is_size(self) -> bool:
        """Whether it counts octets, and so takes units such as ``50 MiB``."""
        return "octets" in self.name.split("_")

    @property
    def is_duration(self) -> bool:
        """Whether it counts seconds, and so takes units such as ``10 min``."""
        return self.name.endswith("_s")

    @property
    def expected(self) -> str:
        """What a value must look like, as the end of a sentence."""
        listed = ", ".join(self.choices)
        at_least = "" if self.minimum is None else f", {self.minimum:g} or more"
        if self.kind is bool:
            return "true or false"
        if self.kind is int:
            return ("a size in octets, or with a unit (50 MiB)" if self.is_size else "a whole number") + at_least
        if self.kind is float:
            return ("seconds, or a duration with a unit (10 min)" if self.is_duration else "a number") + at_least
        if self.kind is Path:
            return "the path of a file or folder"
        if self.kind in {str, Secret}:
            return f"one of {listed}" if listed else "a text"
        return "a list of texts" + (f" out of {listed}" if listed else "")


@cache
def entries(schema: type = Settings) -> tuple[Entry, ...]:
    """Give all settings of the schema, section by section, in the order of their declaration."""
    found: list[Entry] = []
    for section, section_type in sections(schema).items():
        kinds = get_type_hints(section_type)
        for item in fields(section_type):
            assert item.default is not MISSING, f"{section}.{item.name} has no default"
            found.append(
                Entry(
                    section=section,
                    name=item.name,
                    kind=kinds[item.name],
                    default=item.default,
                    help_text=item.metadata.get("help", ""),
                    choices=item.metadata.get("choices", ()),
                    minimum=item.metadata.get("minimum"),
                )
            )
    return tuple(found)


def sections(schema: type = Settings) -> dict[str, Any]:
    """Give the section types by name."""
    kinds = get_type_hints(schema)
    return {item.name: kinds[item.name] for item in fields(schema)}
