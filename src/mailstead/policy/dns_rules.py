"""Forwarding rules that a domain publishes as TXT records, as the users of Forward Email have them.

``forward-email=`` has mappings with commas between them; several records are read as one::

    mapping = name ":" target         an alias; the same name again adds a target
            / "/" expression "/" flags ":" target
            / target                  the catch-all
            / "!" mapping / "!" name  taken and dropped (250)
            / "!!" mapping            421, come again
            / "!!!" mapping           550

``forward-email-port=`` is the port of hosts that name none; ``forward-email-site-verification=`` says whose the domain
is. Targets: `policy.targets`. What cannot be read is told in `problems`; the rest is in force all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import CATCH_ALL, Alias, AliasKind, Target
from mailstead.model.errors import BadAddress, BadTarget
from mailstead.policy.patterns import alias_address, compiled
from mailstead.policy.targets import SMTP_PORT, distinct, read_target

RECORDS_OCTETS_MAX: Final = 64 * 1024
MAPPINGS_MAX: Final = 2000

RULES: Final = "forward-email="
_PORT: Final = "forward-email-port="
_VERIFICATION: Final = "forward-email-site-verification="
_CODES: Final = {"": 550, "!": 250, "!!": 421, "!!!": 550}

# one mapping: marks, then an expression (with an escaped slash inside, perhaps) or text up to the next comma
_MAPPING: Final = re.compile(
    r"""\s* (?P<marks>!{0,3})
        (?: (?P<expression>/(?:[^/\\]|\\.)+/[a-z]*) : (?P<target>[^,]*)
          | (?P<plain>[^,]*) )
        \s* (?:,|$)""",
    re.VERBOSE,
)
# what encryption gives, that service's or ours (`usecases.sealed_rules`): hexadecimal or Base64 digits alone, and long
ENCRYPTED: Final = re.compile(r"[0-9a-f]{32,}(?::[0-9a-f]+)*|[A-Za-z0-9+/_=-]{40,}")


@dataclass(frozen=True, slots=True)
class DnsRules:
    """What the TXT records of a domain say."""

    exact: dict[str, Alias]
    """By `Address.key`."""
    patterns: tuple[Alias, ...]
    """In the order of the records, then the catch-all, if there is one."""
    verifications: tuple[str, ...]
    """Values of all verification records."""
    problems: tuple[str, ...]
    """What could not be read, in plain words; for administrators only, as it may name targets."""

    def unverified_because(self, verification: str) -> str:
        """Say why these records are not proof that the domain is ours; empty if they are, or nothing is asked."""
        if not verification:
            return ""
        if not self.verifications:
            return f"there is no TXT record {_VERIFICATION}{verification}"
        if len(self.verifications) > 1:
            return f"there are {len(self.verifications)} {_VERIFICATION} records; there must be exactly one"
        return "" if self.verifications[0] == verification else f"the {_VERIFICATION} record has another value"


@lru_cache(maxsize=512)
def read_rules(
    domain: str,
    records: tuple[bytes, ...],
    targets_max: int,
    opened: Callable[[str], str | None] = lambda _value: None,
) -> DnsRules:
    """Read all TXT records of a domain; those of others (SPF …) are left alone.

    `opened` gives what an encrypted value says, where it is ours to read.
    """
    reader = _Reader(domain, targets_max)
    verifications: list[str] = []
    values: list[str] = []
    port = SMTP_PORT
    for record in records:
        text = record.decode("utf-8", "replace").strip().strip('"')
        if text.startswith(RULES):
            value = text.removeprefix(RULES).removeprefix(RULES).strip()  # who encrypts it here may say it twice
            values.append((opened(value) if ENCRYPTED.fullmatch(value) else None) or value)
        elif text.startswith(_VERIFICATION):
            verifications.append(text.removeprefix(_VERIFICATION).strip())
        elif text.startswith(_PORT):
            port = reader.port(text.removeprefix(_PORT).strip())
    if sum(map(len, values)) > RECORDS_OCTETS_MAX:
        reader.problems.append(f"the {RULES} records have more than {RECORDS_OCTETS_MAX} characters together")
        values = []
    for value in values:
        reader.read(value, port)
    return reader.rules(tuple(verifications))


class _Reader:
    """Gathers aliases from the values of records."""

    def __init__(self, domain: str, targets_max: int) -> None:
        self._domain = domain
        self._targets_max = targets_max
        self._aliases: dict[str, tuple[Address, int | None, list[Target]]] = {}
        self._mapping_count = 0
        self.problems: list[str] = []

    def port(self, text: str) -> int:
        if text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 65535:
            return int(text)
        self.problems.append(f"{_PORT} must be a number between 1 and 65535")
        return SMTP_PORT

    def read(self, value: str, port: int) -> None:
        if ENCRYPTED.fullmatch(value):
            self.problems.append(
                f"a {RULES} record is encrypted, not with a key of ours; publish it in plain text or encrypt it anew"
            )
            return
        for mapping in _MAPPING.finditer(value):
            if not mapping[0].strip(" ,"):
                continue
            self._mapping_count += 1
            if self._mapping_count > MAPPINGS_MAX:
                self.problems.append(f"there are more than {MAPPINGS_MAX} mappings")
                return
            try:
                name, target = _halves(mapping)
                address = alias_address(f"{name}@{self._domain}")
                self._add(address, mapping["marks"], read_target(target, port=port) if target else None)
            except (BadAddress, BadTarget) as error:
                self.problems.append(f"{mapping[0].strip(' ,')[:100]!r}: {error.public_text}")

    def _add(self, address: Address, marks: str, target: Target | None) -> None:
        if target is None and not marks:
            raise BadTarget("A name stands there without a target")
        kind = Alias(address, ()).kind
        if kind is AliasKind.PATTERN:
            pattern = compiled(address.local_part)
            if target:
                pattern.must_allow(target)
        code = _CODES[marks] if marks else None
        _, known_code, targets = self._aliases.setdefault(address.key, (address, code, []))
        if target:
            targets.append(target)
        if code != known_code:  # once switched off, off
            self._aliases[address.key] = (address, code if known_code is None else known_code, targets)

    def rules(self, verifications: tuple[str, ...]) -> DnsRules:
        aliases: dict[AliasKind, list[Alias]] = {kind: [] for kind in AliasKind}
        for address, code, targets in self._aliases.values():
            chosen = distinct(targets)
            if len(chosen) > self._targets_max:
                self.problems.append(f"{address} has more than {self._targets_max} targets")
                continue
            alias = Alias(address, chosen, is_enabled=code is None, disabled_code=550 if code is None else code)
            aliases[alias.kind].append(alias)
        return DnsRules(
            {alias.address.key: alias for alias in aliases[AliasKind.EXACT]},
            (*aliases[AliasKind.PATTERN], *aliases[AliasKind.CATCH_ALL]),
            verifications,
            tuple(self.problems),
        )


def _halves(mapping: re.Match[str]) -> tuple[str, str]:
    """Give name and target of one mapping; a target alone is the catch-all's, a marked name alone has no target."""
    if mapping["expression"]:
        return mapping["expression"], mapping["target"].strip()
    plain = mapping["plain"].strip()
    if mapping["marks"] and ":" not in plain and "@" not in plain:
        return plain, ""
    name, colon, target = plain.partition(":")
    # a colon also stands in a web address, before a port and in an IPv6 address
    if (
        not colon
        or "@" in name
        or target.startswith("//")
        or target.isdigit()
        or name.startswith("[")
        or _is_ipv6(plain)
    ):
        return CATCH_ALL, plain
    return name.strip(), target.strip()


def _is_ipv6(text: str) -> bool:
    return text.count(":") > 1 and bool(re.fullmatch(r"[0-9A-Fa-f:.]+", text))
