"""What is found of root keys: lists of revocations that may not be the newest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mairust_core.app import Site, opened
from mairust_core.config import load_settings
from mairust_core.ids import now_ms
from mairust_core.services.trust import Trust
from mairust_core.store.tables import trust_key
from tests.integration.doctor.conftest import Examine
from tests.support.linking import TESTER
from tests.support.packaging import Marketplace


@pytest.fixture
def site(data_dir: Path) -> Iterator[Site]:
    """The site, open."""
    with opened(load_settings(data_dir=data_dir, env={})) as site:
        yield site


@pytest.fixture
def trust(site: Site) -> Trust:
    """The service."""
    return site.service(Trust, TESTER)


@pytest.fixture
def market(site: Site) -> Marketplace:
    """A marketplace that the site trusts."""
    found = Marketplace()
    found.trusted_on(site)
    return found


def told(found: Examine) -> set[str]:
    """The ids of findings about root keys."""
    return {one for one in found() if one.startswith("trust.")}


@pytest.mark.parametrize(("days", "findings"), [(-91, {"trust.old"}), (-89, set()), (1, set())])
def test_a_list_is_old_after_ninety_days(
    trust: Trust, market: Marketplace, found: Examine, days: int, findings: set[str]
) -> None:
    """By when it was issued, not by when it was imported: somebody may hold newer ones back."""
    assert told(found) == set()
    trust.import_revocations(market.revoke(7, days=days))
    assert told(found) == findings
    if findings:
        one = found()["trust.old"]
        assert market.id in one.what
        assert market.id in one.mend
        trust.confirm_revocations(market.id)
        assert told(found) == set()


def test_a_list_that_came_before_dates_were_kept_is_asked_for_again(
    site: Site, trust: Trust, market: Marketplace, found: Examine
) -> None:
    """Nobody knows how old it is; the same file tells."""
    trust.import_revocations(market.revoke(7, days=-1))
    with site.storage.write() as tx:
        tx.execute(trust_key.update().values(issued_ms=None, list_digest=None))
    assert told(found) == {"trust.old"}
    trust.confirm_revocations(market.id)
    assert told(found) == set()
    with site.storage.write() as tx:
        tx.execute(trust_key.update().values(confirmed_ms=None))
    trust.import_revocations(market.revoke(7, days=-1))
    assert told(found) == set()


def test_a_list_from_the_future_is_found(trust: Trust, market: Marketplace, found: Examine) -> None:
    """What its root certified until then is over here, whatever this machine's clock says."""
    trust.import_revocations(market.revoke(7, days=3))
    assert told(found) == {"trust.future"}
    one = found()["trust.future"]
    assert market.id in one.what
    trust.import_revocations(market.revoke(8))
    assert told(found) == set()


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("mend", ["import", "confirm"])
def test_after_a_restore_the_newest_list_is_asked_for(
    site: Site, trust: Trust, market: Marketplace, found: Examine, known: bool, mend: str
) -> None:
    """Also where there was none: until one is imported, be it the same, or somebody says there is none."""
    if known:
        trust.import_revocations(market.revoke(7))
    with site.storage.write() as tx:
        tx.execute(trust_key.update().values(restored_ms=now_ms()))
    assert told(found) == {"trust.restored"}
    assert ("list 7" if known else "list -") in found()["trust.restored"].what
    if mend == "import":
        trust.import_revocations(market.revoke(7))
    else:
        trust.confirm_revocations(market.id)
    assert told(found) == set()


def test_a_root_that_is_trusted_no_longer_is_no_matter(
    trust: Trust, market: Marketplace, found: Examine
) -> None:
    """Nothing is installed on its word."""
    trust.import_revocations(market.revoke(7, days=-100))
    trust.remove(market.id)
    assert told(found) == set()
