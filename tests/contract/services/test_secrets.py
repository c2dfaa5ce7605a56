"""Stored secrets as an administrator sees them, locally and over HTTP."""

from __future__ import annotations

from uuid import uuid4

import pytest

from mairust_core.errors import Invalid
from mairust_core.operations.cursors import Listing
from mairust_core.services.secrets import Secrets
from tests.contract.services.conftest import Served
from tests.contract.services.words import Ops


def store(served: Served, *names: str) -> None:
    """Put secrets into the site."""
    with served.site.storage.write() as tx:
        for name in names:
            served.site.secrets.put(tx, name, b"the secret itself")


def test_trap_a3_secrets_are_listed_and_never_shown(ops: Ops, served: Served) -> None:
    """Their names and times, page by page; our own are not in the list."""
    mark = uuid4().hex[:8]
    names = [f"{mark}/{letter}" for letter in "abc"]
    store(served, *names, f"~{mark}")
    page = ops(Secrets).browse(cursor=Listing("secrets.browse", {}).seal(mark), limit=2)
    assert [one.name for one in page.items] == names[:2]
    rest = ops(Secrets).browse(cursor=page.next_cursor or "", limit=1)
    assert [one.name for one in rest.items] == names[2:]
    everything = repr(ops(Secrets).browse(limit=500))
    assert "the secret itself" not in everything
    assert f"~{mark}" not in everything


def test_rotation_over_either_way(ops: Ops, served: Served) -> None:
    """Prepared, put in force, told by the status; the secret is what it was."""
    name = uuid4().hex
    store(served, name)
    prepared = ops(Secrets).prepare_master()
    assert ops(Secrets).status().file_keys[-1] == prepared.key_id
    done = ops(Secrets).rotate_master()
    assert done.key_id == prepared.key_id
    assert done.rewrapped >= 1
    status = ops(Secrets).status()
    assert (status.key_id, status.file_keys, status.waiting) == (done.key_id, (done.key_id,), 0)
    with served.site.storage.read() as tx:
        assert served.site.secrets.get(tx, name) == b"the secret itself"


def test_a_page_has_bounds(ops: Ops) -> None:
    """As every list."""
    for limit in (0, 501):
        with pytest.raises(Invalid):
            ops(Secrets).browse(limit=limit)
