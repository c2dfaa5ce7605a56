"""Makes `docs/reference/rest.md` from the operations.

`python -m mairust_core.api.reference docs/reference` writes it, and the OpenAPI document that every server
of this version serves, by which a change of the contract shows itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime
from enum import Enum
from inspect import Parameter
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from mairust_core.api.bodies import MAX_JSON_BYTES
from mairust_core.api.connection import HttpLimits
from mairust_core.api.document import text as openapi
from mairust_core.api.edge import MAX_BATCH_BYTES, MAX_BATCH_ITEMS, Bounds
from mairust_core.api.operation_document import errors_of
from mairust_core.api.pages import DOCUMENT
from mairust_core.api.problems import title
from mairust_core.api.routes import PREFIX
from mairust_core.errors import BY_CODE
from mairust_core.items import MEDIA_TYPE as ITEMS_TYPE
from mairust_core.model.forms import Page, Unset, is_request
from mairust_core.model.ids import Id
from mairust_core.model.moment import FORMS, Moment
from mairust_core.operations import BytesIn, BytesOut, Operation, items_of
from mairust_core.services.registry import SERVICES

_HEAD = f"""# REST

<!-- Made by `python -m mairust_core.api.reference DIRECTORY`; a test keeps it fresh. -->

Everything under `{PREFIX}` is made from the same declarations as the command line. The OpenAPI 3.1
document is at `{PREFIX}/openapi.json` (kept as a [file](../../mairust_core/api/docs_page/openapi-v1.json)),
a page to read and try it at `/docs`; neither needs a key. `/health/live` and `/health/ready` answer `up`
(200) or `down` (503), and nothing more.

## Keys

`Authorization: Bearer mk_<public id>_<secret>`. A key has scopes (`admin` includes `read` and `write`)
and a reach: the site, one domain, or one account. What lies outside of it is answered as if it were not
there (404). A key that is revoked, expired, or whose account is disabled stops within a second. Keys are
taken over HTTPS, over a UNIX socket, and over plain http from this machine only (403 otherwise; what a
proxy says in `X-Forwarded-For` does not count).

```
curl -H "Authorization: Bearer $(cat DATA_DIR/admin.token)" http://127.0.0.1:8025{PREFIX}/domains
```

## Form

* JSON in UTF-8. Ids are strings, times RFC 3339 in UTC, sizes bytes.
* A list is `{{"items": […], "next_cursor": string|null}}`; `?cursor=` takes `next_cursor` unchanged,
  to the same list with the same filters, else it is refused (422, `cursor`); `limit`, `since` and `before`
  may differ. `?limit=` 1 to 500, or 50 where it is not given; `accounts.mailboxes` gives all of them then.
* A filter that takes one of some words refuses any other (422); an empty one asks for nothing.
* In requests an unknown key (any, where an operation has no body), an unknown query parameter, a key given
  twice, a number that is not finite, or a text in place of a number is an error. In answers, ignore keys
  that you do not know, and take words that you do not know for new ones: later versions add some.
* In a path, percent-encode what is not plain; a slash in an address is `%2F`.
* A message is sent as `message/rfc822` (or `message/global`), byte for byte; one that does not come whole
  is not stored. Bytes are answered with `Content-Length` and `Repr-Digest: sha-256=:…:` (RFC 9530): a
  reader that checks both knows that it has everything.
* What is read carries an `ETag`; with `If-None-Match` an answer that the client has already is 304, without
  a body. A `PATCH`, `PUT` or `DELETE` with `If-Match` is made only if a `GET` of its path, without
  parameters, would give one of these ETags, otherwise the answer is 412; the key needs the scope of that
  `GET`, too, `read` mostly. `*` fits whatever is there, and is all that fits where the path has no `GET`.
  What is neither `*` alone nor a list of quoted ETags is refused (400). The comparison is part of the
  transaction that makes the change, and one of two such requests that saw the same is refused; a change
  without `If-Match` that is made in the very same moment may be missed. Mail that comes in changes what
  its account and mailboxes show, and so their ETags. Any other method ignores `If-Match`.
* A `POST` that creates something or tells a secret takes an `Idempotency-Key`: repeated with it within a
  day, the request is done once and answered alike ([how](../how-to/limits.md)). Any other `POST` refuses a
  key (400), because it would not heed it; the other methods ignore one, for they can be repeated without.
* Every answer carries `X-Request-Id`, the client's own when that is 1 to 128 of
  `A-Z a-z 0-9 . _ : ; = + / -`, else a new one; the server's log has it, too.
* Every schema of the OpenAPI document has a name of its own, by which generators of clients call classes.
  `openapi-python-client` takes bodies of bytes when it is told `content_type_overrides` of
  `message/rfc822`, `{ITEMS_TYPE}` and `application/vnd.mairust.pack` to `application/octet-stream`.
* `HEAD` works wherever `GET` does; `OPTIONS` says in `Allow` what a path takes.

## Moments

`since` and `before` are written alike everywhere. {FORMS}
`since` includes that moment, `before` does not. In a URL, write a `+` as `%2B`.

## Streams

Many messages travel as `{ITEMS_TYPE}`: for each one a line of JSON, `{{"item": {{…}}, "size": N}}`, then N
bytes, then a line feed; at the end a line `{{"count": N, "sha256": "…"}}` with the hash of every octet before
it. A stream without that trailer is not complete, whatever came before. A stream that is sent is a batch
of at most {MAX_BATCH_BYTES >> 20} MiB and {MAX_BATCH_ITEMS} items, and is answered item by item, in the
same order.

## Limits

JSON bodies: {MAX_JSON_BYTES >> 20} MiB. Messages: `smtp.max_size`. Request line and header fields:
{HttpLimits().head_bytes >> 10} KiB. A body may stand still for {Bounds().body_idle_s:.0f} seconds (408).
One process works on {Bounds().requests} requests at a time, {Bounds().uploads} of them uploads (429).
`Retry-After` comes with all that may work later.

## For plugins

Three paths take no API key, so they are no operations; the OpenAPI document has their schemas.
`POST {PREFIX}/plugin/callback/{{delivery_id}}` and `POST {PREFIX}/plugin/metrics` take the token that a
`post_receive` hook is handed ([how to use it](../how-to/hooks.md)); `GET {PREFIX}/plugin/jwks.json` gives
anybody the public keys under which plugins know this site.

## Operations

"""

_DOORS = """
## Doors for plugins

Plugins come back with tokens of their own, JSON Web Tokens under the site's key that are good for an hour at
the most: the one that came with a `post_receive` delivery, or one that an administrator issued
(`plugintokens.create`). What a token allows is asked anew at each use: it is not revoked, the plugin is
enabled, and may still do it. An API key opens none of these doors, and such a token nothing else.

| Request | Token | What |
|---|---|---|
| `POST /api/v1/plugin/callback/{delivery_id}` | `plugin:ID:callback` | Say more of one delivery, once: an [answer](hook-answer.schema.json). 200: what became of it |
| `POST /api/v1/plugin/metrics` | `plugin:ID:metrics` | `{"metrics": {NAME: NUMBER}}`, at most 64 names. 200: how many were kept |
| `GET /api/v1/plugin/jwks.json` | none | The public keys by which plugins know this site (RFC 7517) |
"""  # noqa: E501

_ERRORS = """
## Errors

Problem details (RFC 9457), `application/problem+json`: `type` (this page, with the code as anchor),
`title`, `status`, `detail` (what happened, to what), `code` (stable), `hint` (how to mend it), and of an
`invalid` request `field`: the parameter or the member of the body that is meant, what is inside after dots
(`filter.size_gt`, `scopes.0`), `body` for the whole of it.
`Accept-Language: ja` gives `detail` and `hint` in Japanese. Of 5xx errors only keys with site reach are
told the inside.

HTTP itself may refuse with other statuses: 405, 408 and 415 (`usage`), 412 (`conflict`), 414 and 431
(`too_large`: the target, or all of the request line and the header fields, is too long).
"""


def reference() -> str:
    """The whole page as Markdown."""
    lines = [*_overview(), *_details(), _DOORS, _ERRORS, *_errors()]
    return _HEAD + "\n".join(lines) + "\n"


def _operations() -> Iterator[Operation]:
    for kind in SERVICES:
        yield from kind.operations.values()


def _overview() -> Iterator[str]:
    yield "| Operation | Request | Scope | Reach | What |"
    yield "|---|---|---|---|---|"
    for op in _operations():
        link = f"[`{op.id}`](#{op.id.replace('.', '')})"
        yield f"| {link} | `{op.method} {_path(op)}` | {op.scope} | {op.reach} | {op.summary} |"


def _path(op: Operation) -> str:
    return op.path.replace(":path}", "}")


def _details() -> Iterator[str]:
    for kind in SERVICES:
        yield f"\n## {kind.noun.capitalize()}\n\n{(kind.__doc__ or '').strip()}"
        for op in kind.operations.values():
            yield from _operation(op)


def _operation(op: Operation) -> Iterator[str]:
    yield f"\n### {op.id}\n\n`{op.method} {PREFIX}{_path(op)}` → {op.status}\n\n{op.summary}"
    if op.text:
        yield f"\n{op.text}"
    yield ""
    for param in op.query:
        yield f"* `?{param.name}=` {_asked(op.types[param.name])}{_unless_given(param)}"
    if op.body_type is BytesIn:
        yield f"* Body: {' or '.join(f'`{one}`' for one in op.accepts)}"
    elif kind := items_of(op.body_type):
        yield f"* Body: a [stream](#streams) of {_members(kind)}, each with its bytes"
    elif op.body:
        yield f"* Body: {_members(op.body_type)}"
    yield f"* Answer: {_answer(op)}"
    if op.least is not None:
        yield f"* Answer to a key without `read`: {_members(op.least)}"
    codes = dict.fromkeys(f"[`{kind.code}`](#{kind.code})" for kind in errors_of(op))
    yield f"* Errors: {', '.join(codes)}"


def _asked(kind: Any) -> str:
    """The type of a parameter; null is none that can be written."""
    return _type_name(kind).removesuffix(" or null")


def _unless_given(param: Parameter) -> str:
    if param.default is param.empty:
        return ", required"
    return f", default `{_plain(param.default)}`" if param.default not in (None, (), "") else ""


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _answer(op: Operation) -> str:
    return f"bytes, `{op.produces}`" if op.returns is BytesOut else _members(op.returns)


def _members(kind: Any) -> str:
    if inner := items_of(kind):
        return f"a [stream](#streams) of {_members(inner)}"
    if get_origin(kind) is Page:
        return f"list of {_members(get_args(kind)[0])}"
    types = get_type_hints(kind)
    return ", ".join(
        f"`{field.name.rstrip('_')}` {_type_name(types[field.name])}{_optional(kind, field)}"
        for field in fields(kind)
    )


def _optional(kind: Any, field: Field[Any]) -> str:
    given = field.default is MISSING and field.default_factory is MISSING
    return "" if given or not is_request(kind) else " (optional)"


def _type_name(kind: Any) -> str:
    arguments = [one for one in get_args(kind) if one is not Unset]
    if get_origin(kind) is Literal:
        return "(" + ", ".join(f'"{one}"' for one in arguments) + ")"
    if get_origin(kind) in (Union, UnionType):
        return " or ".join("null" if one is type(None) else _type_name(one) for one in arguments)
    if get_origin(kind) is tuple:
        inner = dict.fromkeys(_type_name(one) for one in arguments if one is not ...)
        return f"[{', '.join(inner)}{', …' if ... in arguments else ''}]"
    if get_origin(kind) is dict:
        return "{" + _type_name(arguments[1]) + ", …}" if arguments[1] is not Any else "{…}"
    if get_origin(kind) is list:
        return f"[{_type_name(arguments[0])}, …]"
    if kind is Any:
        return "anything"
    if is_dataclass(kind):
        return "{" + _members(kind) + "}"
    if issubclass(kind, Enum):
        return "(" + ", ".join(f'"{one.value}"' for one in kind) + ")"
    names = {
        Id: "id",
        Moment: "[moment](#moments)",
        str: "text",
        bool: "true or false",
        int: "number",
        float: "number",
        datetime: "time",
    }
    return names[kind]


def _errors() -> Iterator[str]:
    for code, kind in BY_CODE.items():
        yield f"\n### {code}\n\n{kind.status}; exit code of the command line {kind.exit_code}. {title(kind)}."


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    (directory / "rest.md").write_text(reference(), "utf-8")
    Path(str(DOCUMENT)).write_text(openapi(), "utf-8")
