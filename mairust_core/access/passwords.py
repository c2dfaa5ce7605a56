"""Passwords: argon2id (RFC 9106), with the same answer and the same work for whatever is wrong (trap A4)."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from mairust_core.errors import Invalid, TooMany, Unauthenticated
from mairust_core.model.account import MAX_PASSWORD_LENGTH
from mairust_core.model.address import Address
from mairust_core.model.principal import Principal, Reach, ReachKind, Scope
from mairust_core.store import logins

if TYPE_CHECKING:
    from mairust_core.access.throttle import Throttle
    from mairust_core.store import StorageBackend

AT_ONCE = 2
"""Passwords of one process at a time: each takes a core for tens of milliseconds, and 64 MiB."""
WAIT_S = 10.0
SCOPES = frozenset({Scope.READ, Scope.WRITE, Scope.SEND})
"""What somebody who knows an account's password may do, within that account."""


class Passwords:
    """The passwords of a site's accounts. Thread-safe."""

    def __init__(self, storage: StorageBackend, throttle: Throttle) -> None:
        self._storage = storage
        self._throttle = throttle
        self._hasher = PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_hex())
        self._places = threading.BoundedSemaphore(AT_ONCE)

    def hash(self, password: str) -> str:
        """What is stored of a password; raises `TooMany` after a while in the queue."""
        with self._place():
            return self._hasher.hash(password)

    def verify(self, address: str, password: str, ip: str | None) -> Principal:
        """The principal of an account whose password this is; `ip` is the client's address, if known.

        Raises `Unauthenticated`, alike for an unknown address, an alias, a wrong password, an account
        without one, a disabled one; `TooMany` after too many of these, or when too many are being checked.
        """
        folded = _folded(address)
        weights = self._throttle.weights(ip, f"account:{folded}")
        self._throttle.require_address(ip)
        with self._storage.read() as tx:
            self._throttle.require(tx, weights)
            login = logins.find(tx, folded)
        right = self._is_right(password, login.password_hash if login else None)
        if login is None or not login.enabled or not right:
            self._throttle.count(weights)
            raise Unauthenticated("password")
        self._renew(login, password)
        return Principal(
            name=f"account:{login.address}",
            scopes=SCOPES,
            reach=Reach(kind=ReachKind.ACCOUNT, id=login.account_id),
            tenant_id=login.tenant_id,
        )

    def _is_right(self, password: str, stored: str | None) -> bool:
        """One argon2 computation, whatever is given and whatever is stored."""
        fits = stored is not None and len(password) <= MAX_PASSWORD_LENGTH
        given = password[:MAX_PASSWORD_LENGTH].encode("utf-8", "surrogatepass")
        with self._place():
            try:
                return self._hasher.verify(stored or self._nobody, given) and fits
            except (VerificationError, InvalidHashError):
                return False

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(timeout=WAIT_S):
            raise TooMany("passwords", limit=AT_ONCE)
        try:
            yield
        finally:
            self._places.release()

    def _renew(self, login: logins.Login, password: str) -> None:
        """Hash a password anew when it was stored with weaker parameters than today's."""
        stored = login.password_hash
        if stored is not None and self._hasher.check_needs_rehash(stored):
            renewed = self._hasher.hash(password)
            with self._storage.write() as tx:
                logins.renew(tx, login, renewed)


def _folded(address: str) -> str:
    try:
        return Address.parse(address).folded
    except Invalid:
        return ""  # no account has it; the work is the same
