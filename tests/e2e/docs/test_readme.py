"""The README on a fresh machine: its first command installs and starts a server, the rest is a first mail."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.e2e.docs.shell import reader, serving
from tests.support import docs
from tests.support.docs import CHECKOUT, README

_NOT_SOURCE = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "dist", "build")


def fresh_checkout(target: Path) -> None:
    """Copy the files that are kept in version control; without it, all that are no by-products."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached"], cwd=CHECKOUT, capture_output=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        shutil.copytree(CHECKOUT, target, ignore=_NOT_SOURCE, dirs_exist_ok=True)
        return
    for name in listed.decode().rstrip("\0").split("\0"):
        if (CHECKOUT / name).exists():  # not one that is being moved away just now
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, target / name)


def pip_cache() -> str:
    """What pip keeps of former downloads: the machine is fresh, the network need not be slow."""
    who = subprocess.run(
        ["python3", "-m", "pip", "cache", "dir"], cwd="/", capture_output=True, check=False, text=True
    )
    return who.stdout.strip()


def test_the_readme_leads_to_a_mail_that_is_read(tmp_path: Path) -> None:
    """Typed as it stands, on free ports: install, serve, a domain, an account, two mails, read both ways."""
    who = reader(tmp_path)
    fresh_checkout(who.directory)
    # The second runs this suite, and the how-to of PostgreSQL the last: any other must be typed here.
    first, _, make, send, read_mail, _ = (block.text for block in docs.blocks(README, "sh"))
    install, _, serve = first.strip().rpartition(" && ")
    who.types(install, PIP_CACHE_DIR=pip_cache())
    with serving(who, serve) as server:
        read = who.types(server.in_place(make + send + read_mail))
        assert "Hello again" in read
        assert '"subject":"Hello again"' in read
        assert read.count("INBOX") == 4, "two mails, listed by the command and over the API"
    assert (who.home / ".local/share/mairust/admin.token").is_file()
