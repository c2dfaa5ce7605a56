"""What the OpenAPI document says of the doors for plugins, no operations: they take tokens of their own."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from mairust_core.api.plugin_doors import CALLBACK, KEYS, METRICS
from mairust_core.api.problems import MEDIA_TYPE, title
from mairust_core.api.routes import PROBLEM
from mairust_core.errors import (
    Conflict,
    Forbidden,
    Invalid,
    MaiRustError,
    TooLarge,
    TooMany,
    Unauthenticated,
    Usage,
)
from mairust_core.hooks.schema import ANSWER
from mairust_core.model.plugin_forms import CalledBack, Told

TAG = {"name": "plugin", "description": "Where plugins come back, with tokens of their own."}
SCHEME = "PluginToken"
_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": (
        "The token that came with a delivery, or one that `plugin token create` issued: a JSON Web Token "
        "under the site's key, good for an hour at the most, checked at each use."
    ),
}
_METRICS_SCHEMA = {
    "type": "object",
    "required": ["metrics"],
    "additionalProperties": False,
    "properties": {"metrics": {"type": "object", "additionalProperties": {"type": "number"}}},
}
_KEYS_SCHEMA = {
    "type": "object",
    "required": ["keys"],
    "properties": {"keys": {"type": "array", "items": {"type": "object", "additionalProperties": True}}},
}


def describe_doors(document: dict[str, Any]) -> None:
    """Add the doors, their tag and their kind of token to a document of operations."""
    schemas = document["components"]["schemas"]
    for kind in (CalledBack, Told):
        schemas[kind.__name__] = TypeAdapter(kind).json_schema()
    document["components"].setdefault("securitySchemes", {})[SCHEME] = _SCHEME
    document["tags"].append(TAG)
    document["paths"] |= {
        CALLBACK: {"post": _callback()},
        METRICS: {"post": _metrics()},
        KEYS: {"get": _keys()},
    }


def _callback() -> dict[str, Any]:
    return {
        "operationId": "plugin.call_back",
        "summary": "Say more of one delivery, once",
        "description": (
            "Applied by what the plugin may write now; no hook is asked about it. Needs a token of scope "
            "`plugin:ID:callback` for this delivery."
        ),
        "parameters": [{"name": "delivery_id", "in": "path", "required": True, "schema": {"type": "string"}}],
        **_taken({key: value for key, value in ANSWER.items() if not key.startswith("$")}, "CalledBack"),
    }


def _metrics() -> dict[str, Any]:
    return {
        "operationId": "plugin.tell",
        "summary": "Tell numbers of the plugin itself, in place of earlier ones of the same names",
        "description": "At most 64 names. Needs a token of scope `plugin:ID:metrics`.",
        **_taken(_METRICS_SCHEMA, "Told"),
    }


def _taken(body: dict[str, Any], answer: str) -> dict[str, Any]:
    """What both doors have in common."""
    ref = {"$ref": f"#/components/schemas/{answer}"}
    return {
        "tags": [TAG["name"]],
        "security": [{SCHEME: []}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "200": {"description": "OK", "content": {"application/json": {"schema": ref}}},
            **_problems(Usage, Unauthenticated, Forbidden, Conflict, TooLarge, Invalid, TooMany),
        },
    }


def _keys() -> dict[str, Any]:
    return {
        "operationId": "plugin.keys",
        "tags": [TAG["name"]],
        "summary": "The public keys of the tokens by which plugins know this site (RFC 7517)",
        "description": "Anybody may have them. Empty before the first token was made.",
        "security": [],
        "responses": {
            "200": {"description": "OK", "content": {"application/json": {"schema": _KEYS_SCHEMA}}},
            **_problems(TooMany),
        },
    }


def _problems(*kinds: type[MaiRustError]) -> dict[str, Any]:
    by_status: dict[str, list[str]] = {}
    for kind in kinds:
        by_status.setdefault(str(kind.status), []).append(f"`{kind.code}`: {title(kind)}.")
    by_status["default"] = ["Anything else that went wrong."]
    return {
        status: {"description": " ".join(texts), "content": {MEDIA_TYPE: PROBLEM}}
        for status, texts in by_status.items()
    }
