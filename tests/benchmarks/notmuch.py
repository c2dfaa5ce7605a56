"""notmuch as the search benchmark's neighbour: a Maildir of the same mail, its index, and queries one by one.

A query is a process, as a person or a script asks it; Japanese is indexed by pairs of characters, as ours is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

FIRST_S = 1_700_000_000
_NGRAMS = {"XAPIAN_CJK_NGRAM": "1"}
_CONFIG = "[database]\npath={mail}\n[new]\ntags=\nignore=\n[user]\nname=Ann\nprimary_email=ann@example.org\n"


def is_installed() -> bool:
    """Whether there is a notmuch to compare with."""
    return shutil.which("notmuch") is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notmuch:
    """An index over a Maildir of its own."""

    directory: Path

    def build(self, contents: Sequence[bytes], gap_s: int) -> float:
        """Write the mail, oldest first, index it, and say how many messages a second that was."""
        mail = self.directory / "mail"
        for name in ("cur", "new", "tmp"):
            (mail / name).mkdir(parents=True)
        for at, content in enumerate(contents):
            head = f"Message-ID: <{at}@notmuch.example>\r\nDate: {formatdate(FIRST_S + at * gap_s)}\r\n"
            (mail / "cur" / f"{at}:2,S").write_bytes(head.encode() + content)
        (self.directory / "config").write_text(_CONFIG.format(mail=mail), "utf-8")
        began = time.perf_counter()
        self._run("new", "--quiet")
        return len(contents) / (time.perf_counter() - began)

    def ask(self, query: str, limit: int) -> tuple[float, int]:
        """Milliseconds of one process that names the newest hits, and how many it named."""
        began = time.perf_counter()
        found = self._run("search", "--output=messages", "--sort=newest-first", f"--limit={limit}", query)
        return (time.perf_counter() - began) * 1000, found.count(b"\n")

    def _run(self, *arguments: str) -> bytes:
        env = {**os.environ, **_NGRAMS, "NOTMUCH_CONFIG": str(self.directory / "config")}
        return subprocess.run(["notmuch", *arguments], env=env, capture_output=True, check=True).stdout
