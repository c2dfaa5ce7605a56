"""Many short commands on one SQLite site at once: each opens and closes the database."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support import forks

PROCESSES = 4
COMMANDS = 24


def _mairust(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mairust_cli.entry", "--data-dir", str(data_dir), *arguments]
    return forks.run(command, text=True, timeout=120)


def test_rule_d1_commands_that_come_and_go_share_the_log_index_safely(tmp_path: Path) -> None:
    """No command dies: nothing but SQLite opens the log or its index, whose locks a close would drop."""
    site = tmp_path / "site"
    assert _mairust(site, "init").returncode == 0
    assert _mairust(site, "domain", "add", "example.org").returncode == 0
    with ThreadPoolExecutor(PROCESSES) as pool:
        done = list(
            pool.map(lambda n: _mairust(site, "account", "add", f"u{n}@example.org"), range(COMMANDS))
        )
    assert [(one.returncode, one.stderr) for one in done if one.returncode] == []
    listed = _mairust(site, "account", "list", "--all", "--json")
    assert listed.stdout.count("@example.org") == COMMANDS
