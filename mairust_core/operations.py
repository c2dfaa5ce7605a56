"""An operation is declared once: the local call, the REST route and the remote call come from it.

    class Domains(Service):
        @operation("POST", "/domains", scope=ADMIN, reach=SITE, status=201, errors=(Conflict,))
        def add(self, new: NewDomain) -> Domain:
            '''Add a mail domain.'''

What would make the three differ is refused when the class is made: a body that is not one request
dataclass, a secret outside a body, a method named after a builtin, a missing summary.
"""

from __future__ import annotations

import builtins
import functools
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from mairust_core.errors import Invalid, MaiRustError
from mairust_core.model.principal import Principal, ReachKind, Scope

if TYPE_CHECKING:
    from mairust_core.app import Site

F = TypeVar("F", bound=Callable[..., Any])

_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})
_SURROGATE = re.compile("[\ud800-\udfff]")
_SECRET = re.compile(r"password|secret|token$|^key$|passphrase")


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesIn:
    """A body of raw bytes that travels in chunks; `size_bytes` None when it is not known yet."""

    chunks: Iterable[bytes]
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesOut:
    """Raw bytes in chunks with their length and SHA-256, by which a reader knows it has them all."""

    chunks: Iterator[bytes]
    size_bytes: int
    sha256: bytes
    filename: str
    content_type: str = "message/rfc822"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What the declaration of one operation says, for the adapters in `api/` and `remote.py`."""

    method: str
    path: str
    scope: Scope
    reach: ReachKind
    status: int
    errors: tuple[type[MaiRustError], ...]
    since: int
    produces: str
    """The media type of bytes in the answer, where they have one in common."""
    accepts: str
    """The media type of bytes in the body."""
    noun: str
    name: str
    summary: str
    text: str
    path_params: tuple[str, ...]
    query: tuple[inspect.Parameter, ...]
    body: str | None
    """The name of the parameter that travels as the request body."""
    types: dict[str, Any]

    @property
    def id(self) -> str:
        """The OpenAPI operation id, such as `domains.add`."""
        return f"{self.noun}.{self.name}"

    @property
    def returns(self) -> Any:
        """The type of the answer."""
        return self.types["return"]

    @property
    def body_type(self) -> Any:
        """The type of the request body, or None."""
        return self.types[self.body] if self.body else None


class Service:
    """The operations of one noun for one caller; cheap, made per call."""

    noun: ClassVar[str]
    operations: ClassVar[dict[str, Operation]]

    def __init__(self, site: Site, by: Principal) -> None:
        self.site = site
        self.by = by

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.noun = cls.__name__.lower()
        cls.operations = {
            name: _declare(cls.noun, name, member)
            for name, member in vars(cls).items()
            if hasattr(member, "__declared__")
        }


def operation(
    method: str,
    path: str,
    *,
    scope: Scope,
    reach: ReachKind = ReachKind.ACCOUNT,
    status: int = 200,
    errors: tuple[type[MaiRustError], ...] = (),
    since: int = 1,
    produces: str = "message/rfc822",
    accepts: str = "message/rfc822",
) -> Callable[[F], F]:
    """Declare a method of a `Service` as an operation; `reach` is the narrowest one that may call it."""

    def declare(method_: F) -> F:
        names = tuple(inspect.signature(method_).parameters)[1:]

        @functools.wraps(method_)
        def call(self: Service, *args: Any, **kwargs: Any) -> Any:
            self.by.require(scope, reach)
            require_text(zip(names, args, strict=False))
            require_text(kwargs.items())
            return method_(self, *args, **kwargs)

        call.__declared__ = {  # type: ignore[attr-defined]  # read by Service.__init_subclass__ only
            "method": method, "path": path, "scope": scope, "reach": reach,
            "status": status, "errors": errors, "since": since, "produces": produces,
            "accepts": accepts,
        }  # fmt: skip
        return typing.cast(F, call)

    return declare


def require_text(values: Iterable[tuple[str, Any]]) -> None:
    """Raise `Invalid` for a text with NUL or half a character, which no database and no wire takes.

    `values` are names and values; dataclasses and tuples are looked into.
    """
    for name, value in values:
        if isinstance(value, str):
            if not value.isascii() and _SURROGATE.search(value):
                raise Invalid(name, "it is not Unicode text", "write it in UTF-8")
            if "\0" in value:
                raise Invalid(name, "it holds a NUL character")
        elif isinstance(value, tuple):
            require_text((name, item) for item in value)
        elif is_dataclass(value) and not isinstance(value, BytesIn):
            require_text((field.name, getattr(value, field.name)) for field in fields(value))


def _declare(noun: str, name: str, member: Any) -> Operation:
    declared = member.__declared__
    where = f"{noun}.{name}"
    doc = inspect.getdoc(member)
    if name in dir(builtins):
        raise TypeError(f"{where}: a method named after a builtin hides it from the annotations below it")
    if not doc:
        raise TypeError(f"{where}: an operation needs a docstring, its first line is the summary")
    summary, _, text = doc.partition("\n")
    types = typing.get_type_hints(inspect.unwrap(member))
    params = list(inspect.signature(member).parameters.values())[1:]
    path_params = tuple(re.findall(r"{(\w+)", declared["path"]))
    body, query = _sort_parameters(where, declared["method"], path_params, params, types)
    return Operation(
        **declared, noun=noun, name=name, summary=summary.strip(), text=text.strip(),
        path_params=path_params, query=query, body=body, types=types,
    )  # fmt: skip


def _sort_parameters(
    where: str,
    method: str,
    path_params: tuple[str, ...],
    params: list[inspect.Parameter],
    types: dict[str, Any],
) -> tuple[str | None, tuple[inspect.Parameter, ...]]:
    if tuple(p.name for p in params[: len(path_params)]) != path_params:
        raise TypeError(f"{where}: the parameters of the path come first, in its order")
    rest = params[len(path_params) :]
    bodies = [p for p in rest if p.kind is not p.KEYWORD_ONLY]
    query = tuple(p for p in rest if p.kind is p.KEYWORD_ONLY)
    for param in (*params[: len(path_params)], *query):
        if _SECRET.search(param.name):
            raise TypeError(f"{where}: {param.name} would be a secret in a URL; put it into the request body")
    if len(bodies) > (1 if method in _BODY_METHODS else 0):
        raise TypeError(f"{where}: {method} takes the path's parameters and at most one body")
    body = bodies[0].name if bodies else None
    if body and types[body] is not BytesIn and not _is_request(types[body]):
        raise TypeError(f"{where}: the body must be a @request dataclass or BytesIn")
    if query and method in _BODY_METHODS and not (body and types[body] is BytesIn):
        raise TypeError(f"{where}: {method} takes its options in the request dataclass")
    return body, query


def _is_request(kind: Any) -> bool:
    return is_dataclass(kind) and "__pydantic_config__" in vars(kind)
