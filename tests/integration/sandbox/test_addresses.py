"""Plugins and addresses that no test machine has: in a network of its own they are there, with listeners.

What arrives at those listeners is all that is looked at (rules H1, H2, trap H4).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.integration.sandbox.conftest import machine_without
from tests.support.network_process import EVERY, METADATA, OTHER, PRIVATE, PUBLIC
from tests.support.server import CHECKOUT

NO_NAMESPACE = "no network namespace to be had: needs root or unprivileged user namespaces"
TIMEOUT_S = 120.0


@pytest.fixture(scope="module")
def came(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """At which addresses somebody was, by case."""
    machine_without()
    who = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    if not shutil.which("ip") or subprocess.run([*who, "true"], capture_output=True, check=False).returncode:
        pytest.skip(NO_NAMESPACE)
    directory = tmp_path_factory.mktemp("network")
    done = subprocess.run(
        [*who, sys.executable, "-m", "tests.support.network_process", str(directory)],
        cwd=CHECKOUT,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_without_a_sandbox_the_program_gets_everywhere(came: dict[str, list[str]]) -> None:
    """Or the tests below would prove nothing."""
    assert came["outside"] == [*EVERY]


@pytest.mark.parametrize(
    ("case", "reached"),
    [
        ("none", []),
        ("local-only", ["127.0.0.1"]),
        ("all listed", [PUBLIC, OTHER]),
        ("one listed", [PUBLIC]),
        ("private opened", [PRIVATE, PUBLIC, OTHER]),
        ("a listener of ours", []),
    ],
)
def test_trap_h4_rule_h2_a_plugin_arrives_where_its_words_lead(
    came: dict[str, list[str]], case: str, reached: list[str]
) -> None:
    """The metadata address and private ones though the plugin lists them, the outside only as listed."""
    assert came[case] == reached
    assert METADATA not in came[case]


def test_trap_h4_rule_h2_a_question_goes_to_public_addresses_only(came: dict[str, list[str]]) -> None:
    """Of http plugins that say outbound-limited: neither to this machine nor to a private network."""
    assert came["http"] == [PUBLIC, OTHER]
