"""Each path reaches its own operation, however it is escaped."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.routing import Match

from mairust_core.api import create_app
from mairust_core.api.paths import first_decoding, second_decoding
from mairust_core.operations import Operation
from mairust_core.services.registry import SERVICES
from tests.integration.api.conftest import Web

ADDRESSES = [
    "ann@x.example",
    "a/b@x.example",
    "a%2Fb@x.example",
    "messages@x.example",
    "x/messages@x.example",
    "mailboxes@enable",
    '"a@b"@x.example',
    "*@x.example",
    "ä@x.example",
]
OPERATIONS = [op for kind in SERVICES for op in kind.operations.values()]


@pytest.fixture(scope="module")
def app(web: Web) -> Starlette:
    """The application, only to be asked for its routes."""
    return create_app(web.site)


def reached(app: Starlette, method: str, raw_path: bytes) -> tuple[str, dict[str, str]]:
    """The operation id and the parameters that a request reaches."""
    scope = {
        "type": "http",
        "method": method,
        "path": first_decoding(raw_path),
        "headers": [],
        "root_path": "",
    }
    for route in app.router.routes:
        match, found = route.matches(scope)
        if match is Match.FULL:
            values = {name: second_decoding(value) for name, value in found["path_params"].items()}
            return getattr(route, "name", ""), values
    return "", {}


def path_of(op: Operation, values: dict[str, str], safe: str) -> bytes:
    """A path of the operation with these parameters, escaped but for `safe`."""
    path = op.path.replace(":path}", "}")
    return ("/api/v1" + path.format(**{k: quote(v, safe=safe) for k, v in values.items()})).encode()


@pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.id)
@pytest.mark.parametrize("safe", ["", "@", "@:!$&'()*+,;="])
def test_specific_routes_come_before_catch_alls(app: Starlette, op: Operation, safe: str) -> None:
    """`accounts/{address}/messages` is never the account `…/messages`, with %40, %2F and %25 alike."""
    for address in ADDRESSES:
        values = {name: address if name == "address" else "a/b%2Fc" for name in op.path_params}
        assert reached(app, op.method, path_of(op, values, safe)) == (op.id, values)


@pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.id)
def test_a_plain_slash_in_an_address_is_understood(app: Starlette, op: Operation) -> None:
    """A client that forgets to escape the slash of an address is understood all the same."""
    if "address" in op.path_params:
        values = {"address": "a/b@x.example"}
        assert reached(app, op.method, path_of(op, values, "/@")) == (op.id, values)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", b"/api/v1/accounts/ann@x.example/messages"),
        ("GET", b"/api/v1/accounts/ann@x.example/enable"),
        ("GET", b"/api/v1/accounts/ann@x.example/messages/"),
        ("GET", b"/api/v1/messages/1/raw/"),
        ("GET", b"/api/v1/messages/1/2"),
        ("GET", b"/api/v1//domains"),
    ],
)
def test_what_is_no_route_reaches_nothing(app: Starlette, method: str, path: bytes) -> None:
    """In particular no account is removed by a DELETE on its messages."""
    assert reached(app, method, path) == ("", {})
