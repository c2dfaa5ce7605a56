"""The OpenAPI document, the page, and the reference: all from the operations."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest

from mairust_core.api import pages
from mairust_core.api.document import document, text
from mairust_core.api.reference import reference
from mairust_core.errors import BY_CODE
from mairust_core.items import MEDIA_TYPE
from mairust_core.model.moment import FORMS
from mairust_core.operations import BytesIn, items_of
from mairust_core.services.registry import SERVICES
from mairust_core.wire.words import enum_of
from tests.integration.api.conftest import Web

DOCS = Path(__file__).resolve().parents[3] / "docs/reference"
REMAKE = "run: python -m mairust_core.api.reference docs/reference"
DOORS = {"plugin.callback", "plugin.metrics", "plugin.keys"}
OPERATIONS = [op for kind in SERVICES for op in kind.operations.values()]


def described() -> dict[str, Any]:
    """The operations of the document by their id."""
    methods = (found for path in document()["paths"].values() for found in path.values())
    return {found["operationId"]: found for found in methods}


def test_the_document_that_is_served_is_fresh() -> None:
    """A change of the contract shows itself in a file, where it can be reviewed."""
    assert pages.DOCUMENT.read_text("utf-8") == text(), REMAKE


def test_a_server_does_not_load_what_makes_the_document_or_what_only_plugins_need(web: Web) -> None:
    """Each worker would hold it, and each start wait for it."""
    code = (
        "import sys; from pathlib import Path; "
        "import mairust_core.hooks.chain, mairust_core.serve.joining, mairust_core.serve.worker; "
        "from mairust_core.api import create_app; from mairust_core.api.server import HttpServer; "
        "from mairust_core.app import opened; from mairust_core.config import load_settings\n"
        "with opened(load_settings(data_dir=Path(sys.argv[1]), env={})) as site:\n"
        "    HttpServer(create_app(site))\n"
        "print({'cryptography', 'fastapi', 'jwt', 'mairust_core.api.document'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, web.site.settings.data_dir],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.stdout == "set()\n"


def test_the_reference_is_fresh() -> None:
    """The page in docs/ is the one the operations give."""
    assert (DOCS / "rest.md").read_text("utf-8") == reference(), REMAKE


def test_the_reference_names_everything() -> None:
    """Every operation and every code of an error has its heading."""
    page = reference()
    assert all(f"\n### {op.id}\n" in page for op in OPERATIONS)
    assert all(f"\n### {code}\n" in page for code in BY_CODE)


def test_the_reference_says_what_a_request_must_say() -> None:
    """A parameter without a default is required, and nothing of Python shows."""
    page = reference()
    assert "* `?q=` text, required\n* `?account=` text, required\n* `?cursor=` text\n" in page
    assert "<class" not in page
    assert "default ``" not in page


def test_the_document_says_which_words_a_parameter_takes() -> None:
    """Each of them, no null, which no query can hold; and words in answers are enumerated, too."""
    schemas = document()["components"]["schemas"]
    told = {}
    for op in OPERATIONS:
        parameters = {one["name"]: one for one in described()[op.id].get("parameters", [])}
        for name in op.words:
            enum = enum_of(op.types[name])
            assert enum is not None
            schema = parameters[name]["schema"]
            assert schema.keys() <= {"$ref", "title"}, (op.id, name)
            told[op.id, name] = schemas[schema["$ref"].rpartition("/")[2]]["enum"]
            assert told[op.id, name] == [*enum]
    assert set(told) == {("jobs.browse", "state"), ("hooks.log", "outcome"), ("hooks.test", "type")}
    assert schemas["Mail"]["properties"]["road"]["$ref"].endswith("/Road")
    assert schemas["Message"]["properties"]["eol"]["enum"] == ["crlf", "lf", "mixed"]
    for name in ("HookCall", "Tried"):
        assert schemas[name]["properties"]["action"]["$ref"].endswith("/ActionWord")


def test_the_document_says_how_times_in_the_past_are_written() -> None:
    """The same of all of them."""
    told = {
        json.dumps({**one["schema"], "title": "", "default": ""}, sort_keys=True)
        for op in OPERATIONS
        for one in described()[op.id].get("parameters", [])
        if one["name"] in ("since", "before")
    }
    (schema,) = map(json.loads, told)
    assert schema["description"] == FORMS
    assert schema["anyOf"] == [{"type": "string", "format": "date-time"}, {"type": "string"}]


def test_the_server_gives_the_same_document(web: Web) -> None:
    """What is served needs no key and is what is kept in docs/."""
    answer = web.client.get("/api/v1/openapi.json", headers={"authorization": ""})
    assert answer.json() == json.loads(pages.DOCUMENT.read_text("utf-8"))


def test_every_operation_is_described() -> None:
    """Id, tag, summary, key, and its declared errors as problems; nothing of FastAPI's own 422."""
    found = described()
    assert set(found) == {op.id for op in OPERATIONS} | DOORS
    for op in OPERATIONS:
        entry = found[op.id]
        assert entry["tags"] == [op.noun]
        assert entry["summary"] == op.summary.rstrip(".")
        assert entry["security"] == [{"ApiKey": []}]
        assert {str(error.status) for error in op.errors} <= set(entry["responses"])
        for status, response in entry["responses"].items():
            if not status.startswith(("2", "304")):
                assert list(response["content"]) == ["application/problem+json"]
    assert "ValidationError" not in text()
    assert "Raises" not in text()


def test_the_doors_for_plugins_are_described(web: Web) -> None:
    """They are no operations: their own token or none, what is asked and answered, and every problem."""
    found = described()
    assert [found[name]["security"] for name in sorted(DOORS)] == [
        [{"PluginToken": []}],
        [],
        [{"PluginToken": []}],
    ]
    schemas = document()["components"]["schemas"]
    for name in DOORS:
        for one in re.findall(r"#/components/schemas/(\w+)", json.dumps(found[name])):
            assert one in schemas
    asked = json.loads((DOCS / "hook-answer.schema.json").read_text("utf-8"))
    asked |= {"title": "HookAnswer"}
    assert schemas["HookAnswer"] == {name: value for name, value in asked.items() if name != "$schema"}
    for path, method in (("callback/1", "post"), ("metrics", "post"), ("jwks.json", "get")):
        answer = web.client.request(method, f"/api/v1/plugin/{path}", json={} if method == "post" else None)
        name = {"callback/1": "callback", "jwks.json": "keys"}.get(path, path)
        assert str(answer.status_code) in found[f"plugin.{name}"]["responses"]


def test_every_parameter_is_described() -> None:
    """Path and query parameters and the body are those of the declaration."""
    for op in OPERATIONS:
        entry = described()[op.id]
        listed = {(p["in"], p["name"]) for p in entry.get("parameters", [])}
        heeded = {("header", "Idempotency-Key")} if op.heeds_key else set()
        if op.method in ("PATCH", "PUT", "DELETE"):  # all of them: If-Match is never ignored
            assert {"400", "412"} <= set(entry["responses"])
            heeded = {("header", "If-Match")}
        assert listed == heeded | {("path", n) for n in op.path_params} | {
            ("query", p.name) for p in op.query
        }
        body = entry.get("requestBody", {}).get("content", {})
        expected = list(op.accepts) if op.body_type is BytesIn else ["application/json"]
        if items_of(op.body_type) is not None:
            expected = [MEDIA_TYPE]
        assert list(body) == (expected if op.body else [])


def test_requests_are_closed_and_ids_are_strings() -> None:
    """Request schemas forbid unknown keys, answers allow them; ids are strings of digits."""
    schemas = document()["components"]["schemas"]
    for op in OPERATIONS:
        if op.body and op.body_type is not BytesIn and items_of(op.body_type) is None:
            assert schemas[op.body_type.__name__]["additionalProperties"] is False
    assert "additionalProperties" not in schemas["Account"]
    assert schemas["Account"]["properties"]["id"]["type"] == "string"
    assert "from" in schemas["Summary"]["properties"]


def test_the_headers_of_answers_are_described(web: Web) -> None:
    """What an answer carries is in the document: its id, when to come again, how to authenticate."""
    found, known = described(), document()["components"]["headers"]
    for entry in found.values():
        for status, response in entry["responses"].items():
            for name, said in response["headers"].items():
                assert said.get("$ref", "").rpartition("/")[2] in {"", name}
                assert name in known or said["description"]
            assert "X-Request-Id" in response["headers"]
            assert ("WWW-Authenticate" in response["headers"]) is (status == "401")
        assert entry["responses"].get("429", {"headers": ["Retry-After"]})["headers"].keys() >= {
            "Retry-After"
        }
    for op in OPERATIONS:
        answered = found[op.id]["responses"][str(op.status)]["headers"]
        assert ("Idempotent-Replayed" in answered) >= op.creates
    refused = web.client.get("/api/v1/domains", headers={"authorization": ""})
    assert {"x-request-id", "www-authenticate"} <= set(refused.headers)


def test_what_is_refused_is_described() -> None:
    """How long a page may be, and which parameter has to be there."""
    given = [one for entry in described().values() for one in entry.get("parameters", [])]
    limits = [one["schema"] for one in given if one["name"] == "limit"]
    assert len(limits) > 10
    for schema in limits:
        bounded = schema.get("anyOf", [schema])[0]
        assert (bounded["minimum"], bounded["maximum"]) == (1, 500)
    name = next(p for p in described()["mailboxes.delete"]["parameters"] if p["name"] == "name")
    assert name["required"]
    for op in ("messages.attachment", "messages.part"):
        assert "*/*" in described()[op]["responses"]["200"]["content"]


def test_every_schema_makes_a_class_of_its_own() -> None:
    """Generators of clients call a schema's class by its title, one inside by those it is in: none twice."""
    schemas = document()["components"]["schemas"]
    assert {name: one.get("title") for name, one in schemas.items()} == {name: name for name in schemas}
    called = Counter(re.sub("[^A-Za-z0-9]", "", name) for name in schemas)
    for name, one in schemas.items():
        for key, inner in one.get("properties", {}).items():
            if inner.get("type") == "object":
                called[name + inner.get("title", key.title())] += 1
    assert [name for name, times in called.items() if times > 1] == []


def test_the_page_needs_nothing_from_outside(web: Web) -> None:
    """No address elsewhere, no inline script, style or handler; its policy would refuse them anyway."""
    page = web.client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    html = page.text
    assert not re.search(r"https?://|<style|\son\w+=|<script>|javascript:", html)
    for path in re.findall(r'(?:src|href)="([^"]+)"', html):
        served = web.client.get(path)
        assert served.status_code == 200, path
        assert not re.search(r"https?://|innerHTML|outerHTML|eval\(|document\.write", served.text) or (
            path == "/api/v1/openapi.json"
        )


PAGE = """
const made = [];
function node(name) {
  return {
    name, children: [], value: "", hidden: false,
    append(...children) { this.children.push(...children); },
    addEventListener(kind, call) { this.call = call; },
  };
}
const ids = {};
globalThis.document = {
  getElementById: (id) => (ids[id] ||= node(id)),
  createElement: (name) => { const one = node(name); made.push(one); return one; },
};
globalThis.fetch = async (target, options) => {
  if (!options) return { json: async () => JSON.parse(require("fs").readFileSync(0)) };
  console.log(JSON.stringify({ target, ...options }));
  return { text: async () => "", headers: { get: () => "" } };
};
require(process.env.PAGE);
setTimeout(() => {
  const form = made.find((one) => one.id === process.env.OPERATION);
  const inside = (one) => [one, ...(one.children || []).flatMap(inside)];
  for (const label of inside(form).filter((one) => one.name === "label")) {
    label.children.at(-1).value = `given ${label.children[0].split(" ")[0]}`;
  }
  inside(form).find((one) => one.name === "button").call();
}, 50);
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_the_page_sends_every_parameter() -> None:
    """Those of the path, of the query and of the head, each where the document says it is."""
    script = Path(pages.__file__).with_name("docs_page") / "page.js"
    for entry in described().values():
        given = [(one["in"], one["name"]) for one in entry.get("parameters", [])]
        if entry["operationId"] not in {"domains.add", "messages.append", "messages.browse"}:
            continue
        run = subprocess.run(
            ["node", "-e", PAGE],
            env={"PATH": os.environ["PATH"], "PAGE": str(script), "OPERATION": entry["operationId"]},
            input=json.dumps(document()), capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        sent = json.loads(run.stdout)
        path, _, query = sent["target"].partition("?")
        found = {"path": unquote(path), "query": str(parse_qs(query)), "header": str(sent["headers"])}
        for where, name in given:
            assert f"given {name}" in found[where], (entry["operationId"], where, name)


def test_the_page_s_script_is_javascript(web: Web) -> None:
    """The script has the type that nosniff demands."""
    assert web.client.get("/docs/page.js").headers["content-type"].startswith("text/javascript")
    assert web.client.get("/docs/page.css").headers["content-type"].startswith("text/css")
