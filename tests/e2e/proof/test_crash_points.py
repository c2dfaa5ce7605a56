"""The server kills itself at every step that a mail passes (rule C3), under load, on both databases."""

from __future__ import annotations

import random
import signal

import pytest

from mairust_core.observe.faults import STEPS
from tests.e2e.proof.audit import audit
from tests.e2e.proof.ledger import Ledger
from tests.e2e.proof.load import Load
from tests.support.server import Server, Site

NOT_INGEST = (
    *("gc.", "compact.", "hook.", "plugin.", "request.", "secrets.", "trust."),
    *("import.", "backup.", "prune.", "restore."),
)
NTH = {"segment.created": 1}
"""A segment is created once; everything else is reached again and again."""

INGEST_STEPS = [step.name for step in STEPS if not step.name.startswith(NOT_INGEST)]


@pytest.mark.parametrize("step", INGEST_STEPS)
def test_rule_c3_a_kill_at_any_step_loses_no_acknowledged_mail(
    site: Site, ledger: Ledger, rng: random.Random, step: str
) -> None:
    """After SIGKILL at the step, what was answered 250 is there once and intact, and service goes on."""
    nth = NTH.get(step) or rng.randint(2, 4)
    server = Server(site=site, crash_at=f"{step}:{nth}")
    with server, Load(server, ledger, rng, large_every=4):
        assert server.wait() == -signal.SIGKILL
    audit(site, ledger)
    with server:
        with Load(server, ledger, rng) as load:
            load.wait_for(10)
        assert server.terminate() == 0
    audit(site, ledger)
