"""The index of a site, locally and over HTTP; on a site of its own, for a rebuild takes all mail there is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mairust_core.errors import NotFound
from mairust_core.model.account import Account
from mairust_core.model.search import Rebuild
from mairust_core.operations import BytesIn
from mairust_core.services.index import Index
from mairust_core.services.messages import Messages
from mairust_core.services.search import Search
from tests.contract.services.conftest import Served, serving
from tests.contract.services.words import Ops
from tests.support.searching import index_all
from tests.support.stores import message


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A served site on each database, for this file alone."""
    with serving(request, tmp_path_factory.mktemp("indexed")) as found:
        yield found


def test_the_index_from_drop_to_rebuild(served: Served, ops: Ops, ann: Account) -> None:
    """Its states as they are told, and a search that does not care."""
    for body in ("the amount", "nothing", "that amount"):
        served.here(Messages).append(ann.address, BytesIn(chunks=[message(body=body)]))
    ops(Index).rebuild(Rebuild())
    index_all(served.site)
    before = ops(Index).status()
    assert (before.engine, before.mode, before.queued) == ("database", "on", 0)
    assert before.documents >= 3
    assert ops(Index).rebuild(Rebuild(account=ann.address)).stale >= 1
    assert (ops(Index).drop().mode, ops(Index).status().documents) == ("off", 0)
    assert len(ops(Search).find(q="amount", account=ann.address).items) == 2
    assert ops(Index).rebuild(Rebuild()).mode == "filling"
    index_all(served.site)
    after = ops(Index).status()
    assert (after.mode, after.documents, after.queued) == ("on", before.documents, 0)
    with pytest.raises(NotFound):
        ops(Index).rebuild(Rebuild(account=f"x.{ann.address}"))
