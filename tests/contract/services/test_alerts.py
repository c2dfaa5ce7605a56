"""R-MON-1: the alerts of the page on monitoring ask for numbers that `/metrics` has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from mairust_core.ids import now_ms
from mairust_core.model.plugin_life import HealthState
from mairust_core.services.plugins import Plugins
from mairust_core.store import plugin_health
from tests.contract.services.conftest import Served
from tests.support.docs import CHECKOUT, blocks
from tests.support.exposition import Read, read
from tests.support.linking import approved, manifest_text, new_id

SCRAPE, RULES = (
    yaml.safe_load(one.text) for one in blocks(CHECKOUT / "docs" / "how-to" / "monitor.md", "yaml")
)
[GROUP] = RULES["groups"]
_SELECTED = re.compile(r"\b(?P<name>[a-z_]+)\{(?P<labels>[^}]*)\}|\b(?P<alone>mairust_[a-z_]+)")


def selected(expression: str) -> list[tuple[str, set[str]]]:
    """The series that an expression asks for: name, and labels as they are written."""
    return [
        (found["name"] or found["alone"], set((found["labels"] or "").replace(" ", "").split(",")) - {""})
        for found in _SELECTED.finditer(expression)
    ]


@pytest.fixture
def told(served: Served, tmp_path: Path) -> Iterator[dict[str, Read]]:
    """What a monitor reads of a site with a plugin whose health was checked, and what it adds."""
    plugin = approved(served.site, tmp_path, manifest_text(new_id()))
    found = plugin_health.Checked(plugin=plugin, state=HealthState.WELL, took_us=1)
    with served.site.storage.write() as tx:
        plugin_health.record(tx, [found], now_ms())
    with httpx.Client(trust_env=False, timeout=60) as client:
        answer = client.get(f"{served.http.url}/metrics")
    [job] = [one["job_name"] for one in SCRAPE["scrape_configs"]]
    yield read(answer.text) | {"up": Read(kind="gauge", samples={f'up{{job="{job}"}}': 1.0})}
    served.here(Plugins).remove(plugin)


def test_each_rule_is_an_alert_of_its_own() -> None:
    """With a name that no other has, and something that it asks for."""
    names = [rule["alert"] for rule in GROUP["rules"]]
    assert len(set(names)) == len(names) > 10
    assert all(selected(rule["expr"]) for rule in GROUP["rules"])


def test_r_mon_1_alerts_ask_for_numbers_that_are_told(told: dict[str, Read]) -> None:
    """By names, labels and values of labels that are there; what only grows is asked for its rate."""
    kinds = {sample.partition("{")[0]: one.kind for one in told.values() for sample in one.samples}
    there = [(sample.partition("{")[0], labels_of(sample)) for one in told.values() for sample in one.samples]
    for rule in GROUP["rules"]:
        for name, labels in selected(rule["expr"]):
            assert any(name == one and labels <= has for one, has in there), (name, labels, rule)
            assert (f"rate({name}" in rule["expr"]) is (kinds[name] != "gauge"), (name, rule)


def labels_of(sample: str) -> set[str]:
    """The labels of one number, as they are written."""
    return set(re.findall(r'\w+="[^"]*"', sample))
