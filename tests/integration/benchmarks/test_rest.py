"""The REST benchmark is honest: the reference runs the same SQL, and both loads measure what happened."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mairust_core.app import opened
from mairust_core.config import load_settings
from mairust_core.model.principal import Principal
from mairust_core.operations.calling import call_encoded
from mairust_core.services.messages import Messages
from tests.benchmarks.rest import LIMIT, PATH, fill
from tests.benchmarks.rest_reference import Statement, create_reference, recorded
from tests.benchmarks.servers import Server, output_of, python, running
from tests.benchmarks.sites import Site, addresses, make_site

ADDRESS = addresses(1)[0]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site with sixty messages."""
    made = Site(directory=tmp_path_factory.mktemp("rest") / "site")
    make_site(made, 1)
    fill(made, 60)
    return made


@pytest.fixture(scope="module")
def reference(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The reference server on it."""
    command = python("tests.benchmarks.rest_reference", "--data-dir", site.directory, "--address", ADDRESS)
    with running(command, tmp_path_factory.mktemp("reference")) as server:
        yield server


def url(server: Server) -> str:
    """The page."""
    return f"http://{server.ready['http']}{PATH.replace('{address:path}', ADDRESS)}?limit={LIMIT}"


def test_the_reference_answers_what_mairust_answers(reference: Server) -> None:
    """Fifty messages, ready made."""
    answer = httpx.get(url(reference), trust_env=False)
    assert answer.status_code == 200
    assert len(answer.json()["items"]) == LIMIT
    assert answer.json()["next_cursor"]


def test_the_reference_runs_the_statements_of_mairust(site: Site) -> None:
    """One by one, with the same values, in every request."""
    settings = load_settings(data_dir=site.directory, env={})
    with opened(settings) as here:
        app = create_reference(here, ADDRESS)
        [route] = [one for one in app.routes if getattr(one, "path", "") == PATH]
        ours: list[Statement] = []
        theirs: list[Statement] = []
        with recorded(here, ours):
            messages = Messages(here, Principal.local("benchmark"))
            call_encoded(Messages.operations["browse"], messages, [ADDRESS], {"limit": LIMIT})
        with recorded(here, theirs):
            route.endpoint(ADDRESS)  # type: ignore[attr-defined]  # of the route that was found
        assert ours == theirs
        assert len(ours) == 2
        assert _is_statement(ours[0])


def _is_statement(one: Statement) -> bool:
    return one[0].lstrip().startswith("SELECT")


@pytest.mark.parametrize("by", ["asyncio", *(["wrk"] if shutil.which("wrk") else [])])
def test_the_load_measures_what_happens(reference: Server, by: str, tmp_path: Path) -> None:
    """A rate and times that fit it; refused requests are counted."""
    found = load(reference, by, url(reference))
    assert found["by"] == by
    assert found["rate"] > 1
    assert 0 < found["p50_ms"] <= found["p99_ms"]
    assert found["failed"] == 0
    gone = load(reference, by, url(reference) + "/gone")
    assert gone["failed"] > 0


def load(server: Server, by: str, where: str) -> dict[str, Any]:
    """One second of load."""
    more = ("--connections", 2, "--seconds", 1, "--by", by)
    return output_of(python("tests.benchmarks.http_load", "--url", where, *more))
