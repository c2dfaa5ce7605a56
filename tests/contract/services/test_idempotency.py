"""Creating requests repeated with an `Idempotency-Key`, over HTTP, on both databases."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select, update

from mairust_core.model.account import Account
from mairust_core.model.message_change import MessageChange
from mairust_core.model.plugin_life import NewPluginToken, TokenScope
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.model.receipt import KEPT_MS
from mairust_core.operations import BytesIn
from mairust_core.plugins.package import keys
from mairust_core.services.accounts import Accounts
from mairust_core.services.aliases import Aliases
from mairust_core.services.domains import Domains
from mairust_core.services.messages import Messages
from mairust_core.services.plugin_tokens import PluginTokens
from mairust_core.services.plugins import PACKAGE
from mairust_core.services.registry import SERVICES
from mairust_core.services.tokens import Tokens
from mairust_core.store.tables import audit, idempotency, secret
from tests.contract.services.conftest import Served
from tests.support.linking import approved, http_text, link, manifest_text
from tests.support.packaging import made

MAIL = b"Subject: once\r\n\r\nHello.\r\n"
REPLAYED = "idempotent-replayed"
PLUGIN = "com.example.repeated"
APPROVED = "com.example.approved"
_numbers = count()

Post = Callable[..., httpx.Response]


@pytest.fixture(scope="module", autouse=True)
def plugin(served: Served, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One that hooks can be added to, waiting for approval, so that none is asked; and an approved one."""
    link(served.site, tmp_path_factory.mktemp("plugin"), manifest_text(PLUGIN))
    approved(served.site, tmp_path_factory.mktemp("approved"), manifest_text(APPROVED, "post_receive"))


@pytest.fixture
def post(served: Served) -> Post:
    """Sends a POST under a key, as the first administrator unless another key is given."""

    def send(path: str, body: Any, key: str | None, bearer: str | None = None) -> httpx.Response:
        is_whole = isinstance(body, bytes)
        media_type = PACKAGE if path == "/plugins" else "message/rfc822"
        headers = {
            "authorization": f"Bearer {bearer or served.admin_key}",
            "content-type": media_type if is_whole else "application/json",
        }
        if key is not None:
            headers["idempotency-key"] = key
        content = body if is_whole else json.dumps(body).encode()
        with httpx.Client(base_url=served.http.url + "/api/v1", trust_env=False, timeout=60) as client:
            return client.post(path, content=content, headers=headers)

    return send


def name() -> str:
    """A domain that nobody has."""
    return f"i{uuid4().hex[:12]}.example"


def creating(domain: str, account: str) -> dict[str, tuple[str, Any]]:
    """A request of every operation that creates: path and body."""
    local = uuid4().hex[:10]
    return {
        "domains.add": ("/domains", {"name": name()}),
        "accounts.add": ("/accounts", {"address": f"a{local}@{domain}", "password": "long enough"}),
        "aliases.add": ("/aliases", {"address": f"b{local}@{domain}", "to": [account]}),
        "mailboxes.create": (f"/accounts/{account}/mailboxes", {"name": f"Box{local}"}),
        "messages.append": (f"/accounts/{account}/messages", MAIL),
        "tokens.create": ("/tokens", {"name": "x", "scopes": ["read"]}),
        "hooks.add": ("/hooks", {"name": f"h{local}", "type": "post_receive", "plugin": PLUGIN}),
        "plugins.install": ("/plugins", made(manifest_text(f"com.example.p{local}"))),
        "trust.add": ("/trust/keys", {"name": f"t{local}", "public_key": _root_key()}),
        "plugintokens.create": (
            f"/plugins/{APPROVED}/tokens",
            {"scopes": ["metrics"], "good_for_s": 600 + next(_numbers)},
        ),
    }


def _root_key() -> str:
    return keys.public_pem(keys.public_of(keys.generate())).decode()


TELLING = ["plugins.approve", "plugins.approve_review", "plugins.rotate_secret", "plugintokens.reissue"]
CREATING = sorted(creating("x.example", "a@x.example"))


def telling(served: Served, directory: Path) -> dict[str, str]:
    """A path of every operation that creates nothing and tells a secret, each of a plugin of its own."""
    told: dict[str, str] = {}
    for operation in TELLING:
        number = next(_numbers)
        id_ = f"com.example.tells{uuid4().hex[:10]}"
        text = http_text(id_)
        if operation.startswith("plugins.approve"):
            review = link(served.site, directory / str(number), text).review
            assert review is not None
            path = "approve" if operation == "plugins.approve" else f"approve/{review.id}"
        else:
            approved(served.site, directory / str(number), text)
            jti = served.here(PluginTokens).create(id_, NewPluginToken(scopes=(TokenScope.METRICS,))).id
            path = "rotate-secret" if operation == "plugins.rotate_secret" else f"tokens/{jti}/reissue"
        told[operation] = f"/plugins/{id_}/{path}"
    return told


@pytest.mark.parametrize("operation", TELLING)
def test_what_tells_a_secret_is_done_once_and_tells_it_again(
    served: Served, post: Post, tmp_path: Path, operation: str
) -> None:
    """Whose connection broke would have lost a secret that a plugin holds already, and made another."""
    path = telling(served, tmp_path)[operation]
    key, before = uuid4().hex, audited(served)
    first, *later = [post(path, {}, key) for _ in range(3)]
    assert first.status_code == 200, first.text
    assert first.json().get("secret") or first.json().get("jwt")
    assert REPLAYED not in first.headers
    for again in later:
        assert (again.status_code, again.content) == (200, first.content)
        assert again.headers[REPLAYED] == "true"
    assert audited(served) - before == 1
    assert post(f"{path}?x=1", {}, key).status_code == 422
    with served.site.storage.read() as tx:
        rows = [*tx.execute(select(idempotency.c.answer)).scalars()]
    told = (first.json().get("secret") or first.json()["jwt"]).encode()
    assert not any(told in (row or b"") for row in rows)


def test_every_operation_that_heeds_a_key_is_here() -> None:
    """A new one cannot be forgotten."""
    heeding = [op for kind in SERVICES for op in kind.operations.values() if op.heeds_key]
    assert sorted(op.id for op in heeding if not op.creates) == sorted(TELLING)
    assert [op.id for op in heeding if op.creates] == [
        "domains.add",
        "accounts.add",
        "aliases.add",
        "mailboxes.create",
        "messages.append",
        "tokens.create",
        "plugins.install",
        "plugintokens.create",
        "trust.add",
        "hooks.add",
    ]


@pytest.mark.parametrize("operation", CREATING)
def test_the_same_request_is_done_once_and_answered_alike(
    served: Served, post: Post, ann: Account, domain: str, operation: str
) -> None:
    """Three times sent, once done and audited; every answer has the same bytes."""
    path, body = creating(domain, ann.address)[operation]
    key = uuid4().hex
    before = audited(served)
    first, *later = [post(path, body, key) for _ in range(3)]
    assert first.status_code == 201, first.text
    assert REPLAYED not in first.headers
    for again in later:
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers[REPLAYED] == "true"
    assert audited(served) - before == (0 if operation == "messages.append" else 1)
    if operation == "messages.append":
        assert len(served.here(Messages).browse(ann.address).items) == 1


def audited(served: Served) -> int:
    """How many administrative changes there were."""
    with served.site.storage.read() as tx:
        return len(tx.execute(select(audit.c.id)).all())


@pytest.mark.parametrize("operation", CREATING)
def test_another_request_under_the_same_key_is_a_conflict(
    post: Post, ann: Account, domain: str, operation: str
) -> None:
    """Another body, another path or another query: never the wrong answer."""
    path, body = creating(domain, ann.address)[operation]
    other_path, other_body = creating(domain, ann.address)[operation]
    key = uuid4().hex
    assert post(path, body, key).status_code == 201
    others = [(path, other_body if other_body != body else b"Subject: other\r\n\r\n")]
    if operation != "tokens.create":
        others.append((other_path + "?limit=1", body))
    else:
        others = [(path, body | {"name": "y"})]
    for where, what in others:
        answer = post(where, what, key)
        assert answer.status_code in {409, 422}, answer.text
    assert post(others[0][0], others[0][1], key).json()["code"] == "conflict"
    assert post(others[0][0], others[0][1], uuid4().hex).status_code == 201


def test_what_failed_is_tried_again(post: Post, ann: Account, domain: str) -> None:
    """A refusal leaves nothing behind, under the key or elsewhere."""
    key, address = uuid4().hex, f"new@{domain}"
    body = {"address": f"alias.of.new@{domain}", "to": [address]}
    assert post("/aliases", body, key).status_code >= 400
    assert post("/accounts", {"address": address}, uuid4().hex).status_code == 201
    again = post("/aliases", body, key)
    assert again.status_code == 201, again.text
    assert REPLAYED not in again.headers


def test_keys_of_two_callers_have_nothing_to_do_with_each_other(
    served: Served, post: Post, ann: Account, domain: str
) -> None:
    """Neither replays the other's answer, nor is in its way (trap A2)."""
    other = served.issue(Scope.ADMIN, reach=ReachKind.DOMAIN, subject=domain)
    key = uuid4().hex
    body = {"name": "mine", "scopes": ["read"], "reach": "domain", "subject": domain}
    mine, theirs = post("/tokens", body, key), post("/tokens", body, key, bearer=other)
    assert mine.status_code == theirs.status_code == 201
    assert mine.json()["key"] != theirs.json()["key"]
    assert REPLAYED not in theirs.headers


def test_trap_a3_an_answer_with_a_secret_is_kept_sealed(served: Served, post: Post) -> None:
    """The new key is in no row in the clear, in no list of secrets, and gone after its day."""
    key = uuid4().hex
    issued = post("/tokens", {"name": "sealed", "scopes": ["read"]}, key).json()["key"]
    with served.site.storage.read() as tx:
        rows = [*tx.execute(select(idempotency)), *tx.execute(select(secret))]
        assert not any(
            issued.encode() in bytes(cell) for row in rows for cell in row if isinstance(cell, bytes)
        )
        assert not any(issued in str(cell) for row in rows for cell in row)
        assert tx.execute(select(secret.c.name).where(secret.c.name.startswith("~idempotency/"))).first()
    done = served.site.rotate_master_key()
    assert done.rewrapped > 0
    assert post("/tokens", {"name": "sealed", "scopes": ["read"]}, key).json()["key"] == issued


def test_a_revoked_caller_gets_no_answer_again(served: Served, post: Post, domain: str) -> None:
    """Who asks is asked first, every time."""
    other = served.issue(Scope.ADMIN, reach=ReachKind.DOMAIN, subject=domain)
    key = uuid4().hex
    body = {"name": "x", "scopes": ["read"], "reach": "domain", "subject": domain}
    assert post("/tokens", body, key, bearer=other).status_code == 201
    served.here(Tokens).revoke(other.split("_")[1])
    deadline = 100
    while (answer := post("/tokens", body, key, bearer=other)).status_code != 401:
        deadline -= 1
        assert deadline, answer.text


@pytest.mark.parametrize("operation", ["domains.add", "messages.append", "tokens.create"])
def test_concurrent_repetitions_are_done_once(
    served: Served, post: Post, ann: Account, domain: str, operation: str
) -> None:
    """Twelve at once: one does it, the others wait for its answer, or are told to come again."""
    path, body = creating(domain, ann.address)[operation]
    key = uuid4().hex
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: post(path, body, key), range(12)))
    good = [answer for answer in answers if answer.status_code == 201]
    assert good
    assert len({answer.content for answer in good}) == 1
    assert sum(REPLAYED not in answer.headers for answer in good) == 1
    for answer in answers:
        if answer.status_code != 201:
            assert answer.status_code in {423, 503, 429}, answer.text
            assert int(answer.headers["retry-after"]) >= 1
    if operation == "messages.append":
        assert len(served.here(Messages).browse(ann.address).items) == 1


def test_a_day_later_a_key_is_a_new_one(served: Served, post: Post) -> None:
    """The old request is forgotten, whether or not its row was collected."""
    key, first = uuid4().hex, {"name": name()}
    assert post("/domains", first, key).status_code == 201
    with served.site.storage.write() as tx:
        tx.execute(update(idempotency).values(at_ms=idempotency.c.at_ms - KEPT_MS - 1))
    second = {"name": name()}
    assert post("/domains", second, key).status_code == 201
    assert post("/domains", second, key).headers[REPLAYED] == "true"
    assert post("/domains", first, key).json()["code"] == "conflict"


def test_a_message_that_is_gone_is_not_there_for_a_repetition_either(
    served: Served, post: Post, ann: Account
) -> None:
    """The answer is made from the message; it is never stored a second time."""
    key = uuid4().hex
    path = f"/accounts/{ann.address}/messages"
    assert post(path, MAIL, key).status_code == 201
    served.here(Accounts).remove(ann.address)
    assert post(path, MAIL, key).status_code == 404


def test_a_repetition_tells_a_key_without_read_nothing_new(served: Served, post: Post, ann: Account) -> None:
    """What others did to the message since is not its own; the form of the answer stays the promised one."""
    writer, reader = served.issue(Scope.WRITE), served.issue(Scope.READ, Scope.WRITE)
    path = f"/accounts/{ann.address}/messages"
    for bearer, told in ((writer, False), (reader, True)):
        key = uuid4().hex
        first = post(path, MAIL, key, bearer).json()
        secret = MessageChange(mailbox="INBOX", add_tags=("secret",), add_flags=("\\Seen",))
        served.here(Messages).change(first["id"], secret)
        again = post(path, MAIL, key, bearer)
        assert again.headers[REPLAYED] == "true"
        changed = {"tags": ["secret"], "flags": ["\\Seen"]}
        assert again.json() == first | (changed if told else {})
    served.here(Messages).delete(first["id"])
    assert post(path, MAIL, key, reader).json()["deleted_at"]


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "a\tb", "é"])
def test_a_key_that_is_none_is_refused(served: Served, key: str) -> None:
    """Before anything is done."""
    new = name()
    answer = httpx.post(
        f"{served.http.url}/api/v1/domains",
        json={"name": new},
        headers=[
            (b"authorization", b"Bearer " + served.admin_key.encode()),
            (b"idempotency-key", key.encode("latin-1")),
        ],
        trust_env=False,
    )
    assert answer.status_code == 400, answer.text
    assert "Idempotency-Key" in answer.json()["detail"]
    assert not [one for one in served.here(Domains).browse(limit=500).items if one.name == new]


def test_two_keys_are_refused(served: Served) -> None:
    """Which one is meant is not guessed."""
    answer = httpx.post(
        f"{served.http.url}/api/v1/domains",
        json={"name": name()},
        headers=[
            ("authorization", f"Bearer {served.admin_key}"),
            ("idempotency-key", "aaaa"),
            ("idempotency-key", "bbbb"),
        ],
        trust_env=False,
    )
    assert answer.status_code == 400


def test_a_key_that_is_not_heeded_is_refused(served: Served, post: Post, ann: Account) -> None:
    """Whoever sends one believes that a repetition is told from a second wish."""
    answer = post(f"/accounts/{ann.address}/disable", {}, "k" * 20)
    assert (answer.status_code, answer.json()["code"]) == (400, "usage")
    assert "accounts.disable heeds no Idempotency-Key" in answer.json()["detail"]
    assert served.here(Accounts).show(ann.address).enabled


def test_what_may_be_repeated_anyway_needs_no_key(served: Served, ann: Account) -> None:
    """GET, PUT and DELETE are the same once or twice (RFC 9110 §9.2.2): a key is in nobody's way."""
    headers = {"authorization": f"Bearer {served.admin_key}", "idempotency-key": "k"}
    url = f"{served.http.url}/api/v1/accounts/{ann.address}"
    assert httpx.get(url, headers=headers, trust_env=False).status_code == 200
    assert httpx.delete(url, headers=headers, trust_env=False).status_code == 200


def test_the_proxy_sends_a_key_of_its_own_for_every_creating_call(served: Served, ann: Account) -> None:
    """Two equal calls are two wishes."""
    for _ in range(2):
        served.there(Messages).append(ann.address, BytesIn(chunks=[MAIL]))
    assert len(served.here(Messages).browse(ann.address).items) == 2
    with served.site.storage.read() as tx:
        kept = tx.execute(select(idempotency.c.subject).where(idempotency.c.subject.is_not(None))).scalars()
        assert {str(one.id) for one in served.here(Messages).browse(ann.address).items} <= set(kept)
    assert served.there(Aliases).browse(limit=1) is not None
