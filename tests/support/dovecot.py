"""A Dovecot of a test's own: no server, only `doveadm` on a directory, as somebody who is not root."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.users import NOBODY


class Dovecot:
    """One user's mail below a directory; `location` is Dovecot's, with `~` for the directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, location: str, *words: str, stdin: bytes = b"", settings: str = "") -> bytes:
        """What a command of `doveadm` prints."""
        owner, group = os.getuid() or NOBODY, os.getgid() or NOBODY
        for path in (self.directory, *self.directory.rglob("*")):
            os.chown(path, owner, -1, follow_symlinks=False)
        config = self.directory / "dovecot.conf"
        config.write_text(
            f"mail_location = {location.replace('~', str(self.directory))}\nmail_home = {self.directory}\n"
            f"base_dir = {self.directory}/run\nmail_uid = {owner}\nmail_gid = {group}\n"
            f"first_valid_uid = 1\nfirst_valid_gid = 1\nssl = no\n{settings}\n"
        )
        done = subprocess.run(
            ["doveadm", "-c", str(config), *words],
            env={**os.environ, "USER": "ann", "HOME": str(self.directory)},
            cwd=self.directory,
            input=stdin,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def save(self, location: str, mailbox: str, *mails: bytes, settings: str = "") -> None:
        """Put mails into a mailbox, which is made when it is not there."""
        if mailbox not in self.mailboxes(location):
            self.run(location, "mailbox", "create", mailbox)
        for mail in mails:
            self.run(location, "save", "-m", mailbox, stdin=mail, settings=settings)

    def mailboxes(self, location: str) -> list[str]:
        """Their names."""
        return self.run(location, "mailbox", "list").decode().split("\n")[:-1]

    def fetch(self, location: str, *fields: str, mailbox: str = "*") -> list[dict[str, str]]:
        """These fields of every message."""
        found: list[dict[str, str]] = json.loads(
            self.run(location, "-f", "json", "fetch", " ".join(fields), "mailbox", mailbox)
        )
        return found


@contextmanager
def dovecot() -> Iterator[Dovecot]:
    """One in a directory that anybody may enter; skips without Dovecot."""
    if shutil.which("doveadm") is None:
        pytest.skip("dovecot is not installed")
    with tempfile.TemporaryDirectory(prefix="mairust-dovecot-", dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        yield Dovecot(Path(directory))
