"""What a caller asked for, as the audit keeps it: in the words of the API, without what is secret.

A field of a form is secret when `repr` leaves it out; one whose name sounds like a secret and is not marked
so is refused when its operation is declared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from mairust_core import wire
from mairust_core.model.audit import EntryDetails
from mairust_core.model.forms import UNSET, is_request

MAX_BYTES = 4096
"""Of one entry's details as JSON."""
_LIMITS = (1024, 256, 64, 16)
"""How many octets are left of a value where all of them are too much, first tried first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of an operation under way, and what was there before, as far as somebody noted it."""

    arguments: Mapping[str, Any]
    before: dict[str, Any] = field(default_factory=dict)

    def asked(self) -> dict[str, Any]:
        """All that was asked; only told when it is kept, for lists may be long."""
        plain = {name: told(one) for name, one in self.arguments.items() if not is_dataclass(one)}
        return plain | (self.members() or {})

    def members(self) -> dict[str, Any] | None:
        """Those of the body; None without one, or when it is of bytes or a stream, which are not told."""
        for one in self.arguments.values():
            if is_request(type(one)):
                found: dict[str, Any] = told(one)
                return found
        return None


_CALL: ContextVar[Call | None] = ContextVar("call", default=None)


@contextmanager
def asking(arguments: Mapping[str, Any]) -> Iterator[None]:
    """Have what is done inside be known as done by a call with these arguments."""
    token = _CALL.set(Call(arguments=arguments))
    try:
        yield
    finally:
        _CALL.reset(token)


def note_before(found: Any, *names: str) -> None:
    """Keep what is there before the change of the call under way: these members of `found`.

    Without names those that the body asks to change, or all where there is no body.
    """
    if (call := _CALL.get()) is not None:
        wanted = names or call.members()
        was = told(found)
        call.before.update({name: was[name] for name in was if wanted is None or name in wanted})


def details(content: Mapping[str, Any]) -> EntryDetails:
    """Of the call under way, what the audit keeps: no more than `MAX_BYTES`.

    `content` says what a body of bytes turned out to be, or what was asked where no operation was called.
    """
    call = _CALL.get()
    asked = {**(call.asked() if call else {}), **told(content)}
    return bounded(EntryDetails(asked=asked, before=dict(call.before) if call else {}))


def told(value: Any) -> Any:
    """As `wire.encode`, without the fields that are secrets."""
    if is_dataclass(value):
        told_fields = ((one.name, getattr(value, one.name)) for one in fields(value) if one.repr)
        return {name.rstrip("_"): told(item) for name, item in told_fields if item is not UNSET}
    if isinstance(value, Mapping):
        return {str(key): told(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [told(item) for item in value]
    return wire.encode(value)


def bounded(whole: EntryDetails) -> EntryDetails:
    """These details, where they are too long with the beginnings of their longest values as text."""
    found = whole
    for limit in _LIMITS:
        if len(wire.dumps(found)) <= MAX_BYTES:
            break
        found = EntryDetails(asked=_cut(whole.asked, limit), before=_cut(whole.before, limit), cut=True)
    return found


def _cut(values: Mapping[str, Any], limit: int) -> dict[str, Any]:
    return {name: _beginning(value, limit) for name, value in values.items()}


def _beginning(value: Any, limit: int) -> Any:
    text = value.encode("utf-8", "replace") if isinstance(value, str) else wire.dumps(value)
    return value if len(text) <= limit else text[:limit].decode(errors="ignore") + "…"
