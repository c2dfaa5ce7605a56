"""The examination of a site, by its server and by a command, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from mairust_core.doctor import examine
from mairust_core.model.account import Account
from mairust_core.model.finding import Level
from mairust_core.services.doctor import Doctor
from tests.contract.services.conftest import Served
from tests.contract.services.words import Ops


def test_a_site_that_is_well_has_no_error_of_ours(ops: Ops, served: Served, ann: Account) -> None:
    """What is left is that no `serve` runs there, and what the test's database server is set to.

    Other tests of the shared site link plugins from directories that are gone with them.
    """
    found = ops(Doctor).examine().findings
    errors = {one.id for one in found if one.level is Level.ERROR} - {"plugins.directory"}
    assert "server.not_running" in {one.id for one in found}
    assert errors == expected_errors(served)


def expected_errors(served: Served) -> set[str]:
    """What the server for tests says of itself: it is fast because it does not sync."""
    if served.site.storage.name == "sqlite":
        return set()
    with served.site.storage.read() as tx:
        off = {
            name: tx.execute(text(f"SHOW {name}")).scalar_one() == "off"
            for name in ("fsync", "full_page_writes")
        }
    return {f"postgresql.{name}" for name, is_off in off.items() if is_off}


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_texts_are_in_the_language_asked_for(ops: Ops, served: Served, lang: str) -> None:
    """And ids are the same in all."""
    found = {one.id: one for one in ops(Doctor).examine(lang=lang).findings}
    assert ("動作していません" in found["server.not_running"].what) is (lang == "ja")
    assert found.keys() == {one.id for one in examine(lambda: served.site.settings).findings}


def test_an_unknown_language_is_english(ops: Ops) -> None:
    """A later one may be asked for by a newer command."""
    found = {
        lang: {one.id: one.what for one in ops(Doctor).examine(lang=lang).findings} for lang in ("tlh", "en")
    }
    assert found["tlh"].keys() == found["en"].keys()
    assert found["tlh"]["server.not_running"] == found["en"]["server.not_running"]
