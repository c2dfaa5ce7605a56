"""What the declaration of an operation says; the adapters in `api/` and `remote.py` are made from it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, get_args

from mairust_core.errors import MaiRustError
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.operations.streams import BytesIn, items_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ANY = "*/*"
"""What an answer of bytes produces that has the media type of what it is; pages come as octets (trap A7)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deprecated:
    """An operation on its way out: since when, until when (RFC 9745, RFC 8594), and what to use instead.

    It stays for at least twelve months (R-API-3).
    """

    since: date
    sunset: date
    successor: str
    """The operation id of what replaces it."""

    def __post_init__(self) -> None:
        if self.sunset - self.since < timedelta(days=365):
            raise ValueError(f"an operation deprecated on {self.since} stays for twelve months at least")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation, as it was declared."""

    method: str
    path: str
    scope: Scope
    reach: ReachKind
    status: int
    errors: tuple[type[MaiRustError], ...]
    since: int
    produces: str
    """The media type of bytes in the answer, where they have one in common."""
    accepts: tuple[str, ...]
    """The media type of bytes in the body."""
    deprecated: Deprecated | None
    least: type[DataclassInstance] | None
    """What a caller without `read` is told instead of what is there: these fields of it alone."""
    encoded: str
    """The method that gives the answer as JSON values, empty for most; short, so that it may go first."""
    noun: str
    name: str
    summary: str
    text: str
    path_params: tuple[str, ...]
    query: tuple[inspect.Parameter, ...]
    body: str | None
    """The name of the parameter that travels as the request body."""
    types: dict[str, Any]
    words: tuple[str, ...]
    """The parameters that take one of some words."""
    is_continued: bool
    """Whether it is a list that goes on by a cursor: a parameter, or a member of the body."""

    @property
    def id(self) -> str:
        """The OpenAPI operation id, such as `domains.add`."""
        return f"{self.noun}.{self.name}"

    @property
    def wire_names(self) -> frozenset[str]:
        """What a request gives it, by name: the parameters and the members of the body, or `body`."""
        form = None if self.takes_stream else self.body_type
        members = {field.name.rstrip("_") for field in fields(form)} if form else set()
        return frozenset({*self.path_params, *(one.name for one in self.query), *members, "body"})

    @property
    def takes_stream(self) -> bool:
        """Whether its body is bytes or a stream of items."""
        return self.body_type is BytesIn or items_of(self.body_type) is not None

    @property
    def creates(self) -> bool:
        """Whether it makes something new, so that a repetition has to be told from a second wish."""
        return self.method == "POST" and self.status == 201

    @property
    def tells_secret(self) -> bool:
        """Whether a field of the answer is a secret, one that `repr` leaves out."""
        return is_dataclass(self.returns) and any(not field.repr for field in fields(self.returns))

    @property
    def heeds_key(self) -> bool:
        """Whether an `Idempotency-Key` counts: it makes something, or tells a secret that is told once."""
        return self.creates or (self.method == "POST" and self.tells_secret)

    @property
    def returns(self) -> Any:
        """The type of the answer to whoever may read."""
        return self.answers if self.least is None else get_args(self.answers)[0]

    @property
    def answers(self) -> Any:
        """The type of every answer there may be, also to a caller without `read`."""
        return self.types["return"]

    @property
    def body_type(self) -> Any:
        """The type of the request body, or None."""
        return self.types[self.body] if self.body else None
