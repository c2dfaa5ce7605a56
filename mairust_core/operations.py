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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import date, timedelta
from types import UnionType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from mairust_core import cursors
from mairust_core.asked import asking
from mairust_core.errors import Invalid, MaiRustError
from mairust_core.model.principal import Principal, ReachKind, Scope
from mairust_core.model.receipt import Receipt
from mairust_core.words import chosen, enum_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from mairust_core.app import Site

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

ANY = "*/*"
"""What an answer of bytes produces that has the media type of what it is; pages come as octets (trap A7)."""
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
class Item(Generic[T]):
    """One item of a stream: what is said of it, and its bytes, read before the next item is asked for."""

    value: T
    content: BytesIn = BytesIn(chunks=(), size_bytes=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsIn(Generic[T]):
    """Items on their way in; the size of each is known (`items` says how they travel)."""

    items: Iterable[Item[T]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsOut(Generic[T]):
    """Items on their way out, made while they are read; an end without trailer is `IncompleteStream`."""

    items: Iterator[Item[T]]


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
        return self.answers if self.least is None else typing.get_args(self.answers)[0]

    @property
    def answers(self) -> Any:
        """The type of every answer there may be, also to a caller without `read`."""
        return self.types["return"]

    def call_encoded(self, service: Service, args: Sequence[Any], options: Mapping[str, Any]) -> Any:
        """The answer as JSON values, after the checks that every call of an operation passes."""
        service.by.require(self.scope, self.reach)
        given = dict(zip(self.path_params, args, strict=True))
        require_names(given.items())
        require_text([*given.items(), *options.items()])
        return self.paged({**given, **options}, getattr(service, self.encoded))

    def paged(self, given: dict[str, Any], call: Callable[..., Any]) -> Any:
        """What a call answers, with cursors that are this list's alone; `given` is its arguments by name."""
        if not self.is_continued:
            return call(**given)
        listing = cursors.Listing(self.id, self._asked(given))
        found = call(**self._at(given, listing))
        after = found["next_cursor"] if isinstance(found, dict) else found.next_cursor
        if after is None:
            return found
        sealed = {"next_cursor": listing.seal(after)}
        return {**found, **sealed} if isinstance(found, dict) else replace(found, **sealed)

    def _asked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All that decides which items a list has."""
        found = {name: given.get(name) for name in self.path_params}
        found |= {one.name: given.get(one.name, one.default) for one in self.query}
        if self.body:
            found |= {one.name: getattr(given.get(self.body), one.name) for one in fields(self.body_type)}
        return {name: value for name, value in found.items() if name not in cursors.BESIDE}

    def _at(self, given: dict[str, Any], listing: cursors.Listing) -> dict[str, Any]:
        """The arguments with the position that their cursor stands for."""
        body: Any = given[self.body] if self.body else None
        cursor = body.cursor if self.body else given.get(cursors.FIELD)
        if not cursor:
            return given
        position = listing.open(cursor)
        if self.body is None:
            return given | {cursors.FIELD: position}
        return given | {self.body: replace(body, cursor=position)}

    @property
    def body_type(self) -> Any:
        """The type of the request body, or None."""
        return self.types[self.body] if self.body else None


class Service:
    """The operations of one noun for one caller; cheap, made per call."""

    noun: ClassVar[str]
    operations: ClassVar[dict[str, Operation]]

    receipt: Receipt | None = None
    """What a creating call leaves behind beside its effect, when it may be repeated."""

    def __init__(self, site: Site, by: Principal) -> None:
        self.site = site
        self.by = by

    made: Callable[[str], Any]
    """What an operation with a body of bytes answered when it made this subject; for nouns that have one."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.noun = cls.__name__.lower()
        cls.operations = {
            name: _declare(cls.noun, name, member)
            for name, member in vars(cls).items()
            if hasattr(member, "__declared__")
        }
        for op in cls.operations.values():
            if op.heeds_key and op.body_type is BytesIn and not hasattr(cls, "made"):
                raise TypeError(f"{op.id}: what it made is told again by a method `made`, and there is none")


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
    accepts: tuple[str, ...] = ("message/rfc822",),
    deprecated: Deprecated | None = None,
    encoded: str = "",
) -> Callable[[F], F]:
    """Declare a method of a `Service` as an operation; `reach` is the narrowest one that may call it.

    Where it returns `A | B`, the method gives an A; a caller without `read` is told a B, the fields that the
    two have in common.
    `accepts` are the media types of a body of bytes, first the one that our own clients send. `encoded` names
    a method with the same parameters that gives the answer as JSON values, for lists that are asked for all
    the time.
    """

    def declare(method_: F) -> F:
        params = inspect.signature(method_).parameters
        names = tuple(params)[1:]
        defaults = {one.name: one.default for one in params.values() if one.default is not one.empty}
        in_path = len(re.findall(r"{\w+", path))

        @functools.wraps(method_)
        def call(self: Service, *args: Any, **kwargs: Any) -> Any:
            self.by.require(scope, reach)
            require_names(zip(names[:in_path], args, strict=False))
            require_text(zip(names, args, strict=False))
            require_text(kwargs.items())
            if method == "DELETE":  # it writes too, and on a full disk has room kept for it (rule J3)
                self.site.make_room()
            op: Operation = call.__operation__  # type: ignore[attr-defined]  # put there by `_declare`
            given = {**dict(zip(names, args, strict=False)), **kwargs}
            given |= {one: chosen(op.types[one], one, given[one]) for one in op.words if one in given}
            with nullcontext() if method == "GET" else asking({**defaults, **given}):
                found = op.paged(given, functools.partial(method_, self))
            if op.least is None or self.by.may(Scope.READ):
                return found
            return op.least(**{one.name: getattr(found, one.name) for one in fields(op.least)})

        call.__declared__ = {  # type: ignore[attr-defined]  # read by Service.__init_subclass__ only
            "method": method, "path": path, "scope": scope, "reach": reach,
            "status": status, "errors": errors, "since": since, "produces": produces,
            "accepts": accepts, "deprecated": deprecated, "encoded": encoded,
        }  # fmt: skip
        return typing.cast(F, call)

    return declare


def require_names(values: Iterable[tuple[str, Any]]) -> None:
    """Raise `Invalid` where what is asked for has no name at all: a path that ends in a slash says none."""
    for name, value in values:
        if value == "":
            raise Invalid(name, "missing")


def require_text(values: Iterable[tuple[str, Any]]) -> None:
    """Raise `Invalid` for a text with NUL or half a character, which no database and no wire takes.

    `values` are names and values; dataclasses and tuples are looked into.
    """
    for name, value in values:
        if isinstance(value, str):
            if not value.isascii() and _SURROGATE.search(value):
                raise Invalid(name, "not_unicode")
            if "\0" in value:
                raise Invalid(name, "holds_nul")
        elif isinstance(value, tuple):
            require_text((name, item) for item in value)
        elif is_dataclass(value) and not isinstance(value, (BytesIn, ItemsIn)):
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
    if declared["encoded"] and declared["method"] != "GET":
        raise TypeError(f"{where}: only what is read has a second way to its answer")
    types = typing.get_type_hints(inspect.unwrap(member))
    params = list(inspect.signature(member).parameters.values())[1:]
    path_params = tuple(re.findall(r"{(\w+)", declared["path"]))
    body, query = _sort_parameters(where, declared["method"], path_params, params, types)
    members = [one.name for one in fields(types[body])] if body and _is_request(types[body]) else []
    member.__operation__ = Operation(
        **declared, noun=noun, name=name, summary=summary.strip(), text=text.strip(),
        path_params=path_params, query=query, body=body, types=types, least=_least(where, types["return"]),
        words=tuple(one.name for one in query if enum_of(types[one.name]) is not None),
        is_continued=cursors.FIELD in (*members, *(one.name for one in query)),
    )  # fmt: skip
    return typing.cast(Operation, member.__operation__)


def _least(where: str, kind: Any) -> Any:
    """What somebody is told who may not read: the second of two kinds of answers."""
    kinds = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, UnionType) else ()
    if kinds and not (len(kinds) == 2 and all(map(is_dataclass, kinds))):
        raise TypeError(f"{where}: an answer is of one kind, or of one and of what is told without `read`")
    return kinds[1] if kinds else None


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
    streams = body is not None and (types[body] is BytesIn or items_of(types[body]) is not None)
    if body and not streams and not _is_request(types[body]):
        raise TypeError(f"{where}: the body must be a @request dataclass or BytesIn or ItemsIn")
    if body and not streams:
        _require_marked(where, types[body])
    if query and method in _BODY_METHODS and not streams:
        raise TypeError(f"{where}: {method} takes its options in the request dataclass")
    return body, query


def _require_marked(where: str, form: Any) -> None:
    """Raise `TypeError` for a field that sounds like a secret and would be told in the audit."""
    kinds = typing.get_type_hints(form)
    for one in fields(form):
        if one.repr and _SECRET.search(one.name):
            raise TypeError(f"{where}: {one.name} would be a secret in the audit; mark it with repr=False")
        for inner in (kinds[one.name], *typing.get_args(kinds[one.name])):
            if is_dataclass(inner):
                _require_marked(where, inner)


def items_of(kind: Any) -> Any:
    """The type of the items in `ItemsIn[…]` or `ItemsOut[…]`; None when `kind` is something else."""
    return typing.get_args(kind)[0] if typing.get_origin(kind) in (ItemsIn, ItemsOut) else None


def _is_request(kind: Any) -> bool:
    return is_dataclass(kind) and "__pydantic_config__" in vars(kind)
