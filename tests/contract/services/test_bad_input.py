"""Traps A1, A2, A5: text is data and pages have bounds, whatever a client sends, in every list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pytest

from mairust_core.errors import Invalid, MaiRustError, NotFound
from mairust_core.model.account import Account, NewAccount
from mairust_core.model.domain import NewDomain
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.model.token import NewToken
from mairust_core.operations import BytesIn, Operation
from mairust_core.services.accounts import Accounts
from mairust_core.services.domains import Domains
from mairust_core.services.hooks import Hooks
from mairust_core.services.messages import Messages
from mairust_core.services.registry import SERVICES
from mairust_core.services.tokens import Tokens
from tests.contract.services.conftest import Served
from tests.contract.services.words import Ops
from tests.support.linking import approved, manifest_text

LISTS: list[Operation] = [
    op
    for kind in SERVICES
    for op in kind.operations.values()
    if {"cursor", "limit"} <= {param.name for param in op.query}
]
HOOK = "listed-by-hostile-clients"
PLUGIN = "com.example.listed"
MESSAGES: list[str] = []
"""The id of one, the newest last."""

HOSTILE = [
    "' OR 1=1 --",
    '"; DROP TABLE token; --',
    "%",
    "_",
    "\\",
    "*",
    "a' UNION SELECT secret_hash FROM token --",
    "\u202e\u0000",
    "\ud83d",
    "𝕏" * 2000,
    "-1",
    "99999999999999999999-1",
    "1-99999999999999999999",
]


@pytest.fixture(scope="module", autouse=True)
def hook(served: Served, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A plugin and a hook of which things can be listed."""
    named = f'type = "post_receive"\nname = "{HOOK}"\nfilter = {{subject_matches = "never in any mail"}}'
    try:
        served.here(Hooks).show(HOOK)
    except NotFound:
        approved(served.site, tmp_path_factory.mktemp("plugin"), manifest_text(PLUGIN, named))
    domain = f"listed{uuid4().hex[:12]}.example"
    served.here(Domains).add(NewDomain(name=domain))
    served.here(Accounts).add(NewAccount(address=f"ann@{domain}"))
    mail = BytesIn(chunks=[b"Subject: x\r\n\r\nx\r\n"])
    MESSAGES.append(str(served.here(Messages).append(f"ann@{domain}", mail).id))


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    """A plain client with the first administrator's key."""
    headers = {"authorization": f"Bearer {served.admin_key}"}
    with httpx.Client(base_url=served.http.url + "/api/v1", headers=headers, trust_env=False) as one:
        yield one


def path_of(op: Operation, account: str) -> str:
    """The path of a list, of this account where it is one's, of a hook and a plugin that the site has."""
    path = op.path.replace("{address:path}", account).replace("{name}", HOOK)
    return path.replace("plugins/{id}", f"plugins/{PLUGIN}").replace(
        "messages/{id}", f"messages/{MESSAGES[-1]}"
    )


def needed(op: Operation, account: str) -> dict[str, str]:
    """The parameters without which a list asks for nothing."""
    return {"q": "subject", "account": account} if op.id == "search.find" else {}


def everything(client: httpx.Client, op: Operation, account: str) -> list[Any]:
    """All items of a list, page by page: tests before this one may have left more than fit on one."""
    items: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        more = {"cursor": cursor} if cursor else {}
        page = client.get(path_of(op, account), params={"limit": 500, **more, **needed(op, account)}).json()
        items += page["items"]
        cursor = page["next_cursor"]
    return items


def test_there_are_lists() -> None:
    """An empty table would prove nothing."""
    assert len(LISTS) >= 6


@pytest.mark.parametrize("op", LISTS, ids=lambda op: op.id)
def test_trap_a5_a_cursor_is_data(client: httpx.Client, ann: Account, op: Operation) -> None:
    """It selects nothing beyond what follows it, breaks nothing, and shows no secret."""
    whole = everything(client, op, ann.address)
    for cursor in HOSTILE:
        sent = cursor.encode("utf-8", "surrogatepass")
        query = b"cursor=" + b"".join(b"%%%02X" % byte for byte in sent)
        rest = urlencode({"limit": 500, **needed(op, ann.address)})
        answer = client.get(f"{path_of(op, ann.address)}?{query.decode()}&{rest}")
        assert answer.status_code in {200, 400, 422}, (cursor, answer.text)
        if answer.status_code == 200:
            assert all(item in whole for item in answer.json()["items"])
        assert "secret_hash" not in answer.text.replace("SELECT secret_hash FROM", "")


@pytest.mark.parametrize("op", LISTS, ids=lambda op: op.id)
@pytest.mark.parametrize(
    "limit", ["0", "-1", "501", "10000000000000000000000", "1e3", "ten", "", "１０", "0x10"]
)
def test_a_page_has_bounds(client: httpx.Client, ann: Account, op: Operation, limit: str) -> None:
    """Nothing but 1 to 500, written in digits."""
    answer = client.get(path_of(op, ann.address), params={"limit": limit, **needed(op, ann.address)})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), limit


@pytest.mark.parametrize("op", LISTS, ids=lambda op: op.id)
def test_unknown_parameters_are_named(client: httpx.Client, ann: Account, op: Operation) -> None:
    """A misspelt filter must not select everything."""
    answer = client.get(path_of(op, ann.address), params={"limitt": "1", **needed(op, ann.address)})
    assert answer.status_code == 422
    assert "limitt" in answer.json()["detail"]


BAD_BODIES: list[Any] = [
    {"name": "x", "scopes": ["read"], "extra": 1},
    {"name": "x", "scopes": "read"},
    {"name": 5, "scopes": ["read"]},
    {"name": "x", "scopes": ["root"]},
    {"name": "x", "scopes": [["read"]]},
    {"name": "x", "scopes": ["read"], "expires_at": "yesterday"},
    {"name": "x", "scopes": ["read"], "expires_at": 5},
    {"name": "x", "scopes": ["read"], "expires_at": "2027-01-31T00:00:00"},
    {"name": "x", "scopes": ["read"], "reach": "universe"},
    {"name": "a\u0007b", "scopes": ["read"]},
    {"name": "a\u202eb", "scopes": ["read"]},
    {"name": "x\n", "scopes": ["read"]},
    {"scopes": ["read"]},
    [],
    None,
    "x",
    5,
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=repr)
def test_a_body_of_another_form_makes_nothing(served: Served, client: httpx.Client, body: Any) -> None:
    """Wrong types, unknown fields, control characters in names: refused with the field's name."""
    before = len(served.here(Tokens).browse(limit=500).items)
    answer = client.post("/tokens", content=json.dumps(body), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), answer.text
    assert len(served.here(Tokens).browse(limit=500).items) == before


def test_trap_a1_a_key_of_one_kind_of_reach_gives_no_other(ops: Ops, served: Served, ann: Account) -> None:
    """What the new key may is what was asked for, and what its maker may."""
    narrow = served.issue(Scope.ADMIN, reach=ReachKind.ACCOUNT, subject=ann.address)
    with pytest.raises(MaiRustError):
        served.there(Tokens, narrow).create(NewToken(name="x", scopes=(Scope.READ,)))
    with pytest.raises(Invalid):
        ops(Tokens).browse(limit=10**9)
