"""Who asks: an API key becomes a principal (rules D3, G4; traps A1, A4)."""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from mairust_core import store
from mairust_core.access.throttle import Throttle
from mairust_core.errors import Forbidden, MaiRustError, TooMany, Unauthenticated
from mairust_core.networks import is_loopback
from mairust_core.services.tokens import PREFIX, hash_secret

if TYPE_CHECKING:
    from mairust_core.model.principal import Principal
    from mairust_core.store import StorageBackend

CACHE_S = 1.0
"""A key that was good is good for this long without a look at the database: revoking acts within a second."""
RENEW_S = 0.5
"""After this a key in use is looked up again beside the request, so that none waits for it."""
CACHED_KEYS = 4096

_KEY = re.compile(rf"{PREFIX}_([0-9A-Za-z]{{1,64}})_([0-9A-Za-z-]{{1,200}})")
log = logging.getLogger("mairust.http")
_NO_HASH = b"\0" * 32


Run = Callable[[Callable[[], Any]], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key as it was sent, its secret as the hash that is stored."""

    public_id: str
    secret_hash: bytes


class Authentication:
    """The API keys of a site. Thread-safe.

    Only keys that were right are remembered, by their whole content: a wrong secret and an unknown id
    both cost one query and one comparison, whatever is remembered, and are counted. Too many of them are
    told so instead; a right key is never refused for the wrong ones of others.
    """

    def __init__(
        self,
        storage: StorageBackend,
        clock: Callable[[], float] = time.monotonic,
        throttle: Throttle | None = None,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._throttle = throttle or Throttle(storage)
        self._known: dict[tuple[str, bytes], tuple[float, Principal]] = {}

    def remembered(self, key: Key) -> Principal | None:
        """The principal of a key that was right less than a second ago; reads nothing."""
        found = self._known.get((key.public_id, key.secret_hash))
        return found[1] if found and self._clock() - found[0] < CACHE_S else None

    def age_s(self, key: Key) -> float:
        """How long ago a key was seen to be right."""
        found = self._known.get((key.public_id, key.secret_hash))
        return self._clock() - found[0] if found else CACHE_S

    def forget(self, key: Key) -> None:
        """Remember a key no longer."""
        self._known.pop((key.public_id, key.secret_hash), None)

    def check(self, key: Key, ip: str | None = None) -> Principal:
        """The principal of a key that a client at this address sent; reads the database.

        Raises `Unauthenticated`, `TooMany` after too many wrong keys, `StorageDown`.
        """
        at = self._clock()
        weights = self._throttle.weights(ip, f"key:{key.public_id}" if key.public_id else None)
        with self._storage.read() as tx:
            credential = store.tokens.credential(tx, key.public_id)
            expected = credential.secret_hash if credential else _NO_HASH
            right = hmac.compare_digest(expected, key.secret_hash)
            if credential is None or not right:
                self._throttle.require(tx, weights)
        if credential is None or not right:
            self._throttle.count(weights)
            raise Unauthenticated("key")
        if len(self._known) >= CACHED_KEYS:
            self._known.clear()
        self._known[key.public_id, key.secret_hash] = (at, credential.principal)
        return credential.principal


class Doorkeeper:
    """The principals of requests on one event loop: requests with one key share one look at the database."""

    def __init__(self, authentication: Authentication, run: Run) -> None:
        self._authentication = authentication
        self._run = run
        self._looking: dict[Key, asyncio.Task[Principal]] = {}

    async def principal(self, key: Key, ip: str | None) -> Principal:
        """The principal of a key; raises as `Authentication.check`."""
        by = self._authentication.remembered(key)
        if by is None:
            return await asyncio.shield(self._look(key, ip))
        if self._authentication.age_s(key) > RENEW_S and key not in self._looking:
            self._look(key, ip).add_done_callback(partial(self._renewed, key))
        return by

    def _look(self, key: Key, ip: str | None) -> asyncio.Task[Principal]:
        task = self._looking.get(key)
        if task is None:
            task = self._looking[key] = asyncio.ensure_future(self._check(key, ip))
            task.add_done_callback(lambda _: self._looking.pop(key, None))
        return task

    async def _check(self, key: Key, ip: str | None) -> Principal:
        return cast("Principal", await self._run(partial(self._authentication.check, key, ip)))

    def _renewed(self, key: Key, task: asyncio.Task[Principal]) -> None:
        """A key that is right no more is forgotten at once; a database that is down shows when it is due."""
        if not task.cancelled() and isinstance(error := task.exception(), MaiRustError):
            log.info("the API key %s was not found right again: %s", ascii(key.public_id), error)
            if isinstance(error, Unauthenticated | TooMany):
                self._authentication.forget(key)


def key_of(scope: dict[str, Any]) -> Key:
    """The API key of an ASGI request; raises as `bearer_of`."""
    match = _KEY.fullmatch(bearer_of(scope))
    # What does not even look like a key is looked up like one, under an id that no key has.
    public_id, secret = match.groups() if match else ("", "")
    return Key(public_id=public_id, secret_hash=hash_secret(secret))


def bearer_of(scope: dict[str, Any]) -> str:
    """What an ASGI request authenticates itself with (RFC 6750 §2.1).

    Raises `Unauthenticated` when there is nothing, several things or another scheme, `Forbidden` over plain
    http from elsewhere.
    """
    sent = [value for name, value in scope["headers"] if name == b"authorization"]
    if not sent:
        raise Unauthenticated("missing")
    if not _is_private(scope):
        raise Forbidden("plain_http")
    scheme, _, text = sent[0].decode("latin-1").partition(" ")
    if len(sent) > 1 or not scheme:
        raise Unauthenticated("missing")
    if scheme.lower() != "bearer":
        raise Unauthenticated("scheme")
    return str(text).strip()


def _is_private(scope: dict[str, Any]) -> bool:
    """True when nobody on the way reads along: TLS, a UNIX socket, or this machine itself (rule G4)."""
    if scope["scheme"] == "https":
        return True
    server, client = scope.get("server"), scope.get("client")
    if server is not None and server[1] is None:
        return True
    return client is not None and is_loopback(client[0])
