"""What a newer server says in words that this command does not know is shown, and never hidden."""

from __future__ import annotations

import json
from io import BytesIO, StringIO, TextIOWrapper

import pytest

from mairust_cli.commands import doctor, job
from mairust_cli.commands.plugin_review import review_lines
from mairust_cli.output import Output
from mairust_core import wire
from mairust_core.model.finding import Examination
from mairust_core.model.forms import Page
from mairust_core.model.job import Job
from mairust_core.model.plugin_forms import Review

TIME = "2027-01-01T00:00:00.000Z"


@pytest.fixture(params=["en", "ja"])
def output(request: pytest.FixtureRequest) -> Output:
    """Texts, in each language."""
    return Output(stdout=TextIOWrapper(BytesIO(), "utf-8"), stderr=StringIO(), env={}, lang=request.param)


def test_a_right_of_a_new_kind_is_shown_before_it_is_granted(output: Output) -> None:
    """With its name and value, marked as more; nobody approves what they did not see."""
    known = {"kind": "reach", "name": "network", "value": "none", "was": None, "more": False}
    new = {"kind": "pay", "name": "spend", "value": "all\x1b[2J", "was": "little", "more": True}
    told = {"id": "r", "version": "2", "rights": [new, known]}
    review = wire.decode(Review, json.dumps(told))
    lines = [*review_lines("com.example.p", review, output)]
    assert len(lines) == 3
    assert lines[-1].startswith("  + pay: spend = all")
    assert "little" in lines[-1]
    assert "\x1b" not in lines[-1]


def test_a_review_says_what_was_before_where_it_was_another(output: Output) -> None:
    """What did not change is said once: whoever approves looks for what did."""
    same = {"kind": "reach", "name": "network", "value": "local-only", "was": "local-only", "more": False}
    other = same | {"name": "memory_mb", "kind": "use", "value": "512", "was": "256", "more": True}
    told = {"id": "r", "version": "2", "rights": [same, other]}
    lines = [*review_lines("p", wire.decode(Review, json.dumps(told)), output)]
    assert [sum(line.count(one) for line in lines) for one in ("local-only", "512", "256")] == [1, 1, 1]


def test_a_finding_of_a_new_level_is_an_error(output: Output) -> None:
    """It is told, and the command does not end as if all were well."""
    one = {"id": "x.y", "level": "catastrophe", "what": "w", "why": "y", "mend": "m"}
    found = wire.decode(Examination, json.dumps({"findings": [one]}))
    assert found.is_bad
    assert doctor._told(found, output)[0] == "catastrophe  x.y"


def test_a_job_in_a_new_state_is_listed(output: Output) -> None:
    """By that word, as a table and as JSON."""
    one = {
        "id": "1", "kind": "k", "subject": "s", "state": "paused", "priority": 10, "attempts": 1,
        "max_attempts": 2, "run_at": TIME, "created_at": TIME, "finished_at": None, "leased_until": None,
        "worker": None, "last_error": None,
    }  # fmt: skip
    page = wire.decode(Page[Job], json.dumps({"items": [one], "next_cursor": None}))
    output.page(page, job.COLUMNS)
    assert isinstance(output.stdout, TextIOWrapper)
    assert isinstance(output.stdout.buffer, BytesIO)
    assert b"paused" in output.stdout.buffer.getvalue()
