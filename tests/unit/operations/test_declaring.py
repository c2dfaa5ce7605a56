"""What would make local call, route and remote call differ is refused when the class is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from mairust_core.errors import Forbidden, Invalid
from mairust_core.model.domain import Domain, NewDomain
from mairust_core.model.principal import Principal, Reach, ReachKind, Scope
from mairust_core.operations import BytesIn, Service, operation, require_text
from mairust_core.services.registry import SERVICES

READ, WRITE = Scope.READ, Scope.WRITE


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NoRequest:
    """A dataclass that does not forbid unknown keys."""

    name: str


def undocumented() -> Any:
    class Things(Service):
        @operation("GET", "/things", scope=READ)
        def show(self) -> Domain:
            raise NotImplementedError


def named_after_builtin() -> Any:
    class Things(Service):
        @operation("GET", "/things", scope=READ)
        def list(self) -> Domain:
            """List."""
            raise NotImplementedError


def path_parameter_missing() -> Any:
    class Things(Service):
        @operation("GET", "/things/{name}", scope=READ)
        def show(self, other: str) -> Domain:
            """Show."""
            raise NotImplementedError


def path_parameters_out_of_order() -> Any:
    class Things(Service):
        @operation("GET", "/things/{name}/{part}", scope=READ)
        def show(self, part: str, name: str) -> Domain:
            """Show."""
            raise NotImplementedError


def two_bodies() -> Any:
    class Things(Service):
        @operation("POST", "/things", scope=WRITE)
        def add(self, one: NewDomain, two: NewDomain) -> Domain:
            """Add."""
            raise NotImplementedError


def body_in_get() -> Any:
    class Things(Service):
        @operation("GET", "/things", scope=READ)
        def show(self, one: NewDomain) -> Domain:
            """Show."""
            raise NotImplementedError


def plain_body() -> Any:
    class Things(Service):
        @operation("POST", "/things", scope=WRITE)
        def add(self, name: str) -> Domain:
            """Add."""
            raise NotImplementedError


def body_that_takes_unknown_keys() -> Any:
    class Things(Service):
        @operation("POST", "/things", scope=WRITE)
        def add(self, new: NoRequest) -> Domain:
            """Add."""
            raise NotImplementedError


def query_beside_a_json_body() -> Any:
    class Things(Service):
        @operation("POST", "/things", scope=WRITE)
        def add(self, new: NewDomain, *, dry_run: bool = False) -> Domain:
            """Add."""
            raise NotImplementedError


def secret_in_query() -> Any:
    class Things(Service):
        @operation("GET", "/things", scope=READ)
        def show(self, *, password: str = "") -> Domain:
            """Show."""
            raise NotImplementedError


def secret_in_path() -> Any:
    class Things(Service):
        @operation("GET", "/things/{token}", scope=READ)
        def show(self, token: str) -> Domain:
            """Show."""
            raise NotImplementedError


def bytes_that_leave_no_receipt() -> Any:
    class Things(Service):
        @operation("POST", "/things", scope=WRITE, status=201)
        def add(self, content: BytesIn) -> Domain:
            """Add."""
            raise NotImplementedError


def answer_of_three_kinds() -> Any:
    class Things(Service):
        @operation("GET", "/things", scope=READ)
        def show(self) -> Domain | NewDomain | NoRequest:
            """Show."""
            raise NotImplementedError


def answer_or_none() -> Any:
    class Things(Service):
        @operation("GET", "/things", scope=READ)
        def show(self) -> Domain | None:
            """Show."""
            raise NotImplementedError


REFUSED = [
    (answer_of_three_kinds, "an answer is of one kind"),
    (answer_or_none, "an answer is of one kind"),
    (undocumented, "needs a docstring"),
    (named_after_builtin, "named after a builtin"),
    (path_parameter_missing, "parameters of the path come first"),
    (path_parameters_out_of_order, "in its order"),
    (two_bodies, "at most one body"),
    (body_in_get, "GET takes"),
    (plain_body, "must be a @request dataclass or BytesIn"),
    (body_that_takes_unknown_keys, "must be a @request dataclass or BytesIn"),
    (query_beside_a_json_body, "options in the request dataclass"),
    (secret_in_query, "password would be a secret in a URL"),
    (secret_in_path, "token would be a secret in a URL"),
    (bytes_that_leave_no_receipt, "told again by a method `made`"),
]


@pytest.mark.parametrize(("make", "why"), REFUSED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_wrong_declaration_is_refused_at_import(make: Callable[[], Any], why: str) -> None:
    """The class cannot be made, and the error names the operation and the rule."""
    with pytest.raises(TypeError, match=why) as refused:
        make()
    assert str(refused.value).startswith("things.")


def test_a_declaration_says_everything() -> None:
    """Method, path, parameters, body, errors, summary and text come from one place."""

    class Things(Service):
        """Things."""

        @operation("POST", "/things/{address:path}/parts", scope=WRITE, status=201, errors=(Invalid,))
        def append(self, address: str, content: BytesIn, *, box: str = "a") -> Domain:
            """Append a part.

            It is kept.
            """
            raise NotImplementedError

        def made(self, subject: str) -> Domain:
            raise NotImplementedError

    op = Things.operations["append"]
    assert (op.id, op.method, op.status, op.scope, op.reach) == (
        "things.append",
        "POST",
        201,
        WRITE,
        ReachKind.ACCOUNT,
    )
    assert (op.path_params, op.body, op.body_type) == (("address",), "content", BytesIn)
    assert [(param.name, param.default) for param in op.query] == [("box", "a")]
    assert (op.summary, op.text, op.returns) == ("Append a part.", "It is kept.", Domain)


class Echo(Service):
    """Says what it was asked."""

    @operation("GET", "/echo/{text}", scope=READ, reach=ReachKind.DOMAIN)
    def say(self, text: str, *, more: str = "") -> str:
        """Say it."""
        return text + more


def echo(*scopes: Scope, reach: ReachKind = ReachKind.SITE) -> Echo:
    """The service for a caller; it never looks at the site."""
    site: Any = None
    return Echo(site, Principal(name="tester", scopes=frozenset(scopes), reach=Reach(kind=reach)))


def test_rule_g4_scope_and_reach_are_checked_before_the_method_runs() -> None:
    """The declaration guards the method, also in a local call."""
    assert echo(READ).say("a", more="b") == "ab"
    assert echo(Scope.ADMIN, reach=ReachKind.DOMAIN).say("a") == "a"
    with pytest.raises(Forbidden, match="scope read"):
        echo(Scope.SEND).say("a")
    with pytest.raises(Forbidden, match="domain reach"):
        echo(READ, reach=ReachKind.ACCOUNT).say("a")


def test_arguments_that_a_method_does_not_take_are_refused_as_python_does() -> None:
    """None is dropped on the way to it, and none counts twice."""
    call: Any = echo(READ).say
    with pytest.raises(TypeError, match="too many positional"):
        call("a", "b")
    with pytest.raises(TypeError, match="multiple values"):
        call("a", text="b")
    with pytest.raises(TypeError, match="missing"):
        call()


def test_a_name_that_is_empty_is_missing_however_it_is_given() -> None:
    """By its place or by its name."""
    calls: tuple[Callable[[], str], ...] = (lambda: echo(READ).say(""), lambda: echo(READ).say(text=""))
    for call in calls:
        with pytest.raises(Invalid, match=r"^text: "):
            call()


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "a\udcff"])
def test_no_text_that_a_database_refuses_gets_in(text: str) -> None:
    """NUL and lone surrogates are refused by name, whichever way they come."""
    with pytest.raises(Invalid, match=r"^text: "):
        echo(READ).say(text)
    with pytest.raises(Invalid, match=r"^more: "):
        echo(READ).say("a", more=text)
    with pytest.raises(Invalid, match=r"^name: "):
        require_text([("body", NoRequest(name=text))])
    with pytest.raises(Invalid, match=r"^to: "):
        require_text([("to", ("fine", text))])


def test_operation_ids_are_unique() -> None:
    """No two operations share an id, nor a method and path."""
    ops = [op for kind in SERVICES for op in kind.operations.values()]
    assert len({op.id for op in ops}) == len({(op.method, op.path) for op in ops}) == len(ops)
