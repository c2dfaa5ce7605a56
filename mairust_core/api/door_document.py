"""The doors for plugins in the OpenAPI document: no operations, and so described by hand."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter

from mairust_core.api.operation_document import PROBLEM
from mairust_core.api.plugin_doors import CALLBACK, KEYS, METRICS
from mairust_core.api.problems import MEDIA_TYPE, title
from mairust_core.errors import (
    Conflict,
    Forbidden,
    Invalid,
    Locked,
    MaiRustError,
    StorageDown,
    TooLarge,
    TooMany,
    Unauthenticated,
    Usage,
)
from mairust_core.hooks.schema import ANSWER
from mairust_core.model.plugin_forms import CalledBack, Told
from mairust_core.plugins.callbacks import MAX_METRICS, METRIC_PATTERN

TAG = "plugin"
SCHEME = "PluginToken"
_JSON = "application/json"
_WITH_TOKEN = (
    Unauthenticated, Forbidden, Conflict, Locked, Invalid, TooLarge, TooMany, StorageDown, Usage,
)  # fmt: skip
_METRICS = {
    "type": "object",
    "description": "Numbers that a plugin tells of itself; in place of earlier ones of these names.",
    "required": ["metrics"],
    "additionalProperties": False,
    "properties": {
        "metrics": {
            "type": "object",
            "maxProperties": MAX_METRICS,
            "propertyNames": {"pattern": f"^{METRIC_PATTERN}$"},
            "additionalProperties": {"type": "number"},
        }
    },
}
_KEYS = {
    "type": "object",
    "description": "A JSON Web Key Set (RFC 7517) of Ed25519 keys (RFC 8037); empty before the first plugin.",
    "required": ["keys"],
    "properties": {
        "keys": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["kty", "crv", "x", "kid", "alg", "use"],
                "properties": {name: {"type": "string"} for name in ("kty", "crv", "x", "kid", "alg", "use")},
            },
        }
    },
}


def describe_doors(document: dict[str, Any]) -> None:
    """Add them, their schemas and the token that opens them to a document of operations."""
    schemas: dict[str, Any] = document["components"]["schemas"]
    schemas["HookAnswer"] = {name: value for name, value in ANSWER.items() if name != "$schema"}
    schemas["NewMetrics"], schemas["PluginKeys"] = _METRICS, _KEYS
    for kind in (CalledBack, Told):
        schemas[kind.__name__] = TypeAdapter(kind).json_schema()
    document["components"]["securitySchemes"][SCHEME] = {
        "type": "http",
        "description": "A JSON Web Token, good for an hour at the most and checked at each use: that of "
        "`callback` in what a post_receive hook is asked, or one that an administrator issued.",
        "scheme": "bearer",
        "bearerFormat": "JWT",
    }
    document["tags"].append(
        {"name": TAG, "description": "What plugins say later, and the key they know us by."}
    )
    document["paths"] |= {
        CALLBACK: {"post": _callback()},
        METRICS: {"post": _metrics()},
        KEYS: {"get": _keys()},
    }


def _callback() -> dict[str, Any]:
    return {
        **_said("callback", "Say more of a delivery, once", "HookAnswer", "CalledBack", _WITH_TOKEN),
        "description": "What the plugin may not write, or what came too late, is in `left_out`. No hook is "
        "asked about the change.",
        "parameters": [
            {"name": "delivery_id", "in": "path", "required": True, "schema": {"type": "string"}},
        ],
    }


def _metrics() -> dict[str, Any]:
    return {
        **_said("metrics", "Tell numbers of oneself", "NewMetrics", "Told", _WITH_TOKEN),
        "description": f"At most {MAX_METRICS} names; `mairust plugin show` lists them.",
    }


def _said(
    name: str, summary: str, body: str, answer: str, errors: tuple[type[MaiRustError], ...]
) -> dict[str, Any]:
    return {
        "tags": [TAG],
        "summary": summary,
        "operationId": f"{TAG}.{name}",
        "security": [{SCHEME: []}],
        "requestBody": {"required": True, "content": {_JSON: {"schema": _ref(body)}}},
        "responses": {"200": _answer(answer), **_problems(errors)},
    }


def _keys() -> dict[str, Any]:
    return {
        "tags": [TAG],
        "summary": "Give the public keys under which plugins know this site",
        "operationId": f"{TAG}.keys",
        "description": "For the token that comes with each question to an http or unix plugin. Needs no key.",
        "security": [],
        "responses": {"200": _answer("PluginKeys"), **_problems((TooMany, StorageDown))},
    }


def _answer(schema: str) -> dict[str, Any]:
    return {"description": HTTPStatus.OK.phrase, "content": {_JSON: {"schema": _ref(schema)}}}


def _ref(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}


def _problems(kinds: tuple[type[MaiRustError], ...]) -> dict[str, Any]:
    texts = {str(kind.status): f"`{kind.code}`: {title(kind)}." for kind in kinds}
    texts["default"] = "Anything else that went wrong."
    return {
        status: {"description": text, "content": {MEDIA_TYPE: PROBLEM}}
        for status, text in sorted(texts.items())
    }
