"""Whose time is over: when a package comes in, and when it is approved for the first time (rule G5)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from sqlalchemy import Connection

from mairust_core.errors import Forbidden, Invalid
from mairust_core.ids import EPOCH_MS, now_ms
from mairust_core.model.ids import Id
from mairust_core.model.plugin_forms import PluginState
from mairust_core.plugins.arriving import Reader
from mairust_core.plugins.manifest import on_paper
from mairust_core.plugins.package import keys
from mairust_core.plugins.times import times
from mairust_core.services.plugins import Plugins
from mairust_core.services.trust import Trust
from mairust_core.store import audits
from tests.contract.services.conftest import Served
from tests.contract.services.words import Ops
from tests.support.linking import TESTER, manifest_text, new_id
from tests.support.packaging import Marketplace, Signing, body, install, made

DAY_MS = 86_400_000


@pytest.fixture
def market(served: Served) -> Marketplace:
    """A marketplace of this test's own, which the site trusts."""
    found = Marketplace()
    found.trusted_on(served.site)
    return found


def signing(market: Marketplace, id_: str, what: str, until: float) -> Signing:
    """A key whose certificate ends then, or the root itself with a licence that does."""
    if what == "certificate":
        key = keys.generate()
        return Signing(key=key, certificate=market.certify(key, until=until))
    return Signing(key=market.root, licence=market.license(id_, until=until))


@pytest.mark.parametrize("what", ["certificate", "licence"])
def test_rule_g5_what_waited_for_too_long_is_not_approved(
    ops: Ops, served: Served, market: Marketplace, what: str
) -> None:
    """Whatever the clock says: its root said something later. Signed anew it can be approved."""
    id_, other = new_id(), Marketplace()
    other.trusted_on(served.site)
    waits = install(served.site, made(manifest_text(id_), signing(market, id_, what, 30)))
    assert waits.state is PluginState.PENDING
    ops(Trust).import_revocations(other.revoke(1, days=60))  # no root speaks for another
    ops(Trust).import_revocations(market.revoke(1, days=29))
    ops(Trust).import_revocations(market.revoke(2, days=60))
    with pytest.raises(Forbidden, match="was valid until"):
        ops(Plugins).approve(id_)
    assert ops(Plugins).show(id_).state is PluginState.PENDING
    with pytest.raises(Invalid, match="was valid until"):
        ops(Plugins).install(body(made(manifest_text(id_), signing(market, id_, what, 30))))
    install(served.site, made(manifest_text(id_), signing(market, id_, what, 90)))
    assert ops(Plugins).approve(id_).state is PluginState.ENABLED


def test_what_ran_in_time_goes_on(ops: Ops, served: Served, market: Marketplace) -> None:
    """Disabled and enabled, approved again and rolled back to."""
    id_ = new_id()
    mark = signing(market, id_, "certificate", 30)
    install(served.site, made(manifest_text(id_), mark))
    ops(Plugins).approve(id_)
    install(served.site, made(manifest_text(id_, version="1.1.0"), mark))
    ops(Trust).import_revocations(market.revoke(1, days=60))
    ops(Plugins).disable(id_)
    assert ops(Plugins).enable(id_).state is PluginState.ENABLED
    assert ops(Plugins).approve(id_).state is PluginState.ENABLED
    assert ops(Plugins).rollback(id_).version == "1.0.0"


def test_a_clock_that_went_back_makes_nothing_good_again(served: Served, market: Marketplace) -> None:
    """The database has ids of later."""
    site, id_ = served.site, new_id()
    data = made(manifest_text(id_), signing(market, id_, "certificate", -0.5))
    reader = Reader(site.storage, site.settings.data_dir, on_paper(), clock=lambda: EPOCH_MS)
    with pytest.raises(Invalid, match="was valid until"), reader.arrived(TESTER, body(data)):
        pass


class Undone(Exception):
    """Takes a transaction back."""


@contextmanager
def undone(served: Served) -> Iterator[Connection]:
    """A transaction that leaves nothing."""
    with suppress(Undone), served.site.storage.write() as tx:
        yield tx
        raise Undone


def test_it_is_as_late_as_the_newest_id_says(served: Served) -> None:
    """Of whatever was written down; the clock counts where it is ahead."""
    later_ms = now_ms() + 900 * DAY_MS
    newest = Id((later_ms - EPOCH_MS) << 22)
    with undone(served) as tx:
        assert times(tx, TESTER, later_ms + 1).now_ms == later_ms + 1
        assert times(tx, TESTER, 0).now_ms < later_ms
        audits.record(tx, newest, TESTER, "plugins.install", "x")
        assert times(tx, TESTER, 0).now_ms == later_ms
