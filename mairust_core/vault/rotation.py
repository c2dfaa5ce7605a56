"""Rotation of the master key: killed at any step it leaves all secrets readable, and run again it ends.

1. The new key is written into the file, behind the old one: from here on both open.
2. The database names the new key: what is encrypted from here on is under it.
3. Each data key is wrapped anew, some at a time; the secrets themselves stay as they are.
4. The old key leaves the file.

A run that finds two keys in the file goes on where the last one was ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mairust_core.errors import Damaged
from mairust_core.model.secret import Prepared, Rotated
from mairust_core.observe.faults import crash_point
from mairust_core.store import secrets as rows
from mairust_core.vault.envelope import MasterKey, Unopened, rewrap

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mairust_core.store import StorageBackend
    from mairust_core.vault import Vault

TASK = "rotate-master"
_STEP = "rotate-master step"
BATCH = 64
"""Data keys of one transaction (rule D2)."""


def prepare(storage: StorageBackend, vault: Vault) -> Prepared:
    """Write the next master key into the file, not in force yet; the one prepared before when there is one.

    Raises `Locked` while another process rotates, `BadConfig`.
    """
    with storage.alone(TASK) as still:
        return Prepared(key_id=_Rotation(storage, vault, still).prepared().id)


def rotate(storage: StorageBackend, vault: Vault) -> Rotated:
    """Put a new master key in force and wrap every data key under it.

    Raises `Locked` while another process rotates, also when the database lets go of the lock meanwhile,
    `BadConfig` when the file cannot be read or written or lacks a key that is needed, `Damaged` for a row
    that does not open.
    """
    with storage.alone(TASK) as still:
        return _Rotation(storage, vault, still).run()


class _Rotation:
    """One that goes on while it is alone: a second one must never take the newest key out of the file."""

    def __init__(self, storage: StorageBackend, vault: Vault, still_alone: Callable[[], None]) -> None:
        self._storage = storage
        self._vault = vault
        self._still_alone = still_alone

    def run(self) -> Rotated:
        new = self.prepared()
        with self._step() as tx:
            self._vault.current(tx)
            rows.set_current_key(tx, new.id)
        crash_point("secrets.key_current")
        rewrapped = self._rewrap_all(new)
        crash_point("secrets.all_rewrapped")
        with self._step():
            self._vault.file.keep_only(new.id)
        crash_point("secrets.old_gone")
        return Rotated(key_id=new.id, rewrapped=rewrapped)

    def prepared(self) -> MasterKey:
        """The key that is to come, in the file."""
        with self._step() as tx:
            self._vault.current(tx)  # names the first key, so that it is known which of two is the old one
        with self._step():
            if len(self._vault.file.keys()) == 1:
                self._vault.file.add(MasterKey.new())
        crash_point("secrets.key_added")
        return self._vault.file.newest()

    @contextmanager
    def _step(self) -> Iterator[Connection]:
        """A transaction that no other rotation has at the same time; raises `Locked` where one may go on."""
        with self._storage.write() as tx:
            self._storage.serialise(tx, _STEP)
            self._still_alone()
            yield tx

    def _rewrap_all(self, new: MasterKey) -> int:
        done = 0
        while True:
            with self._step() as tx:
                some = rows.under_other_keys(tx, new.id, BATCH)
                for one in some:
                    rows.set_wrapped(tx, one, new.id, _rewrapped(self._vault, new, one))
            if not some:
                return done
            done += len(some)
            crash_point("secrets.rewrapped")


def _rewrapped(vault: Vault, new: MasterKey, one: rows.Wrapped) -> bytes:
    old = vault.file.find(one.key_id)
    try:
        return rewrap(old, new, one.tenant_id, one.name, one.wrapped_key)
    except Unopened as error:
        raise Damaged("secret", name=one.name) from error
