"""Whatever goes wrong is told as a problem (RFC 9457); every answer is labelled."""

from __future__ import annotations

import json
import re

import pytest

from mairust_core.errors import BY_CODE
from mairust_core.model.account import Account
from mairust_core.operations import Operation
from mairust_core.services.registry import SERVICES
from tests.integration.api.conftest import Web
from tests.support.raw_http import RawConnection, ask

API = "/api/v1"
OPERATIONS = [op for kind in SERVICES for op in kind.operations.values()]


@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        ("GET /nothing HTTP/1.1", 404, "not_found"),
        ("GET / HTTP/1.1", 404, "not_found"),
        ("GET /api/v1 HTTP/1.1", 404, "not_found"),
        ("GET /api/v1/%e2%82 HTTP/1.1", 404, "not_found"),
        ("GET /api/v1/domains/ HTTP/1.1", 422, "invalid"),
        ("GET /api/v1/hooks/ HTTP/1.1", 422, "invalid"),
        ("DELETE /api/v1/tokens/ HTTP/1.1", 422, "invalid"),
        ("GET /api/v1/accounts//messages HTTP/1.1", 422, "invalid"),
        ("GET /api/v1/jobs/retry HTTP/1.1", 405, "usage"),
        ("DELETE /api/v1/jobs/discard HTTP/1.1", 405, "usage"),
        ("POST /api/v1/jobs/7/retry HTTP/1.1", 404, "not_found"),
        ("GET /api/v1/domains HTTP/1.1", 200, ""),
        ("GET /%61pi/v1/d%6fmains HTTP/1.1", 200, ""),
        ("GET /api/v2/domains HTTP/1.1", 404, "not_found"),
        ("DELETE /api/v1/domains HTTP/1.1", 405, "usage"),
        ("BREW /api/v1/domains HTTP/1.1", 400, "usage"),
        ("TRACE /api/v1/domains HTTP/1.1", 405, "usage"),
        ("PUT /api/v1/accounts/ann@x.example/messages HTTP/1.1", 405, "usage"),
        ("PATCH /health/live HTTP/1.1", 405, "usage"),
        ("GET /api/v1/domains?limit=0 HTTP/1.1", 422, "invalid"),
        ("GET /api/v1/domains?limit=x HTTP/1.1", 422, "invalid"),
        ("GET /api/v1/domains?limit=1&limit=2 HTTP/1.1", 400, "usage"),
        ("GET /api/v1/domains?limit HTTP/1.1", 400, "usage"),
        ("GET /api/v1/domains?cursor=%ff HTTP/1.1", 400, "usage"),
        ("GET /api/v1/domains?nope=1 HTTP/1.1", 422, "invalid"),
        ("GET /api/v1/domains?" + "&".join(f"a{n}=1" for n in range(200)) + " HTTP/1.1", 400, "usage"),
        ("GET /api/v1/domains/%00 HTTP/1.1", 422, "invalid"),
        ("GET /api/v1/domains/%ff HTTP/1.1", 422, "invalid"),
        ("GET /api/v1/domains/unknown.example HTTP/1.1", 404, "not_found"),
        ("POST /api/v1/domains HTTP/1.1", 422, "invalid"),
        ("POST /api/v1/domains HTTP/1.1\nContent-Length: 2", 415, "usage"),
        ("POST /api/v1/domains HTTP/1.1\nContent-Type: text/html", 415, "usage"),
        ("POST /api/v1/domains HTTP/1.1\nContent-Type: application/json", 422, "invalid"),
        ("POST /api/v1/index/rebuild HTTP/1.1", 202, ""),
        ("POST /api/v1/domains HTTP/1.1\nContent-Type: application/json;charset=utf-16", 415, "usage"),
        (
            "POST /api/v1/domains HTTP/1.1\nContent-Type: application/json\nContent-Encoding: gzip",
            415,
            "usage",
        ),
        (
            "POST /api/v1/domains HTTP/1.1\nContent-Type: application/json\nContent-Length: 9999999",
            413,
            "too_large",
        ),
    ],
)
def test_every_refusal_is_a_problem(web: Web, head: str, status: int, code: str) -> None:
    """Status, code and form are right; nothing is HTML, nothing shows a stack."""
    found = ask(web.http.url, f"{head}\n{web.bearer}")
    assert found.status == status
    if code:
        assert found.headers["content-type"] == "application/problem+json"
        problem = found.json
        assert (problem["status"], problem["code"]) == (status, code)
        assert set(problem) - {"field"} == {"type", "title", "status", "detail", "code", "hint"}
        assert problem["type"].endswith(f"/docs/reference/rest.md#{code}")
        assert problem["detail"]
        assert "Traceback" not in found.body.decode()


FIELDS: tuple[tuple[str, str, object, str], ...] = (
    ("GET", "/domains?nope=1", None, "nope"),
    ("GET", "/domains?limit=0", None, "limit"),
    ("GET", "/domains?limit=x", None, "limit"),
    ("GET", "/domains/a%20b", None, "name"),
    ("GET", "/domains/", None, "name"),
    ("GET", "/hooks/", None, "name"),
    ("DELETE", "/tokens/", None, "id"),
    ("GET", "/accounts//messages", None, "address"),
    ("DELETE", "/domains/a%20b", None, "name"),
    ("POST", "/domains", {"name": "a b"}, "name"),
    ("POST", "/domains", {}, "name"),
    ("POST", "/domains", {"name": "a.example", "nope": 1}, "nope"),
    ("POST", "/domains", [], "body"),
    ("POST", "/accounts", {"address": "ann"}, "address"),
    ("POST", "/accounts", {"address": "ann@a b"}, "address"),
    ("GET", "/accounts/ann@a%20b", None, "address"),
    ("GET", "/accounts/ann@x.example/messages?tag=%09", None, "tag"),
    ("GET", "/accounts/ann@x.example/messages?unflag=%5Cx", None, "unflag"),
    ("POST", "/aliases", {"address": "*@a b", "to": ["ann@x.example"]}, "address"),
    ("POST", "/aliases", {"address": "a@x.example", "to": ["ann@a b"]}, "to"),
    ("POST", "/tokens", {"name": "x", "scopes": ["root"]}, "scopes.0"),
    ("PATCH", "/messages/x", {}, "id"),
    ("PATCH", "/messages/1", {"add_flags": ["\\x"]}, "add_flags"),
    ("PATCH", "/messages/1", {"tags": ["\t"]}, "tags"),
    ("PATCH", "/messages/1", {"remove_tags": ["\t"]}, "remove_tags"),
    ("PATCH", "/hooks/x", {"filter": {"nope": 1}}, "filter.nope"),
    ("POST", "/hooks/x/replay", {"account": "ann"}, "account"),
    ("GET", "/search?q=x&account=ann", None, "account"),
    ("GET", "/audit?cursor=x", None, "cursor"),
    ("GET", "/audit?since=x", None, "since"),
    ("GET", "/trace?cursor=x", None, "cursor"),
    ("GET", "/jobs?cursor=x", None, "cursor"),
    ("GET", "/jobs?state=x", None, "state"),
    ("GET", "/jobs/x", None, "id"),
    ("GET", "/hooks/x/log?cursor=x", None, "cursor"),
    ("GET", "/hooks/x/log?outcome=x", None, "outcome"),
    ("POST", "/hooks/x/test?type=x", b"Subject: x", "type"),
    ("GET", "/plugins/x.y/accesses?cursor=x", None, "cursor"),
    ("GET", "/plugins/x.y/logs?cursor=x", None, "cursor"),
    ("GET", "/backups?cursor=x", None, "cursor"),
    ("POST", "/plugins", b"no package", "body"),
)


@pytest.mark.parametrize(("method", "path", "body", "field"), FIELDS)
def test_what_is_wrong_is_named_as_on_the_wire(
    web: Web, method: str, path: str, body: object, field: str
) -> None:
    """The member `field` is the parameter or the member of the body, and the text names the same."""
    sent = {"content": body} if isinstance(body, bytes) else {} if body is None else {"json": body}
    kind = {"content-type": "application/octet-stream"} if isinstance(body, bytes) else {}
    answer = web.client.request(method, f"{API}{path}", headers=kind, **sent)
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == field
    if field != "body":
        assert answer.json()["detail"].startswith(f"{field}: ")


@pytest.mark.parametrize("field", ["mail_from", "rcpt_to"])
def test_a_hook_is_tried_with_addresses(web: Web, field: str) -> None:
    """What is none is refused before the hook is looked for."""
    kind = {"content-type": "message/rfc822"}
    path = f"{API}/hooks/gone/test"
    answer = web.client.post(path, params={field: "not an address"}, headers=kind, content=b"A: b\r\n\r\n")
    assert (answer.status_code, answer.json().get("field")) == (422, field)
    right = web.client.post(path, params={field: "ann@x.example"}, headers=kind, content=b"A: b\r\n\r\n")
    assert right.status_code == 404


def test_what_is_no_value_has_no_field(web: Web) -> None:
    """A search that cannot be read and a name that is not there have their own kinds."""
    for path in ("/search?q=%28&account=a@x.example", "/domains/gone.example"):
        assert "field" not in web.client.get(f"{API}{path}").json()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("HTTP/1.1\r\nHost: x", 200),
        ("HTTP/1.1\r\nHost:", 200),
        ("HTTP/1.1\r\nHost: [::1]:8025", 200),
        ("HTTP/1.1\r\nHost: [fe80::1%25eth0]:80", 200),
        ("HTTP/1.1\r\nHost: [fe80::1%25en-0.1_a~]", 200),
        ("HTTP/1.1\r\nHost: a_b.example:80", 200),
        ("HTTP/1.0\r\nX: y", 200),
        ("HTTP/1.1\r\nX: y", 400),
        ("HTTP/1.1\r\nHost: x\r\nHost: x", 400),
        ("HTTP/1.0\r\nHost: x\r\nHost: y", 400),
        ("HTTP/1.1\r\nHost: a b", 400),
        ("HTTP/1.1\r\nHost: [fe80::1%25]", 400),
        ("HTTP/1.1\r\nHost: [fe80::1%25a/b]", 400),
        ("HTTP/1.1\r\nHost: ann@x/y", 400),
    ],
)
def test_a_request_says_once_which_host_it_is_for(web: Web, head: str, status: int) -> None:
    """HTTP/1.1 without `Host`, or any with two or with what is none, is refused (RFC 9112 §3.2)."""
    with RawConnection(web.http.url) as connection:
        connection.send(f"GET /health/live {head}\r\n\r\n".encode())
        answer = connection.answer()
    assert answer.status == status
    if status == 400:
        assert answer.json["code"] == "usage"
        assert "Host" in answer.json["detail"]
        assert answer.headers["x-request-id"]


def test_what_is_no_http_is_refused_as_a_problem(web: Web) -> None:
    """Garbage gets one 400 and the connection ends."""
    with RawConnection(web.http.url) as connection:
        connection.send(b"\x16\x03\x01 TLS to a plain port\r\n\r\n")
        found = connection.answer()
        assert (found.status, found.json["code"]) == (400, "usage")
        assert connection.rest() == b""


@pytest.mark.parametrize(
    "path", ["/api/v1/domains", "/nothing", "/docs", "/health/live", "/api/v1/openapi.json"]
)
def test_every_answer_is_labelled(web: Web, path: str) -> None:
    """No sniffing, no storing unasked, a strict policy, an id; nothing says what software it is."""
    found = web.client.get(path, headers={"origin": "https://elsewhere.example"})
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["x-frame-options"] == "DENY"
    assert found.headers["referrer-policy"] == "no-referrer"
    assert found.headers["cache-control"] == ("private, no-cache" if "etag" in found.headers else "no-store")
    assert "strict-transport-security" not in found.headers
    assert found.headers["content-security-policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in found.headers["content-security-policy"]
    assert re.fullmatch(r"[0-9a-f]{16}", found.headers["x-request-id"])
    assert "server" not in found.headers
    assert not [name for name in found.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("0b9c6cd6-3f1c-4c3e-9a36-1f1f9e1f7b10", True),
        ("hello-1", True),
        ("Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1", True),
        ("dGVzdA+/==", True),
        ("x" * 128, True),
        ("", False),
        ("a\tb", False),
        ("a%0ab", False),
        ("a b c d e f g h", False),
        ("x" * 129, False),
    ],
)
def test_a_sane_request_id_is_kept(web: Web, given: str, kept: bool) -> None:
    """The client's id comes back and is in the log, unless it could disturb the log."""
    found = web.client.get("/health/live", headers={"x-request-id": given})
    assert (found.headers["x-request-id"] == given) is kept
    web.wait_for_log(f" {found.headers['x-request-id']} GET /health/live 200")


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        ("ja", "ja"),
        ("ja-JP, en;q=0.5", "ja"),
        ("en, ja;q=0.9", "en"),
        ("fr, ja;q=0.1", "ja"),
        ("fr", "en"),
        ("*", "en"),
        ("ja;q=0", "en"),
        ("ja;q=x", "en"),
        ("", "en"),
        (";;,,=", "en"),
    ],
)
def test_problems_speak_the_client_s_language(web: Web, wanted: str, language: str) -> None:
    """Accept-Language chooses among the catalogues; the code stays."""
    found = web.client.get(f"{API}/domains/unknown.example", headers={"accept-language": wanted})
    assert found.headers["content-language"] == language
    what = {"en": "There is no domain unknown.example.", "ja": "ドメイン unknown.example はありません。"}
    assert found.json()["detail"] == what[language]
    assert found.json()["code"] == "not_found"


def test_options_and_405_say_what_is_possible(web: Web) -> None:
    """Allow holds every method of the path, whichever route has it (RFC 9110 §10.2.1)."""
    allowed = "GET, HEAD, OPTIONS, POST"
    options = web.client.options(f"{API}/domains")
    assert (options.status_code, options.headers["allow"], options.content) == (204, allowed, b"")
    assert web.client.delete(f"{API}/domains").headers["allow"] == allowed
    assert web.client.get(f"{API}/jobs/retry").headers["allow"] == "OPTIONS, POST"
    one = web.client.options(f"{API}/accounts/a@b.example/messages")
    assert one.headers["allow"] == allowed
    assert (
        web.client.options(f"{API}/accounts/a@b.example").headers["allow"]
        == "DELETE, GET, HEAD, OPTIONS, PATCH"
    )
    assert web.client.options("/nothing").status_code == 404


@pytest.mark.parametrize(
    "path", ["/api/v1/domains", "/docs", "/health/live", "/api/v1/openapi.json", "/nothing"]
)
def test_head_is_get_without_a_body(web: Web, path: str) -> None:
    """HEAD has the status and the length of GET (RFC 9110 §9.3.2)."""
    get, head = web.client.get(path), web.client.head(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


def test_every_code_has_its_place_in_the_reference(web: Web) -> None:
    """The type of a problem leads to a heading that exists."""
    document = json.dumps(web.client.get(f"{API}/openapi.json").json())
    for code in ("not_found", "conflict", "invalid"):
        assert f"`{code}`" in document
    assert "HTTPValidationError" not in document
    assert set(BY_CODE) >= {"failed", "usage"}


def test_trap_a3_the_log_holds_no_key_and_no_query(web: Web) -> None:
    """A line in the log has the path, never the query, never a header; control characters are escaped."""
    web.client.get(f"{API}/domains?cursor=secret-query-text")
    web.client.get(f"{API}/domains/a%0Afaked%20line")
    log = web.wait_for_log("GET /api/v1/domains/a\\nfaked line 422")
    assert web.key.split("_")[2] not in log
    assert "secret-query-text" not in log


@pytest.mark.parametrize(
    ("fields", "body", "told"),
    [
        ("Content-Encoding: gzip", b"", "The body is encoded as gzip; here it is taken as it is."),
        ("", b'{"name": ' + b"9" * 5000 + b"}", "a number has more than 40 digits"),
    ],
)
def test_the_words_of_a_refusal_are_about_what_was_sent(
    web: Web, fields: str, body: bytes, told: str
) -> None:
    """Neither a hint about something else, nor the words of our programming language."""
    headers = dict([fields.split(": ")]) if fields else {}
    answer = web.client.post(
        f"{API}/domains", content=body, headers={"content-type": "application/json", **headers}
    )
    assert told in answer.json()["detail"]
    assert "set_int_max_str_digits" not in answer.text


@pytest.mark.parametrize("op", [op for op in OPERATIONS if op.body is None], ids=lambda op: op.id)
def test_a_body_that_nobody_reads_is_refused(web: Web, op: Operation) -> None:
    """Whoever sends one believes that it counts: the answer names its first key."""
    needed = [f"{one.name}=x" for one in op.query if one.default is one.empty]
    path = API + re.sub(r"{\w+(:path)?}", "1", op.path) + "?" + "&".join(needed)
    answer = web.client.request(op.method, path, json={"review": "x"})
    assert (answer.status_code, answer.json()["detail"]) == (422, "review: this field is not known here.")
    for body, kind, status in ((b"[]", "application/json", 422), (b"review=x", "text/plain", 415)):
        answer = web.client.request(op.method, path, content=body, headers={"content-type": kind})
        assert answer.status_code == status
    chunked = web.client.request(
        op.method, path, content=iter((b'{"a":', b"1}")), headers={"content-type": "application/json"}
    )
    assert chunked.json()["detail"].startswith("a: ")


def test_an_empty_body_is_none_whatever_type_it_has(web: Web, ann: Account) -> None:
    """And so is an object without fields; `curl -d ''` says that a form comes."""
    path = f"{API}/accounts/{ann.address}"
    json_, form = "application/json", "application/x-www-form-urlencoded"
    for content, kind in ((b"", form), (b"{}", json_), (iter(()), form), (iter((b"{", b"}")), json_)):
        answer = web.client.post(f"{path}/disable", content=content, headers={"content-type": kind})
        assert answer.status_code == 200
    assert web.client.get(path, headers={"content-type": form}).status_code == 200
    assert web.client.request("DELETE", path, content=b"{}", headers={"content-type": json_}).is_success


@pytest.mark.parametrize(
    "at",
    [
        "9999-12-31T23:59:59-23:59",
        "9999-12-31T23:59:59.9999Z",
        "0001-01-01T00:00:00+23:59",
        "2020-01-01T00:00:00Z",
        "2027-01-01T00:00:00",
        "soon",
        1900000000,
    ],
)
def test_a_key_s_end_that_makes_no_sense_is_422(web: Web, at: object) -> None:
    """With the field's name and a hint; the edges of the calendar are no exception."""
    answer = web.client.post(f"{API}/tokens", json={"name": "x", "scopes": ["read"], "expires_at": at})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("expires_at: ")
    assert answer.json()["hint"]
