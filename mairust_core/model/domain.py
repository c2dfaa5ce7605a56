"""Mail domains."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mairust_core.model.address import fold_domain
from mairust_core.model.forms import request
from mairust_core.model.ids import Id


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A domain for which this site takes mail; `name` in A-labels."""

    id: Id
    name: str
    accounts: int
    created_at: datetime


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class NewDomain:
    """What is needed to add a domain; any case or Unicode form, folded on the way in."""

    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", fold_domain(self.name, "name"))
