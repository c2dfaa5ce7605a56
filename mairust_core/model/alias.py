"""Aliases and catch-alls (rules A3, J4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mairust_core.errors import Invalid
from mairust_core.model.address import Address, fold_domain
from mairust_core.model.forms import request
from mairust_core.model.ids import Id

MAX_DEPTH = 10
CATCH_ALL = "*"
POSTMASTER = "postmaster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """An address whose mail goes to other addresses; `*@domain` catches what nothing else takes."""

    id: Id
    address: str
    to: tuple[str, ...]
    created_at: datetime


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class NewAlias:
    """What is needed to add an alias: at least one target, each an address of this site."""

    address: str
    to: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "address", alias_address(self.address))
        object.__setattr__(self, "to", tuple(dict.fromkeys(str(Address.parse(t, "to")) for t in self.to)))
        if not self.to:
            raise Invalid("to", "no_target")


def alias_address(text: str) -> str:
    """The alias's own address in written form; `*@domain` is kept as the catch-all."""
    local, _, domain = text.rpartition("@")
    return f"{CATCH_ALL}@{fold_domain(domain, 'address')}" if local == CATCH_ALL else str(Address.parse(text))
