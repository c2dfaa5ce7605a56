"""B-12: whoever wrote a client for the released API keeps it; the document of each release is kept for that.

`tests/released/openapi-v1.json` is replaced when a release is made, and never otherwise.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mairust_core.api.document import document
from tests.support.openapi_promise import broken

RELEASED = json.loads(Path(__file__).parents[1].joinpath("released/openapi-v1.json").read_text("utf-8"))

Change = Callable[[dict[str, Any]], object]


TOLD_LATE = re.compile(
    r"\S+ parameter limit: there is a (minimum|maximum) now"
    r"|mailboxes\.delete parameter name (is required now|has another default)"
    r"|(jobs\.browse parameter state|hooks\.log parameter outcome|hooks\.test parameter type)"
    r"(: there is a enum now| has another default)"
    r"|(accesses\.of_plugin|accesses\.of_account|audit\.browse) parameter since has another default"
    r"|messages\.browse parameter (since|before): null is no longer taken"
)
"""What was always refused, and is only said now: of words all but some; a null, which no query can hold.

An empty text, which was the default of some, is still taken, and asks for nothing.
"""


def test_the_api_keeps_what_the_last_release_promised() -> None:
    """Every path, parameter, field and answer is there, and none asks for more."""
    assert [one for one in broken(RELEASED, document()) if not TOLD_LATE.fullmatch(one)] == []


def operation(doc: dict[str, Any], path: str, method: str) -> Any:
    """One operation of a document."""
    return doc["paths"][f"/api/v1{path}"][method]


def properties(doc: dict[str, Any], schema: str) -> Any:
    """The fields of a schema."""
    return doc["components"]["schemas"][schema]["properties"]


def required(doc: dict[str, Any], schema: str) -> list[str]:
    """The certain fields of a schema."""
    found: list[str] = doc["components"]["schemas"][schema].setdefault("required", [])
    return found


def new_parameter(doc: dict[str, Any], *, is_required: bool) -> None:
    """Add a query parameter to the list of domains."""
    new = {"name": "extra", "in": "query", "required": is_required, "schema": {"type": "string"}}
    operation(doc, "/domains", "get")["parameters"].append(new)


BREAKING: dict[str, tuple[Change, str]] = {
    "path gone": (lambda d: d["paths"].pop("/api/v1/domains/{name}"), "domains.show: GET"),
    "method gone": (lambda d: d["paths"]["/api/v1/domains"].pop("post"), "domains.add: POST"),
    "id changed": (
        lambda d: operation(d, "/domains", "get").update(operationId="domains.list"),
        "its id is domains.list",
    ),
    "parameter gone": (
        lambda d: operation(d, "/domains", "get")["parameters"].pop(0),
        "domains.browse parameter cursor is gone",
    ),
    "parameter required": (lambda d: new_parameter(d, is_required=True), "parameter extra is required now"),
    "parameter of another type": (
        lambda d: operation(d, "/domains", "get")["parameters"][1]["schema"].update(type="string"),
        "parameter limit: integer is no longer taken",
    ),
    "default changed": (
        lambda d: operation(d, "/domains", "get")["parameters"][1]["schema"].update(default=10),
        "parameter limit has another default",
    ),
    "media type gone": (
        lambda d: operation(d, "/accounts/{address}/messages", "post")["requestBody"]["content"].pop(
            "message/rfc822"
        ),
        "message/rfc822 is no longer taken",
    ),
    "request field gone": (lambda d: properties(d, "NewToken").pop("subject"), "body.subject is gone"),
    "request field required": (
        lambda d: required(d, "NewToken").append("subject"),
        "body.subject is required now",
    ),
    "request null gone": (
        lambda d: properties(d, "NewToken").update(subject={"type": "string"}),
        "body.subject: null is no longer taken",
    ),
    "request value gone": (
        lambda d: d["components"]["schemas"]["Scope"]["enum"].remove("send"),
        "'send' is no longer taken",
    ),
    "request bound": (
        lambda d: properties(d, "NewToken")["name"].update(maxLength=10),
        "body.name: there is a maxLength now",
    ),
    "answer gone": (
        lambda d: operation(d, "/domains", "post")["responses"].pop("201"),
        "201 is no longer answered",
    ),
    "answer field gone": (lambda d: properties(d, "Summary").pop("preview"), ".preview is gone"),
    "answer field uncertain": (
        lambda d: required(d, "Domain").remove("accounts"),
        "accounts is no longer certain",
    ),
    "answer field null": (
        lambda d: properties(d, "Summary").update(uid={"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        ".uid: null may come now",
    ),
    "answer of another type": (
        lambda d: properties(d, "Account").update(id={"type": "integer"}),
        "id: integer may come now",
    ),
    "answer of another form": (
        lambda d: properties(d, "Account")["created_at"].pop("format"),
        "created_at: string may come now",
    ),
    "deep in an answer": (lambda d: properties(d, "Party").pop("address"), "from[].address is gone"),
    "header uncertain": (
        lambda d: operation(d, "/messages/{id}/raw", "get")["responses"]["200"]["headers"].pop("Repr-Digest"),
        "Repr-Digest is no longer certain",
    ),
    "problem changed": (lambda d: properties(d, "Problem").pop("hint"), ".hint is gone"),
}

HARMLESS: dict[str, Change] = {
    "nothing": lambda d: d.items(),
    "new path": lambda d: d["paths"].update({"/api/v1/x": {"get": {"operationId": "x.y", "responses": {}}}}),
    "new optional parameter": lambda d: new_parameter(d, is_required=False),
    "new request field": lambda d: properties(d, "NewToken").update(colour={"type": "string"}),
    "request wider": lambda d: properties(d, "NewToken").update(
        name={"anyOf": [{"type": "string"}, {"type": "integer"}]}
    ),
    "new value": lambda d: d["components"]["schemas"]["Scope"]["enum"].append("imap"),
    "new answer field": lambda d: properties(d, "Summary").update(colour={"type": "string"}),
    "answer narrower": lambda d: properties(d, "Token").update(subject={"type": "string"}),
    "request field no longer required": lambda d: required(d, "NewToken").remove("name"),
    "another problem": lambda d: operation(d, "/domains", "get")["responses"].pop("403"),
    "deprecated": lambda d: operation(d, "/domains", "get").update(deprecated=True),
    "words": lambda d: operation(d, "/domains", "get").update(summary="x", description="y", tags=["z"]),
}


@pytest.mark.parametrize("case", BREAKING)
def test_a_broken_promise_is_seen(case: str) -> None:
    """Each kind of it is named, where it is."""
    change, told = BREAKING[case]
    newer = copy.deepcopy(RELEASED)
    change(newer)
    found = broken(RELEASED, newer)
    assert any(told in line for line in found), found


@pytest.mark.parametrize("case", HARMLESS)
def test_what_harms_nobody_is_let_pass(case: str) -> None:
    """An API may grow."""
    newer = copy.deepcopy(RELEASED)
    HARMLESS[case](newer)
    assert broken(RELEASED, newer) == []
