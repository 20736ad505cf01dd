"""What the API needs of the house: use cases, and what its settings say. Made by `wiring.api`."""

from __future__ import annotations

from dataclasses import dataclass

from mailstead.ports.clock import Clock
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.aliases import Aliases
from mailstead.usecases.domains import Domains


@dataclass(frozen=True, slots=True)
class ApiHouse:
    """Use cases by name, as in `wiring.house.House`."""

    clock: Clock
    accounts: Accounts
    domains: Domains
    aliases: Aliases
