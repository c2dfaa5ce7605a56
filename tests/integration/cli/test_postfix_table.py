"""The table of recipients for Postfix's pipe, made by the line that the how-to shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.support.command_line import Run
from tests.support.docs import CHECKOUT

PAGE = CHECKOUT / "docs" / "how-to" / "behind-postfix.md"


def test_the_table_has_whom_mail_is_taken_for(run: Run, site: Path) -> None:
    """Accounts and aliases, a catch-all as Postfix writes it, and nobody who is disabled."""
    assert site.exists()
    run("account", "add", "off@example.org")
    assert run("account", "disable", "off@example.org").code == 0
    assert run("alias", "add", "info@example.org", "--to", "ann@example.org").code == 0
    assert run("alias", "add", "*@example.org", "--to", "ann@example.org").code == 0
    line = re.search(r"^\((.+)\) \| python3 -c '(.+)' > mailboxes$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert line is not None
    listed = [run(*one.split()[1:]).stdout for one in line[1].split("; ")]
    done = subprocess.run(
        [sys.executable, "-c", line[2]], input=b"".join(listed), capture_output=True, check=True
    )
    table = done.stdout.decode().splitlines()
    assert "off@example.org ok" not in table
    assert {"ann@example.org ok", "bob@example.org ok", "info@example.org ok", "@example.org ok"} <= set(
        table
    )
    assert not any("*" in one for one in table)
