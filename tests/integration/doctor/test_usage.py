"""What is found of domains, accounts, postmaster and collection."""

from __future__ import annotations

from pathlib import Path

import pytest

from mairust_core.config import load_settings
from mairust_core.doctor import examine, examine_site, usage
from mairust_core.ids import now_ms
from mairust_core.model.finding import Level
from mairust_core.running import Running, presence
from tests.integration.doctor.conftest import Examine
from tests.support.stores import open_kit, settings_for

DAY_MS = 86_400_000


def test_a_site_for_nobody(data_dir: Path, found: Examine) -> None:
    """No domain, then a domain without an account, then one that is disabled."""
    assert "domain.none" in found()
    with open_kit(settings_for(data_dir)) as kit:
        kit.domain()
        assert {"domain.none", "account.none"} & set(found()) == {"account.none"}
        kit.account("ann@example.org")
        assert not {"domain.none", "account.none"} & set(found())
        kit.run("UPDATE account SET enabled = ?", False)
    assert "account.none" in found()


def test_postmaster_falls_to_somebody(data_dir: Path, found: Examine) -> None:
    """Until an alias or an account of that name is there, domain by domain."""
    with open_kit(settings_for(data_dir)) as kit:
        for number in range(7):
            kit.domain(f"d{number}.example")
        kit.account("postmaster@d0.example")
        kit.account("ann@d1.example")
        kit.alias("Postmaster@d1.example", "ann@d1.example")
        one = found()["postmaster.fallback"]
        assert one.level is Level.INFO
        assert one.what.endswith("d2.example, d3.example, d4.example, d5.example, d6.example.")
        kit.domain("d7.example")
    assert "…" in found()["postmaster.fallback"].what


def test_an_alias_leads_to_nobody(data_dir: Path, found: Examine) -> None:
    """What it names is gone; a +detail, another alias and a catch-all are somebody."""
    with open_kit(settings_for(data_dir)) as kit:
        for name in ("d.example", "e.example", "caught.example"):
            kit.domain(name)
        for address in ("ann@d.example", "bob@d.example", "eve@e.example"):
            kit.account(address)
        kit.alias("sales@d.example", "ann@d.example")
        kit.alias("news@d.example", "bob+news@d.example")
        kit.alias("over@d.example", "sales@d.example")
        kit.alias("*@caught.example", "eve@e.example")
        kit.alias("far@d.example", "somebody@caught.example")
        assert "alias.nowhere" not in found()
        kit.run("DELETE FROM address WHERE folded = ?", "ann@d.example")
        one = found()["alias.nowhere"]
        assert one.level is Level.WARNING
        assert one.what.endswith("not there: sales@d.example (ann@d.example).")
        assert one.mend.startswith("mairust alias remove sales@d.example,")
        for number in range(6):
            kit.alias(f"a{number}@d.example", "bob+x@d.example")
        kit.run("DELETE FROM address WHERE folded = ?", "bob@d.example")
    assert "…" in found()["alias.nowhere"].what


@pytest.mark.parametrize(("up_ms", "ran_ms", "late"), [
    (DAY_MS - 60_000, None, False),
    (DAY_MS + 60_000, None, True),
    (DAY_MS * 9, DAY_MS - 60_000, False),
    (DAY_MS * 9, DAY_MS + 60_000, True),
])  # fmt: skip
def test_collection_is_late(
    data_dir: Path, found: Examine, up_ms: int, ran_ms: int | None, late: bool
) -> None:
    """A day after the server started, or after the last run."""
    (data_dir / "run").mkdir()
    with open_kit(settings_for(data_dir)) as kit:
        if ran_ms is not None:
            kit.run("INSERT INTO upkeep VALUES ('gc', 1, ?, 10, '{}')", now_ms() - ran_ms)
        with presence(data_dir) as here:
            here.say(Running(pid=1, version="x", started_ms=now_ms() - up_ms, workers=1))
            assert ("collection.late" in found()) is late
    assert "collection.late" not in found(), "no server runs: that is another finding"


def test_a_check_that_fails_is_a_finding(data_dir: Path, found: Examine) -> None:
    """A table that is gone breaks the checks that read it, and nothing else."""
    with open_kit(settings_for(data_dir)) as kit:
        kit.run("DROP TABLE alias_target")
        kit.run("DROP TABLE pipe_delivery")
        kit.run("DROP TABLE address")
        told = examine_site(kit.settings, kit.storage).findings
    failed = [one for one in told if one.id == "doctor.check_failed"]
    assert usage.postmaster.__name__ in failed[0].what
    assert "domain.none" in {one.id for one in told}
    assert set(found()) >= {"doctor.check_failed"}


def test_the_same_is_found_from_outside_and_from_inside(data_dir: Path) -> None:
    """By a command and by the server, in each language."""
    with open_kit(settings_for(data_dir)) as kit:
        kit.domain()
        settings = load_settings(data_dir=data_dir, env={})
        for lang in ("en", "ja"):
            assert examine(lambda: settings, lang) == examine_site(kit.settings, kit.storage, lang)
