"""Crash points: named steps at which a process can be told to die, so that kill tests miss none.

`MAIRUST_CRASH_AT=segment.written` makes the process send itself SIGKILL when it first reaches that step,
`segment.written:3` when it reaches it the third time. The variable is read once, at import.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import NamedTuple

from mairust_core.errors import BadConfig

VARIABLE = "MAIRUST_CRASH_AT"


class Step(NamedTuple):
    """A moment in the life of a mail at which a crash must lose nothing that was acknowledged."""

    name: str
    meaning: str


STEPS = (
    Step("segment.created", "a new segment file exists and is empty"),
    Step("segment.written", "a batch is in its segment, not yet synced"),
    Step("segment.synced", "a batch and the segment's directory entry are durable"),
    Step("file.written", "an own file is complete under its temporary name, not yet synced"),
    Step("file.synced", "an own file is durable under its temporary name"),
    Step("file.renamed", "an own file has its name, the directory is not yet synced"),
    Step("file.linked", "an own file's directory entry is durable"),
    Step("commit.begin", "blobs are durable, the database transaction is about to begin"),
    Step("commit.rows", "the rows of a batch are written, the transaction is open"),
    Step("commit.before", "COMMIT is about to be sent"),
    Step("commit.after", "COMMIT has returned"),
    Step("reply.before", "the 250 is about to be written to the socket"),
    Step("import.prepared", "the mailboxes of an import are there, none of its messages yet"),
    Step("import.answered", "a message of an import is stored, its source has not noted it"),
    Step("gc.condemned", "unreferenced blob rows are marked condemned"),
    Step("gc.row_deleted", "a condemned row is gone, its bytes are still there"),
    Step("gc.bytes_deleted", "the bytes of a deleted row are gone"),
    Step("compact.copied", "live records of a segment are durable at new locators"),
    Step("compact.updated", "the rows point at the new locators"),
    Step("compact.unlinked", "the old segment is unlinked"),
    Step("hook.applied", "what a job's plugin answered is written, the transaction is open"),
    Step("hook.committed", "what a job's plugin answered is committed with the job's end"),
    Step("request.kept", "what a request with its key did and answered is written, the transaction is open"),
    Step("request.done", "a request with its key is committed, its answer is not sent"),
    Step("secrets.file_written", "a new file of the master key is durable under its temporary name"),
    Step("secrets.key_added", "the new master key is in its file beside the old one"),
    Step("secrets.key_current", "the new master key is in force, every secret is still under the old one"),
    Step("secrets.rewrapped", "some secrets are under the new master key"),
    Step(
        "secrets.all_rewrapped", "every secret is under the new master key, the old one is still in its file"
    ),
    Step("secrets.old_gone", "the old master key is gone from its file"),
    Step(
        "plugin.secret_rotated",
        "a plugin's new secret is written, the transaction is open",
    ),
    Step("plugin.secret_told", "a plugin's new secret is in force, and nobody was told it"),
    Step("backup.pinned", "a backup holds all blobs, nothing is read yet"),
    Step("backup.pack_written", "a pack is complete under its temporary name, not yet synced"),
    Step("backup.pack_published", "a pack is durable, no index names it"),
    Step("backup.index_published", "an index is durable, no snapshot needs it yet"),
    Step("backup.snapshot_published", "the snapshot is durable, the site still holds its blobs"),
    Step("prune.snapshots_deleted", "old snapshots are gone, what they needed is there"),
    Step("prune.index_published", "one index of what stays is durable beside the old ones"),
    Step("prune.packs_left", "only the new index is there, and packs that it does not name"),
    Step("plugin.parts", "some bytes of a package are kept, it is not there yet"),
    Step("plugin.installed", "a package and its plugin are written, the transaction is open"),
    Step("plugin.approved", "what a plugin asked for is given, the transaction is open"),
    Step("plugin.unpacked", "the files of a package are durable under a temporary name"),
    Step("plugin.renamed", "the files of a package have their name, the directory is not yet synced"),
    Step("trust.revoked", "what a root took back is written and blocked, the transaction is open"),
    Step("restore.pack", "mail of a pack is stored, its rows are not committed"),
    Step("restore.mail", "all mail is stored, no account is there"),
    Step("restore.rows", "every row is written, COMMIT is about to be sent"),
    Step("restore.committed", "the site, its settings and its administrator's key are there, untold"),
)


class Fault:
    """The one step at which this process is to die, and how often it may still pass it."""

    def __init__(self, step: str, nth: int) -> None:
        self.step = step
        self._left = nth
        self._lock = threading.Lock()

    def due(self, step: str) -> bool:
        """Whether this arrival at `step` is the one to die at."""
        if step != self.step:
            return False
        with self._lock:
            self._left -= 1
            return self._left == 0


def parse(text: str) -> Fault | None:
    """The fault `text` asks for (`step` or `step:N`), None when empty; `BadConfig` on anything else."""
    if not text:
        return None
    step, _, nth = text.partition(":")
    if step not in {known.name for known in STEPS}:
        raise BadConfig("crash_step", variable=VARIABLE, value=text, known=", ".join(s.name for s in STEPS))
    if nth and not (nth.isascii() and nth.isdigit() and int(nth)):
        raise BadConfig("crash_count", variable=VARIABLE, value=text)
    return Fault(step, int(nth or 1))


_armed = parse(os.environ.get(VARIABLE, ""))


def crash_point(step: str) -> None:
    """Die here by SIGKILL when the environment asks for this step; otherwise costs one comparison."""
    if _armed is not None and _armed.due(step):
        os.kill(os.getpid(), signal.SIGKILL)
