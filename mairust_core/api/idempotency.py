"""`Idempotency-Key`: a request that creates, or tells a secret, is done once when repeated with its key.

The key is taken, the effect made and the answer kept in one transaction, so that a crash leaves all of it
or nothing. A message's own transaction is the committer's; its receipt travels with it, and the answer is
made anew from the message. Whoever repeats a request while it runs waits for its end.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from mairust_core import store, wire
from mairust_core.api.views import OneTransaction, seen_through
from mairust_core.errors import Conflict, Locked, Usage
from mairust_core.ids import now_ms
from mairust_core.model.receipt import KEPT_MS, Kept, Receipt
from mairust_core.observe.faults import crash_point
from mairust_core.operations import BytesIn, Operation, Service

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mairust_core.app import Site
    from mairust_core.model.principal import Principal

HEADER = "idempotency-key"
REPLAYED = "idempotent-replayed"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")

Call = Callable[[Service], Any]


def key_of(op: Operation, request: Request) -> str | None:
    """The key of a request; None when it has none, or is no POST: those may be repeated anyway.

    Raises `Usage` for one that is none, and for a POST that would not heed it.
    """
    given = request.headers.getlist(HEADER)
    if not given or op.method != "POST":
        return None
    if not op.heeds_key:
        raise Usage("idempotency_unheeded", operation=op.id)
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        raise Usage("idempotency_key")
    return given[0]


def receipt_of(request: Request, by: Principal, key: str, body_hash: bytes) -> Receipt:
    """What identifies a request: who asks, the key, and everything that was sent."""
    target = request.scope.get("raw_path", b"") + b"?" + request.scope["query_string"]
    sent = b"\0".join((request.method.encode(), target, body_hash))
    return Receipt(
        tenant_id=by.tenant_id,
        principal=by.name,
        key_hash=hashlib.sha256(key.encode()).digest(),
        fingerprint=hashlib.sha256(sent).digest(),
    )


class Once:
    """One request that may come again. `call` calls the operation of a service."""

    def __init__(self, site: Site, service: Service, op: Operation, receipt: Receipt) -> None:
        self._site = site
        self._service = service
        self._op = op
        self._receipt = receipt

    def run(self, call: Call) -> tuple[bytes, bool]:
        """The answer, and whether it is that of an earlier request.

        Raises what the operation raises (then nothing is kept, and a repetition tries again), `Conflict` for
        a key that was used for another request, `Locked` when an earlier one does not end.
        """
        if (kept := self._look()) is not None:
            return self._replay(kept), True
        try:
            by_receipt = self._op.body_type is BytesIn
            answer = self._with_receipt(call) if by_receipt else self._in_one_transaction(call)
        except _Repeated:
            kept = self._look()
            if kept is None:  # the other one failed after all
                raise Locked("repeated", retry_after_s=1) from None
            return self._replay(kept), True
        crash_point("request.done")
        return answer, False

    def _look(self) -> Kept | None:
        with self._site.storage.read() as tx:
            return store.idempotency.find(tx, self._receipt)

    def _replay(self, kept: Kept) -> bytes:
        if kept.fingerprint != self._receipt.fingerprint:
            raise Conflict("idempotency_key")
        if kept.sealed:
            with self._site.storage.read() as tx:
                return self._site.secrets.get(
                    tx, self._receipt.secret_name, tenant_id=self._receipt.tenant_id
                )
        if kept.answer is not None:
            return kept.answer
        return wire.dumps(self._service.made(kept.subject or ""))

    def _with_receipt(self, call: Call) -> bytes:
        self._service.receipt = self._receipt
        try:
            return wire.dumps(call(self._service))
        except Locked as error:
            if error.detail == "repeated":
                raise _Repeated from error
            raise

    def _in_one_transaction(self, call: Call) -> bytes:
        with OneTransaction(self._site.storage, self._claim) as storage:
            self._service.site = seen_through(self._site, storage)
            body = wire.dumps(call(self._service))
            if storage.tx is not None:
                self._keep(storage.tx, body)
                crash_point("request.kept")
        return body

    def _claim(self, tx: Connection) -> None:
        if store.idempotency.claim(self._site.storage, tx, [(self._receipt, None)]) != [True]:
            raise _Repeated

    def _keep(self, tx: Connection, body: bytes) -> None:
        if self._op.tells_secret:
            self._site.secrets.put(
                tx, self._receipt.secret_name, body,
                tenant_id=self._receipt.tenant_id, expires_ms=now_ms() + KEPT_MS,
            )  # fmt: skip
        store.idempotency.finish(tx, self._receipt, None if self._op.tells_secret else body)


class _Repeated(Exception):
    """Another request took the key meanwhile."""
