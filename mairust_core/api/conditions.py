"""`If-Match`: a change is made only while what it changes is as the client saw it (RFC 9110 §13.1.1).

The ETag is that of a GET of the same path. It is compared at the beginning of the transaction that makes the
change; conditional changes of one path wait for each other, so that one of two that saw the same is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from mairust_core import wire
from mairust_core.api.answers import etag_of
from mairust_core.api.problems import Fault
from mairust_core.api.views import Compared, Within, seen_through
from mairust_core.errors import Conflict, Usage
from mairust_core.operations import BytesIn, BytesOut, Operation, Service, items_of
from mairust_core.services.registry import SERVICES

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mairust_core.app import Site

HEADER = "if-match"
CHANGING = frozenset({"PATCH", "PUT", "DELETE"})
_TAG = re.compile(r'[ \t,]*((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,|$)')
"""One of a list, with what stands around it; empty elements of a list are none (RFC 9110 §5.6.1, §8.8.3)."""


@cache
def shown_by(path: str) -> tuple[type[Service], Operation] | None:
    """The operation whose answer, with an ETag, is what lies at a path; None when nothing is shown there."""
    for kind in SERVICES:
        for op in kind.operations.values():
            shows = op.returns is not BytesOut and items_of(op.returns) is None
            if op.method == "GET" and op.path == path and shows:
                return kind, op
    return None


def is_conditional(op: Operation) -> bool:
    """Whether an operation heeds `If-Match`; where its path shows nothing, only `*` can be met."""
    return op.method in CHANGING


def tags_of(op: Operation, request: Request) -> frozenset[str] | None:
    """The ETags of which one must be that of what is changed; None when nothing is asked for.

    Raises `Usage` for what is neither `*` alone nor a list of ETags.
    """
    given = request.headers.getlist(HEADER)
    if not given or not is_conditional(op):
        return None
    text = ",".join(given).strip(" \t")
    if text == "*":
        return frozenset("*")
    tags, end = [], 0
    while found := _TAG.match(text, end):
        tags.append(found[1])
        end = found.end()
    if not tags or text[end:].strip(" \t,"):
        raise Usage("if_match")
    return frozenset(tags)


class Condition:
    """What must be so for one call of a service; `args` are those of its path."""

    def __init__(
        self, site: Site, service: Service, op: Operation, tags: frozenset[str], args: list[Any]
    ) -> None:
        self._site = site
        self._service = service
        self._op = op
        self._tags = tags
        self._args = args[: len(op.path_params)]

    def run(self, call: Callable[[], Any]) -> Any:
        """What the call returns; raises a 412 unless a tag fits, `NotFound` when nothing is there."""
        self._require(self._site)
        if self._op.body_type is not BytesIn:  # those take their time, and transactions of their own
            self._service.site = seen_through(self._site, Compared(self._site.storage, self._compare))
        return call()

    def _compare(self, tx: Connection) -> None:
        self._site.storage.serialise(tx, f"if-match {self._op.path} {self._args}")
        self._require(seen_through(self._site, Within(self._site.storage, tx)))

    def _require(self, site: Site) -> None:
        found = shown_by(self._op.path)
        etag = None
        if found is not None:
            kind, op = found
            etag = etag_of(
                wire.render(wire.encode(getattr(kind(site, self._service.by), op.name)(*self._args)))
            )
        if "*" not in self._tags and etag not in self._tags:
            raise Fault(412, Conflict("if_match"))
