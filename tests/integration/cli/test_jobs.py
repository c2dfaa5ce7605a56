"""`mairust job` on a site."""

from __future__ import annotations

from pathlib import Path

import pytest

from mairust_core.app import opened
from mairust_core.model.job import NewJob
from tests.support.command_line import Run
from tests.support.jobs import change, enqueue, kill
from tests.support.stores import settings_for


@pytest.fixture
def dead(site: Path) -> str:
    """A job that failed for the last time."""
    with opened(settings_for(site)) as here:
        job_id = enqueue(here, NewJob(kind="gc", subject="a\x1b[31mb"))
        kill(here, job_id)
    return job_id


def test_jobs_are_listed_in_plain_lines(run: Run, dead: str) -> None:
    """What it is, where it stands, why it failed; no control character (trap T3)."""
    listed = run("job", "list", "--state", "dead")
    assert listed.code == 0
    title, line = listed.out.splitlines()
    assert title.split() == ["ID", "KIND", "SUBJECT", "STATE", "ATTEMPTS", "RUNS", "AT", "LAST", "ERROR"]
    assert line.split()[:5] == [dead, "gc", "a[31mb", "dead", "4/4"]
    assert line.endswith("TimeoutError at x.py:1")
    assert run("job", "list", "--kind", "none").out == ""


def test_the_json_is_that_of_rest(run: Run, dead: str) -> None:
    """The keys that scripts read."""
    listed = run("job", "list", "--json").json
    assert listed["next_cursor"] is None
    [item] = listed["items"]
    assert item == run("job", "show", dead, "--json").json
    assert (item["id"], item["state"], item["priority"], item["attempts"]) == (dead, "dead", 100, 4)
    assert set(item) == {
        "id", "kind", "subject", "state", "priority", "attempts", "max_attempts", "run_at", "created_at",
        "finished_at", "leased_until", "worker", "last_error",
    }  # fmt: skip


def test_a_dead_job_is_retried_and_discarded(run: Run, dead: str) -> None:
    """One by its id; discarding asks first."""
    assert "ready" in run("job", "retry", dead).out
    refused = run("job", "discard", dead)
    assert refused.code == 2
    assert "--yes" in refused.stderr
    assert run("job", "discard", dead, "--yes").out == f"removed job {dead}\n"
    assert run("job", "show", dead).code == 4


def test_all_of_them_are_changed_at_once(run: Run, site: Path) -> None:
    """Dead ones retried or discarded, held ones released; of one kind when that is given."""
    with opened(settings_for(site)) as here:
        made = [enqueue(here, NewJob(kind=kind)) for kind in ("a", "a", "b", "b", "b")]
        for job_id in made:
            kill(here, job_id)
    assert run("job", "retry", "--all", "--kind", "a", "--json").json == {"jobs": 2}
    assert run("job", "discard", "--all", "--json").code == 2
    assert run("job", "discard", "--all", "--yes", "--json").json == {"jobs": 3}
    with opened(settings_for(site)) as here:
        change(here.storage, made[0], state="held")
    assert run("job", "release", "--all").out == "Jobs: 1\n"
    assert run("job", "release", made[0]).code == 0


@pytest.mark.parametrize("verb", ["retry", "discard", "release"])
def test_one_or_all_has_to_be_said(run: Run, dead: str, verb: str) -> None:
    """Neither, both, or a kind beside an id is a wrong call: nothing happens."""
    for words in ([], [dead, "--all"], [dead, "--kind", "gc"], ["--kind", "gc"]):
        assert run("job", verb, *words, *(["--yes"] if verb == "discard" else [])).code == 2
    assert run("job", "show", dead, "--json").json["state"] == "dead"


def test_what_is_wrong_is_told(run: Run, dead: str) -> None:
    """With the exit code of its kind, in both languages."""
    assert run("job", "list", "--state", "late").code == 2
    assert run("job", "show", "x").code == 2
    assert run("job", "release", "4711").code == 4
    run("job", "retry", dead)
    with opened(settings_for(Path(run("config", "show", "--json").json["items"][0]["value"]))) as here:
        change(here.storage, dead, state="held")
    held = run("job", "retry", dead)
    assert held.code == 5
    assert f"mairust job release {dead}" in held.stderr
    assert "保留中" in run("job", "retry", dead, "--lang", "ja").stderr
