"""The JSON Schemas of request and answer (contract §4), for authors of plugins and their tools.

`python -m mairust_core.hooks.schema DIRECTORY` writes both; the API gives the same. A test holds them to what
`payload` makes and `answers` takes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from mairust_core.hooks.answers import ACTIONS, MAX_MESSAGE_OCTETS, MAX_NAMES
from mairust_core.hooks.payload import PROTOCOL
from mairust_core.model.flags import MAX_TAG_LENGTH, MAX_TAGS
from mairust_core.model.hook import HookType

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILES = {"request": "hook-request.schema.json", "answer": "hook-answer.schema.json"}


def _object(properties: Schema, required: tuple[str, ...], text: str, *, open_: bool = False) -> Schema:
    return {
        "type": "object",
        "description": text,
        "properties": properties,
        "required": list(required),
        "additionalProperties": open_,
    }


def _text(description: str, **more: Any) -> Schema:
    return {"type": "string", "description": description, **more}


def _list(items: Schema, description: str, **more: Any) -> Schema:
    return {"type": "array", "items": items, "description": description, **more}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}], "description": schema.get("description", "")}


_COUNT: Schema = {"type": "integer", "minimum": 0}
_FREE: Schema = {"type": "object"}

_BODY: Schema = {
    "description": "With read_body; preview or full.",
    "oneOf": [
        _object(
            {
                "preview": _text("The first 4096 bytes of the text, in UTF-8, whole characters."),
                "truncated": {"type": "boolean"},
                "source": {"enum": ["plain", "html"]},
                "has_html": {"type": "boolean"},
            },
            ("preview", "truncated", "source", "has_html"),
            "read_body = preview",
        ),
        _object(
            {
                "text": _text("All text, taken from the HTML where there is no other."),
                "html": _text("The HTML as it was written, empty when there is none."),
                "raw_base64": _or_null(
                    _text(
                        "The bytes as they came, without what may not be read: the header needs"
                        " read_headers, attached parts need read_attachments. Null beyond 64 MiB.",
                        contentEncoding="base64",
                    )
                ),
                "truncated": {"type": "boolean", "description": "There: something of this is cut."},
                "source": {"enum": ["plain", "html"]},
                "has_html": {"type": "boolean"},
            },
            ("text", "html", "raw_base64", "source", "has_html"),
            "read_body = full",
        ),
    ],
}

_ATTACHMENT = _object(
    {
        "filename": _text("As the sender wrote it, decoded; never a path to be trusted."),
        "content_type": _text("Of the part."),
        "size": {**_COUNT, "description": "Bytes when decoded; an estimate unless the content is given."},
        "content_base64": _or_null(
            _text("With read_attachments = full. Null beyond 64 MiB of mail.", contentEncoding="base64")
        ),
    },
    ("filename", "content_type", "size"),
    "One attached part.",
)

_MESSAGE = _object(
    {
        "id": _or_null(_text("Of the stored message; null before it is stored.")),
        "size": {**_COUNT, "description": "Bytes."},
        "received_at": _text("RFC 3339, UTC.", format="date-time"),
        "headers": _list(
            {
                "type": "array",
                "prefixItems": [{"type": "string"}, {"type": "string"}],
                "items": False,
                "minItems": 2,
            },
            "With read_headers: name and value in order, unfolded, encoded words as they are.",
        ),
        "body": _BODY,
        "attachments": _list(_ATTACHMENT, "With read_attachments."),
        "truncated": {
            "type": "boolean",
            "description": "With read_attachments, there when not all of the mail was looked through.",
        },
    },
    ("id", "size", "received_at"),
    "What was sent.",
)

_ENVELOPE = _object(
    {
        "mail_from": _text("Empty for the null sender."),
        "rcpt_to": _list({"type": "string"}, "The recipients that the filter matches, and no others."),
    },
    ("mail_from", "rcpt_to"),
    "With read_headers.",
)

_CONNECTION = _object(
    {
        "ip": _or_null(_text("Null where a front server did not tell.")),
        "helo": _text("As the client called itself."),
        "tls": {"type": "boolean"},
        "auth": _or_null(_text("Who authenticated.")),
    },
    ("ip", "helo", "tls", "auth"),
    "With read_headers.",
)

_CALLBACK = _object(
    {
        "url": _text("POST the answer there, once.", format="uri"),
        "token": _text("For the Authorization header."),
        "expires_at": _text("RFC 3339, UTC.", format="date-time"),
    },
    ("url", "token", "expires_at"),
    "Where a post_receive hook may answer later.",
)

_ALWAYS = (
    "protocol", "hook", "delivery_id", "plugin", "attempt", "message", "recipient", "metadata", "callback",
)  # fmt: skip

REQUEST: Schema = {
    "$schema": DIALECT,
    "title": "What a MaiRust hook is asked",
    **_object(
        {
            "protocol": {"const": PROTOCOL},
            "hook": {"enum": [one.value for one in HookType]},
            "delivery_id": _text("The same in every attempt: what came before can be told by it."),
            "plugin": _text("The plugin's own id."),
            "attempt": {"type": "integer", "minimum": 1},
            "message": _MESSAGE,
            "envelope": _ENVELOPE,
            "connection": _or_null(_CONNECTION),
            "tags": _list({"type": "string"}, "With read_headers: the tags so far."),
            "recipient": _text("The address in question; the first of several."),
            "metadata": {**_FREE, "description": "What the plugin itself wrote, by its own names."},
            "callback": _or_null(_CALLBACK),
        },
        _ALWAYS,
        "One JSON document: the body of an HTTP request, or one line on stdin. More fields may come.",
        open_=True,
    ),
}  # fmt: skip

_TAG = _text("A tag.", minLength=1, maxLength=MAX_TAG_LENGTH)

ANSWER: Schema = {
    "$schema": DIALECT,
    "title": "What a MaiRust hook answers",
    **_object(
        {
            "action": {
                "enum": list(ACTIONS),
                "description": "`allow` and `tag` are read as `deliver`. The strongest of all hooks counts.",
            },
            "code": _or_null(
                {
                    "description": "550, or `550 5.7.1`; one that does not fit becomes the default.",
                    "anyOf": [
                        {"type": "integer", "minimum": 400, "maximum": 599},
                        {"type": "string", "pattern": "^[45][0-9]{2}( [45](\\.[0-9]{1,3}){2})?$"},
                    ],
                }
            ),
            "permanent": _or_null(
                {"type": "boolean", "description": "Absent: true for reject, false for tempfail."}
            ),
            "message": _or_null(
                _text(f"One printable line of at most {MAX_MESSAGE_OCTETS} octets.", pattern="^[^\\r\\n]*$")
            ),
            "tags": _or_null(_list(_TAG, "Needs write_tags.", maxItems=MAX_TAGS)),
            "remove_tags": _or_null(_list(_TAG, "Needs write_tags.", maxItems=MAX_TAGS)),
            "flags": _or_null(
                _list(_text("A system flag but \\Deleted and \\Recent, or a keyword."), "Needs write_flags.")
            ),
            "move_to": _or_null(_text("A mailbox, made if it is missing. Needs move_message.")),
            "metadata": _or_null(
                {
                    **_FREE,
                    "maxProperties": MAX_NAMES,
                    "description": "Needs write_metadata; kept as `plugin:<id>:<name>`, 16 KiB.",
                }
            ),
            "annotations": _or_null(
                {**_FREE, "maxProperties": MAX_NAMES, "description": "Remarks for the trace, 16 KiB."}
            ),
            "score": _or_null({"type": "number", "description": "For the trace."}),
        },
        ("action",),
        "One JSON document of at most 128 KiB. Other fields are ignored.",
        open_=True,
    ),
}
SCHEMAS: dict[str, Schema] = {"request": REQUEST, "answer": ANSWER}


def main(directory: str) -> None:
    """Write both schemas."""
    for name, file in FILES.items():
        text = json.dumps(SCHEMAS[name], indent=2, ensure_ascii=False)
        Path(directory, file).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
