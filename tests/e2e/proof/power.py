"""Recordings of a server under strace, and their examination at every possible power cut."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mairust_core.app import Site as OpenSite
from mairust_core.blobs.fs import FsBlobStore
from mairust_core.errors import MaiRustError
from mairust_core.model.blob import Locator
from mairust_core.services.messages import Messages
from mairust_core.store.tables import blob
from tests.e2e.proof.audit import compare
from tests.e2e.proof.ledger import Entry, Ledger
from tests.e2e.proof.replay import Commit, Ignored, Promise, Replay
from tests.e2e.proof.trace import FILE_CALLS, TALK_CALLS, Call, Moment, read, strace
from tests.support.server import (
    CHECKOUT,
    END_TIMEOUT_S,
    TESTER,
    Server,
    Site,
    clean_environment,
    command_line,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What a server did from its start on, on a site that was durable then."""

    site: Site
    baseline: Path
    moments: Sequence[Moment]
    ledger: Ledger
    locators: dict[bytes, Locator]
    """Where the bytes lie, by hash."""

    def entries_by_id(self) -> dict[str, Entry]:
        """The mails, by the message ids their senders were told."""
        return {message_id: entry for entry in self.ledger.entries() for message_id in entry.ids.values()}


def record(site: Site, take_mail: Callable[[Server, Ledger], None]) -> Recording:
    """Let a server take mail on a fresh site, and SIGKILL it."""
    baseline, trace = site.directory.with_name("baseline"), site.directory.with_name("trace")
    shutil.copytree(site.directory, baseline)
    ledger = Ledger()
    with Server(site=site, wrapper=strace(trace, f"{FILE_CALLS},{TALK_CALLS}")) as server:
        take_mail(server, ledger)
    with site.opened() as here, here.storage.read() as tx:
        locators = {row.sha256: Locator(row.location) for row in tx.execute(blob.select())}
    return Recording(
        site=site, baseline=baseline, moments=list(read(trace)), ledger=ledger, locators=locators
    )


class Looked(Replay):
    """A replay that is looked at after every sync."""

    look: Callable[[], object] | None = None

    def _sync(self, call: Call, began: int) -> None:
        super()._sync(call, began)
        if self.look is not None:
            self.look()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a command did to the files below `root`, which was `baseline` and durable before."""

    root: Path
    baseline: Path
    moments: Sequence[Moment]

    def left(
        self, image: Path, ignored: Ignored | None = None, look: Callable[[Path], object] | None = None
    ) -> Path:
        """`root` as a power cut at the command's end leaves it; `look` is shown it as of each sync before."""
        replay = Looked(self.root, self.baseline, ignored)

        def cut() -> Path:
            shutil.rmtree(image, ignore_errors=True)
            replay.disk.write_image(image)
            return image

        if look is not None:
            replay.look = lambda: look(cut())
        assert list(replay.run(self.moments)) == []
        return cut()


def recorded_command(site: Site, root: Path, *words: object) -> Recorded:
    """Run a command that must succeed; what it does to the files below `root`."""
    baseline, trace = root.with_name("baseline"), root.with_name("trace")
    shutil.copytree(root, baseline)
    done = subprocess.run(
        [*strace(trace, FILE_CALLS), *command_line(site, *words)],
        env=clean_environment(site.environment),
        cwd=CHECKOUT,
        capture_output=True,
        timeout=2 * END_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Recorded(root=root, baseline=baseline, moments=list(read(trace)))


@dataclass(kw_only=True)
class Examination:
    """One replay of a recording, with the disk opened as each power cut would leave it.

    On SQLite a cut is a moment at which a 250 is about to be written, and the site is opened; on PostgreSQL
    one at which COMMIT is about to be sent, and the bytes of what it commits are read. Cuts before
    `first` are not examined; `rng` keeps some of what was not synced; `ignored` is a mutation.
    """

    recording: Recording
    scratch: Path
    ignored: Ignored | None = None
    rng: random.Random | None = None
    first: int = 1
    promised: list[str] = field(default_factory=list)
    committed: set[bytes] = field(default_factory=set)
    cuts: int = 0

    def losses(self) -> Iterator[str]:
        """What is missing or damaged at any cut; at the end of a whole run on SQLite all is compared."""
        recording = self.recording
        wanted = Commit if recording.site.database else Promise
        replay = Replay(recording.site.directory, recording.baseline, self.ignored)
        for moment in replay.run(recording.moments):
            if isinstance(moment, Promise):
                self.promised += moment.ids
            if isinstance(moment, wanted):
                self.cuts += 1
                if self.cuts >= self.first:
                    yield from self._cut(replay, moment)
        if self.first == 1 and not recording.site.database:
            yield from self._end(replay)

    def _cut(self, replay: Replay, moment: Promise | Commit) -> Iterator[str]:
        image = self.scratch / f"cut{self.cuts}"
        replay.disk.write_image(image, self.rng)
        try:
            if isinstance(moment, Commit):
                yield from self._lost_bytes(FsBlobStore(image / "blobs"), moment.sent)
            else:
                with Site(directory=image).opened() as here:
                    yield from self._lost_messages(here)
        except MaiRustError as error:
            yield f"cut {self.cuts}: {error}"
        finally:
            shutil.rmtree(image)

    def _lost_messages(self, here: OpenSite) -> Iterator[str]:
        mails = self.recording.entries_by_id()
        for message_id in self.promised:
            try:
                there = here.service(Messages, TESTER).raw(message_id, original=True)
            except MaiRustError as error:
                yield f"cut {self.cuts}: {error}"
            else:
                assert b"".join(there.chunks) == mails[message_id].mail.content

    def _lost_bytes(self, blobs: FsBlobStore, sent: bytes) -> Iterator[str]:
        for entry in self.recording.ledger.entries():
            if entry.sha256 in sent or entry.sha256.hex().encode() in sent:
                self.committed.add(entry.sha256)
                try:
                    blobs.get(self.recording.locators[entry.sha256], entry.sha256)
                except MaiRustError as error:
                    yield f"cut {self.cuts}: {error}"

    def _end(self, replay: Replay) -> Iterator[str]:
        image = self.scratch / "end"
        replay.disk.write_image(image, self.rng)
        try:
            with Site(directory=image).opened() as here:
                compare(here, self.recording.ledger)
        except (AssertionError, MaiRustError) as error:
            yield f"at the end: {error}"
