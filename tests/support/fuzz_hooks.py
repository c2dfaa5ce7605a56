"""What schemathesis is told about our API: how mail is sent, and ids that lead somewhere.

Loaded by its command line (`SCHEMATHESIS_HOOKS`); `FUZZ_IDS` are ids of messages, `FUZZ_ADDRESSES` accounts.
"""

from __future__ import annotations

import os
import re
import zlib
from typing import Any
from uuid import uuid4

import schemathesis

IDS = os.environ["FUZZ_IDS"].split()
_KEY = re.compile(r"[!-~]{1,255}")
ADDRESSES = os.environ["FUZZ_ADDRESSES"].split()


@schemathesis.serializer(
    "message/rfc822",
    "application/vnd.mairust.items",
    "application/vnd.mairust.pack",
    "application/vnd.mairust.plugin",
    "application/vnd.mairust.revocations+json",
)
def as_bytes(_: Any, value: Any) -> bytes:
    """Whatever was made up, as the bytes of a message or a stream."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Half of the ids and addresses become real ones: behind the others there is nothing to find."""
    if not path_parameters:
        return path_parameters
    operation = context.operation
    spared = operation.method.lower() == "delete" or "/tokens/" in operation.path  # others still need them
    known = {} if spared else {"address": ADDRESSES, "id": IDS}
    return {name: _real(value, known.get(name, [])) for name, value in path_parameters.items()}


@schemathesis.hook
def map_headers(_: Any, headers: dict[str, Any] | None) -> dict[str, Any] | None:
    """A valid Idempotency-Key becomes a new one: an answer given again may tell of what was removed since."""
    key = (headers or {}).get("Idempotency-Key")
    if headers is None or not isinstance(key, str) or not _KEY.fullmatch(key):
        return headers
    return headers | {"Idempotency-Key": f"{key[:200]}{uuid4().hex}"}


def _real(value: Any, known: list[str]) -> Any:
    number = zlib.crc32(repr(value).encode("utf-8", "replace"))
    return known[number // 2 % len(known)] if known and number % 2 else value
