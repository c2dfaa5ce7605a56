"""The OpenAPI document, the same for every site of this version."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from fastapi import FastAPI
from pydantic import TypeAdapter

from mairust_core.api.door_document import describe_doors
from mairust_core.api.operation_document import describing
from mairust_core.api.problems import Problem
from mairust_core.api.routes import in_order
from mairust_core.operations import Service
from mairust_core.services.registry import SERVICES

TITLE = "MaiRust"
VERSION = "1"
DESCRIPTION = (
    "Everything the command line does, over HTTP. Ids are strings, times RFC 3339 in UTC, sizes bytes. "
    "Errors are problem details (RFC 9457) with a stable `code` and a `hint`. Unknown keys of a request and "
    "unknown parameters are refused; a client ignores keys of an answer that it does not know."
)


HEADERS: dict[str, Any] = {
    "X-Request-Id": {
        "description": "The client's own, or a new one; the server's log has it.",
        "required": True,
        "schema": {"type": "string"},
    },
    "WWW-Authenticate": {
        "description": "`Bearer`, and what is wrong with the key that came (RFC 6750).",
        "required": True,
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "After how many seconds it may work; with all that may work later.",
        "schema": {"type": "integer"},
    },
    "Idempotent-Replayed": {
        "description": "`true` when this is the answer to an earlier request with the same Idempotency-Key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
}
RETRIED = frozenset({"400", "423", "429", "503", "507"})
"""The statuses of what may work later; not of everything that has them."""


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document of every operation there is, and of the doors for plugins."""
    return _with_doors(describe(SERVICES))


def describe(services: Sequence[type[Service]]) -> dict[str, Any]:
    """The document of these services."""
    app = FastAPI(title=TITLE, description=DESCRIPTION, version=VERSION)
    app.router.routes += [describing(op) for _, op in in_order(services)]
    found = app.openapi()
    found["tags"] = [{"name": kind.noun, "description": _first_line(kind)} for kind in services]
    schemas = found["components"]["schemas"]
    schemas["Problem"] = TypeAdapter(Problem).json_schema()
    found["components"]["schemas"] = _titled(schemas)
    found["servers"] = [{"url": "/"}]
    return found


def _with_doors(found: dict[str, Any]) -> dict[str, Any]:
    describe_doors(found)
    found["components"]["schemas"] = _titled(found["components"]["schemas"])
    found["components"]["headers"] = HEADERS
    for path in found["paths"].values():
        for operation in path.values():
            _add_headers(operation)
    return found


def _add_headers(operation: dict[str, Any]) -> None:
    """What every answer carries, and what those of some statuses do."""
    repeatable = any(one["name"] == "Idempotency-Key" for one in operation.get("parameters", ()))
    for status, response in operation["responses"].items():
        names = ["X-Request-Id"]
        names += ["WWW-Authenticate"] if status == "401" else []
        names += ["Retry-After"] if status in RETRIED else []
        names += ["Idempotent-Replayed"] if repeatable and status.startswith("2") else []
        said = response.get("headers", {})
        response["headers"] = said | {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _titled(schemas: dict[str, Any]) -> dict[str, Any]:
    """The schemas by name, which is their title, too: generators of clients call classes by the title."""
    return {name: schemas[name] | {"title": name} for name in sorted(schemas)}


def _first_line(kind: type[Service]) -> str:
    return (kind.__doc__ or "").partition("\n")[0]


def text() -> str:
    """The document as it is kept, served and reviewed."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"
