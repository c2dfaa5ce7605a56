"""A plugin's shared secret, replaced: the new one at once, the old one beside it for a while (rule G2)."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from mairust_core.errors import Conflict, NotFound
from mairust_core.ids import IdSource, now_ms, to_time
from mairust_core.model.job import NewJob
from mairust_core.model.plugin import State
from mairust_core.model.plugin_life import RotatedSecret
from mairust_core.model.principal import Principal
from mairust_core.observe.faults import crash_point
from mairust_core.plugins.registry import SECRET_PREFIX, WITH_SECRET, previous_name, secret_name
from mairust_core.store import StorageBackend, audits, jobs, plugins
from mairust_core.store import secrets as rows
from mairust_core.vault import Vault

if TYPE_CHECKING:
    from sqlalchemy import Connection

FORGET = "plugins.forget_secret"
"""The kind of the job by which an old secret dies."""


class Secrets:
    """The shared secrets of plugins. Thread-safe: it holds nothing."""

    def __init__(self, storage: StorageBackend, vault: Vault) -> None:
        self._storage = storage
        self._vault = vault

    def rotate(self, tx: Connection, by: Principal, id_: str, grace_s: int, ids: IdSource) -> RotatedSecret:
        """Give a plugin a new secret; the one in force verifies for `grace_s` more, the one before it dies.

        Raises `NotFound`, `Conflict` for one that is blocked or not approved, or that shares no secret.
        """
        found = plugins.get(tx, by, id_, locked=True)
        if found.state is State.BLOCKED:
            raise Conflict("plugin_blocked", id=id_)
        if found.manifest is None:
            raise Conflict("plugin_pending", id=id_)
        if found.manifest.entry.protocol not in WITH_SECRET:
            raise Conflict("plugin_no_secret", id=id_, protocol=found.manifest.entry.protocol.value)
        until_ms = self._keep_previous(tx, by, id_, grace_s)
        secret = SECRET_PREFIX + secrets.token_urlsafe(32)
        self._vault.put(tx, secret_name(id_), secret.encode(), tenant_id=by.tenant_id)
        if until_ms is not None:
            due = NewJob(
                kind=FORGET, subject=id_, payload={"plugin": id_, "until_ms": until_ms}, run_at_ms=until_ms
            )
            jobs.enqueue(self._storage, tx, ids, [due])
        crash_point("plugin.secret_rotated")
        return RotatedSecret(
            id=id_, secret=secret, previous_valid_until=None if until_ms is None else to_time(until_ms)
        )

    def _keep_previous(self, tx: Connection, by: Principal, id_: str, grace_s: int) -> int | None:
        """Keep the secret in force as the previous one; until when, None when there is none from now on."""
        name, tenant_id = previous_name(id_), by.tenant_id
        try:
            current = self._vault.get(tx, secret_name(id_), tenant_id=tenant_id)
        except NotFound:  # lost with the master key of a restored site
            grace_s, current = 0, b""
        if not grace_s:
            self._vault.delete(tx, name, tenant_id=tenant_id)
            return None
        until_ms = now_ms() + grace_s * 1000
        self._vault.put(tx, name, current, tenant_id=tenant_id, expires_ms=until_ms)
        return until_ms

    def forget(self, tx: Connection, ids: IdSource, id_: str, until_ms: int) -> int:
        """Delete an old secret whose time is over, as the job does; how many milliseconds it still has.

        0 also for one that a later rotation replaced: that one has its own time, and its own job. It verifies
        nothing after its time in any case, whether the job comes or not.
        """
        by = Principal(name="job", scopes=frozenset())
        expires_ms = rows.expiry(tx, by.tenant_id, previous_name(id_))
        if expires_ms != until_ms:
            return 0
        if (left_ms := until_ms - now_ms()) > 0:
            return left_ms
        self._vault.delete(tx, previous_name(id_), tenant_id=by.tenant_id)
        audits.record(tx, ids.next(), by, FORGET, id_)
        return 0
