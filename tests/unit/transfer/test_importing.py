"""A run of an import against a ledger in memory (rule I1, trap M3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mairust_core.errors import DiskFull, Forbidden, TooLarge
from mairust_core.model.copies import ImportedCopy, NewCopy, Outcome, Tally
from mairust_core.operations import Item
from mairust_core.receive.importing import failed
from mairust_core.transfer.cache import MAGIC, RECORD_BYTES, HashCache
from mairust_core.transfer.dates import received_date
from mairust_core.transfer.importing import (
    BATCH_ITEMS,
    Batches,
    ImportRun,
    Wishes,
    refusal_of,
)
from mairust_core.transfer.names import Mapping
from mairust_core.transfer.payload import Payload
from mairust_core.transfer.room import Room
from mairust_core.transfer.source import Aside, Broken, Fate, Found, Reason, Unusable
from mairust_core.transfer.telling import Told

Call = Callable[[list[Item[NewCopy]]], list[ImportedCopy]]
AT = datetime(2026, 11, 22, tzinfo=UTC)


@dataclass
class Message:
    """A message that counts how often it is read."""

    data: bytes
    path: str = "x"
    key: bytes = b""
    reads: int = 0
    broken: Unusable | None = None

    @property
    def size_bytes(self) -> int:
        """Its length."""
        return len(self.data)

    def flags(self) -> tuple[str, ...]:
        """Seen."""
        return ("\\Seen",)

    def received_at(self) -> datetime:
        """Always the same."""
        return AT

    def load(self) -> Payload:
        """Its bytes, or why there are none."""
        self.reads += 1
        if self.broken:
            raise self.broken
        return Payload.of(self.data)


@dataclass
class Folder:
    """Messages under a name."""

    mailbox: str
    found: Sequence[Found | Broken | Aside]
    path: str = "folder"
    original: str = ""

    @property
    def called(self) -> str:
        """As there, unless said otherwise."""
        return self.original or self.mailbox

    def messages(self) -> Iterator[Found | Broken | Aside]:
        """All of them."""
        yield from self.found


@dataclass
class Mail:
    """A source in memory."""

    all_: Sequence[Folder]
    path: str = "memory"
    beside: tuple[Broken | Aside, ...] = ()

    def folders(self) -> Sequence[Folder]:
        """All of them."""
        return self.all_

    def subscribed(self) -> tuple[str, ...]:
        """The first one."""
        return tuple(folder.mailbox for folder in self.all_[:1])

    def expected(self) -> int | None:
        """Nobody asks."""
        return None

    def left(self) -> tuple[Broken | Aside, ...]:
        """What is beside the folders."""
        return self.beside


@dataclass
class Ledger:
    """A target that keeps what it gets, by the rule of the ledger; dies when `room` is used up."""

    counted: Counter[tuple[str, str]] = field(default_factory=Counter)
    kept: list[tuple[str, bytes]] = field(default_factory=list)
    received: list[NewCopy] = field(default_factory=list)
    prepared: list[tuple[Sequence[str], Sequence[str]]] = field(default_factory=list)
    room: int = 1 << 30
    refuse: bytes = b"never"
    takes: Room = field(default_factory=Room)

    def prepare(self, mailboxes: Sequence[str], subscribed: Sequence[str]) -> None:
        """Note it."""
        self.prepared.append((mailboxes, subscribed))

    def known(self, mailbox: str, hashes: Sequence[bytes]) -> Sequence[int]:
        """What is counted."""
        return [self.counted[mailbox, one.hex()] for one in hashes]

    def limits(self) -> Room:
        """As the test says."""
        return self.takes

    def send(self, items: Iterator[Item[NewCopy]]) -> Iterator[ImportedCopy]:
        """Keep what is not counted yet."""
        for item in items:
            yield self._take(item.value, b"".join(item.content.chunks))

    def _take(self, new: NewCopy, data: bytes) -> ImportedCopy:
        assert sha256(data).hexdigest() == new.sha256
        self.received.append(new)
        key = (new.mailbox, new.sha256)
        if data == self.refuse:
            return ImportedCopy(outcome=Outcome.FAILED, code="too_large", why="it is too large")
        if self.counted[key] >= new.copy:
            return ImportedCopy(outcome=Outcome.SKIPPED)
        if len(self.kept) >= self.room:
            raise DiskFull("outside")
        self.counted[key] += 1
        self.kept.append((new.mailbox, data))
        return ImportedCopy(outcome=Outcome.IMPORTED)


@dataclass
class Bench:
    """Runs imports and remembers what was told."""

    directory: Path
    target: Ledger = field(default_factory=Ledger)
    told: list[Told] = field(default_factory=list)

    def run(
        self, *folders: Folder, wishes: Wishes | None = None, beside: tuple[Broken | Aside, ...] = ()
    ) -> Tally:
        """One run over these folders, with the cache of this bench."""
        cache = HashCache(self.directory, "memory")
        run = ImportRun(
            self.target, wishes or Wishes(), cache, tell=self.told.append, progress=lambda _: None
        )
        return run.run(Mail(folders, beside=beside))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A target with nothing in it."""
    return Bench(tmp_path / "cache")


def counts(tally: Tally) -> tuple[int, int, int]:
    """Imported, skipped, failed."""
    return tally.done, tally.skipped, tally.failed


def box(*texts: bytes, name: str = "INBOX") -> Folder:
    """A folder of messages, each with a key."""
    return Folder(name, [Message(text, key=b"%-16d" % n) for n, text in enumerate(texts)])


def test_rule_i1_equal_messages_all_arrive_once(bench: Bench) -> None:
    """Three copies are three, also when the source shows one more of them later."""
    assert counts(bench.run(box(b"a", b"a", b"b", b"a"))) == (4, 0, 0)
    assert counts(bench.run(box(b"a", b"a", b"b", b"a"))) == (0, 4, 0)
    assert counts(bench.run(box(b"a", b"a", b"b", b"a", b"a"))) == (1, 4, 0)
    assert counts(bench.run(box(b"a"))) == (0, 1, 0)
    assert sorted(bench.target.kept) == [("INBOX", one) for one in (b"a", b"a", b"a", b"a", b"b")]


def test_rule_i1_copies_are_counted_over_all_folders_of_a_mailbox(bench: Bench) -> None:
    """Two folders that go to one mailbox hold one copy each: both arrive."""
    wishes = Wishes(mapping=Mapping(["Old=INBOX"]))
    assert counts(bench.run(box(b"a"), box(b"a", name="Old"), wishes=wishes)) == (2, 0, 0)
    assert counts(bench.run(box(b"a"), box(b"a", name="Old"), wishes=wishes)) == (0, 2, 0)
    assert counts(bench.run(box(b"a", name="Old"))) == (1, 0, 0)


@settings(max_examples=60)
@given(st.lists(st.sampled_from([b"a", b"b", b"c"]), max_size=12), st.lists(st.integers(0, 12), max_size=4))
def test_trap_m3_broken_off_anywhere_it_completes(
    tmp_path_factory: pytest.TempPathFactory, texts: list[bytes], rooms: list[int]
) -> None:
    """However often a run ends early, in the end each message is there as often as in the source."""
    bench = Bench(tmp_path_factory.mktemp("cache"))
    for room in rooms:
        bench.target.room = room
        try:
            bench.run(box(*texts))
        except DiskFull:
            continue
    bench.target.room = 1 << 30
    bench.run(box(*texts))
    assert [data for _, data in bench.target.kept] == texts


def test_the_cache_saves_reading_and_nothing_else(bench: Bench) -> None:
    """An unchanged file is not read again; what the ledger lacks is read, whatever the cache says."""
    folder = box(b"a", b"b")
    bench.run(folder)
    bench.run(folder)
    assert [one.reads for one in folder.found if isinstance(one, Message)] == [1, 1]
    assert counts(bench.run(folder, wishes=Wishes(verify=True))) == (0, 2, 0)
    assert [one.reads for one in folder.found if isinstance(one, Message)] == [2, 2]
    bench.target.counted.clear()
    assert counts(bench.run(folder)) == (2, 0, 0)


def test_a_cache_that_lies_does_no_harm(bench: Bench) -> None:
    """The file has other bytes than its key says: they are sent for what they are."""
    bench.run(box(b"a"))
    bench.target.counted.clear()
    assert counts(bench.run(box(b"other"))) == (1, 0, 0)
    assert bench.target.kept[-1] == ("INBOX", b"other")


def test_rule_i1_a_file_that_changed_since_it_was_cached_is_counted_anew(bench: Bench) -> None:
    """Two equal files were read before; one of them has other bytes now, and so has a further one."""
    bench.run(box(b"a", b"a"))
    bench.target.counted.clear()
    bench.target.kept.clear()
    assert counts(bench.run(box(b"a", b"b", b"b"))) == (3, 0, 0)
    assert sorted(bench.target.kept) == [("INBOX", one) for one in (b"a", b"b", b"b")]


def test_again_sends_everything(bench: Bench) -> None:
    """Whatever the ledger says; which copy it is, is said all the same."""
    bench.run(box(b"a", b"a"))
    bench.run(box(b"a", b"a"), wishes=Wishes(again=True))
    assert [new.copy for new in bench.target.received] == [1, 2, 1, 2]


def test_a_dry_run_changes_nothing(bench: Bench) -> None:
    """It counts what a run would do, and nothing is made or sent."""
    bench.run(box(b"a"))
    bench.target.prepared.clear()
    assert counts(bench.run(box(b"a", b"b", b"b"), wishes=Wishes(dry_run=True))) == (2, 1, 0)
    assert (len(bench.target.kept), bench.target.prepared) == (1, [])


def test_mailboxes_are_made_in_any_case(bench: Bench) -> None:
    """Empty folders and subscriptions too, under their new names."""
    bench.run(box(name="a"), box(name="b"), wishes=Wishes(mapping=Mapping(prefix="Old")))
    assert bench.target.prepared == [(["Old/a", "Old/b"], ["Old/a"])]


def test_what_fails_is_told_and_the_others_go_on(bench: Bench) -> None:
    """Unreadable, broken, refused: each with its path and reason, and each of them tried again next time."""
    folder = Folder(
        "INBOX",
        [
            Message(b"a"),
            Message(b"", path="gone", broken=Unusable(Reason.of("vanished"))),
            Broken(path="cur", reason=Reason.of("unreadable", why="permission denied")),
            Message(b"large", path="large"),
            Message(b"b"),
        ],
    )
    bench.target.refuse = b"large"
    for expected in ((2, 0, 3), (0, 2, 3)):
        bench.told.clear()
        assert counts(bench.run(folder)) == expected
        failed = [one for one in bench.told if one.outcome is Fate.FAILED]
        assert {(one.path, one.reason.code) for one in failed} == {
            ("gone", "vanished"), ("cur", "unreadable"), ("large", "too_large"),
        }  # fmt: skip


def test_a_folder_that_gets_another_name_is_told(bench: Bench) -> None:
    """With both names, in either language; one that differs in capitals or in composition is the same."""
    odd = Folder("100_", [Message(b"a")], original="100%")
    alike = [Folder("INBOX/x", [], original="Inbox/x"), Folder("é", [], original="e\u0301")]
    bench.run(odd, *alike)
    (told,) = [one for one in bench.told if one.outcome is Fate.RENAMED]
    assert (told.path, told.mailbox, told.reason.code) == ("folder", "100_", "renamed")
    assert "100%" in told.reason.why()
    assert "メールボックス" in told.reason.why("ja")


@pytest.mark.parametrize("mapping", [Mapping(prefix="p" * 200), Mapping(["Lists=" + "m" * 200])])
def test_a_folder_that_prefix_or_map_makes_too_long_is_told(bench: Bench, mapping: Mapping) -> None:
    """By the name it was to have; one that fits is only what was asked for."""
    long = "Lists/" + "日" * 40
    bench.run(Folder(long, [Message(b"a")]), Folder("Short", [Message(b"b")]), wishes=Wishes(mapping=mapping))
    (told,) = bench.told
    assert (told.reason.code, told.mailbox) == ("renamed", bench.target.received[0].mailbox)
    assert mapping.wished(long, long) in told.reason.why()


def test_a_folder_that_is_mapped_as_asked_is_not_told(bench: Bench) -> None:
    """Also one that is named by the name it would be kept under."""
    odd = Folder("100_/x", [], original="100%/x")
    mapping = Mapping(["100_/x=Hundred", "Lists=Post"], "Old")
    bench.run(odd, Folder("Lists/a", []), Folder("INBOX", []), wishes=Wishes(mapping=mapping))
    assert bench.told == []
    assert bench.target.prepared[0][0] == ["Old/Hundred", "Old/Post/a", "Old/INBOX"]


def test_a_refusal_of_the_server_is_told_in_our_language() -> None:
    """From its detail and values; of a server that does not give them, in its own words."""
    error = TooLarge("message", limit=5)
    here, there = Reason.refused(error), failed(error)
    assert there.detail == "message"
    assert refusal_of(there).why("ja") == here.why("ja") != here.why("en")
    old = ImportedCopy(outcome=Outcome.FAILED, code="too_large", why="too large, it says")
    assert refusal_of(old).why("ja") == "too large, it says"
    assert refusal_of(old).code == "too_large"


def test_a_message_whose_words_are_wrong_fails_alone(bench: Bench) -> None:
    """A date without a zone, which no source of ours gives: it is told, and the others go on."""

    class Odd(Message):
        def received_at(self) -> datetime:
            return AT.replace(tzinfo=None)

    assert counts(bench.run(Folder("INBOX", [Odd(b"a"), Message(b"b")]))) == (1, 0, 1)
    assert bench.told[0].reason.code == "invalid"


@dataclass
class Flagged(Message):
    """A message with flags."""

    given: tuple[str, ...] = ()

    def flags(self) -> tuple[str, ...]:
        """Those given."""
        return self.given


@pytest.mark.parametrize("dry_run", [False, True])
def test_keywords_are_fitted_and_told_once_in_a_folder(bench: Bench, dry_run: bool) -> None:
    """The message comes with all it can have; what became of the rest is in the report."""
    odd = ("\\Deleted", "\\Recent", "日本語(x)", "work", "WORK")
    many = tuple(f"k{n}" for n in range(66))
    found = [Flagged(b"a", given=odd), Flagged(b"b", given=odd), Flagged(b"c", given=many)]
    assert counts(bench.run(Folder("INBOX", found), wishes=Wishes(dry_run=dry_run))) == (3, 0, 0)
    assert [one.flags for one in bench.target.received] == (
        [] if dry_run else [("\\Deleted", "____x_~89662b08", "work")] * 2 + [many[:64]]
    )
    assert [(one.outcome, one.reason.code) for one in bench.told] == [
        (Fate.CHANGED, "keyword"), (Fate.CHANGED, "keywords_left"),
    ]  # fmt: skip
    assert "日本語(x)" in bench.told[0].reason.why("ja")
    assert bench.told[1].reason.why().endswith("left out: k64 k65")


def test_dates_may_be_taken_from_the_messages(bench: Bench) -> None:
    """From its Received field, where it has one."""
    dated = b"Received: by x; Mon, 1 Jan 2001 00:00:00 +0000\n\n"
    bench.run(box(dated, b"undated\n"), wishes=Wishes(received=received_date))
    assert [new.received_at for new in bench.target.received] == [datetime(2001, 1, 1, tzinfo=UTC), AT]


def sending(
    answers: list[Exception | None], sent: list[int]
) -> Callable[[list[Item[NewCopy]]], list[ImportedCopy]]:
    """A server that answers as told, and then does its work."""

    def call(batch: list[Item[NewCopy]]) -> list[ImportedCopy]:
        sent.append(len(batch))
        if answers and (error := answers.pop(0)) is not None:
            raise error
        return [ImportedCopy(outcome=Outcome.IMPORTED) for _ in batch]

    return call


def items(count: int) -> Iterator[Item[NewCopy]]:
    """So many items without bytes."""
    new = NewCopy(mailbox="INBOX", sha256="0" * 64, received_at=AT)
    return (Item(value=replace(new, copy=number + 1)) for number in range(count))


def test_batches_are_of_bounded_size() -> None:
    """By number of items; the answers come in order."""
    sent: list[int] = []
    answers = list(Batches(sending([], sent)).send(items(2 * BATCH_ITEMS + 1)))
    assert sent == [BATCH_ITEMS, BATCH_ITEMS, 1]
    assert len(answers) == sum(sent)


def test_a_busy_server_is_asked_again_and_not_for_ever() -> None:
    """After longer and longer pauses; what is not temporary is not tried again."""
    sent: list[int] = []
    rests: list[float] = []
    busy = DiskFull("outside")
    batches = Batches(sending([busy, busy], sent), retries_s=(1, 2, 3), rest=rests.append)
    assert len(list(batches.send(items(3)))) == 3
    assert (sent, rests) == ([3, 3, 3], [1, 2])
    with pytest.raises(DiskFull):
        list(Batches(sending([busy] * 9, sent), retries_s=(1, 2), rest=rests.append).send(items(1)))
    sent.clear()
    with pytest.raises(Forbidden):
        list(Batches(sending([Forbidden("outside")], sent), rest=rests.append).send(items(1)))
    assert sent == [1]


def test_a_torn_or_damaged_cache_costs_reading_only(tmp_path: Path) -> None:
    """What is whole is used, also behind what is not."""
    cache = HashCache(tmp_path, "source")
    for number in range(3):
        cache.put(b"%-16d" % number, sha256(b"%d" % number).digest())
    cache.flush()
    (file,) = tmp_path.iterdir()
    data = bytearray(file.read_bytes())
    assert len(data) == len(MAGIC) + 3 * RECORD_BYTES
    data[len(MAGIC) + RECORD_BYTES + 20] ^= 1
    file.write_bytes(data[:-5])
    again = HashCache(tmp_path, "source")
    assert [again.get(b"%-16d" % number) is not None for number in range(3)] == [True, False, False]
    again.put(b"%-16d" % 7, b"7" * 32)
    again.flush()
    last = HashCache(tmp_path, "source")
    assert (last.get(b"%-16d" % 7), last.get(b"%-16d" % 0)) == (b"7" * 32, sha256(b"0").digest())
    file.write_bytes(b"something else")
    assert HashCache(tmp_path, "source").get(b"%-16d" % 0) is None
    assert HashCache(tmp_path, "other").get(b"%-16d" % 0) is None


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    """A file stands where its directory should be."""
    (tmp_path / "file").touch()
    cache = HashCache(tmp_path / "file", "source")
    cache.put(b"k" * 16, b"s" * 32)
    cache.flush()
    assert cache.get(b"k" * 16) == b"s" * 32
    assert cache.get(b"") is None


def test_rule_i1_what_is_beside_the_folders_is_told(bench: Bench) -> None:
    """What may be mail counts as failed; what does not look like it is told alone; the rest is imported."""
    broken = Broken(path="link", reason=Reason.of("unreadable", key="a_link"))
    aside = Aside(path="notes.txt", reason=Reason.of("not_mbox", key="left_mbox"), fate=Fate.LEFT)
    assert counts(bench.run(box(b"a"), beside=(broken, aside))) == (1, 0, 1)
    assert [(one.path, one.outcome, one.reason.code) for one in bench.told] == [
        ("link", Fate.FAILED, "unreadable"),
        ("notes.txt", Fate.LEFT, "not_mbox"),
    ]


def test_rule_i1_an_aside_of_a_folder_is_told_and_not_counted(bench: Bench) -> None:
    """The message that it is about comes."""
    folder = box(b"a")
    found = [Aside(path="x#1", reason=Reason.of("length"), fate=Fate.CHANGED), *folder.found]
    assert counts(bench.run(Folder("INBOX", found))) == (1, 0, 0)
    assert [(one.path, one.outcome) for one in bench.told] == [("x#1", Fate.CHANGED)]


def test_rule_i1_a_dry_run_counts_what_would_be_refused(bench: Bench) -> None:
    """Too large ones, and those there is no room for, measured as quotas are: each line ends with CRLF."""
    bench.target.takes = Room(address="ann@x", max_size_bytes=9, left_bytes=11)
    texts = (b"1234567890", b"a\n\r\n\n", b"12345", b"bcd", b"e")  # of 10, 7 and not 5, 5, 3 and 1
    assert counts(bench.run(box(*texts), wishes=Wishes(dry_run=True))) == (3, 0, 2)
    assert [one.reason.code for one in bench.told] == ["too_large", "quota_exceeded"]
    assert all(one.outcome is Fate.FAILED and one.reason.why() for one in bench.told)
    assert bench.target.kept == []


def test_rule_i1_a_dry_run_reads_what_the_cache_knows(bench: Bench) -> None:
    """How long it is with CRLF is known only then; what is gone by then has failed."""
    message = Message(b"a\n", key=b"%-16d" % 1)
    bench.run(Folder("INBOX", [message]))
    bench.target.counted.clear()
    bench.target.takes = Room(left_bytes=2)
    assert counts(bench.run(Folder("INBOX", [message]), wishes=Wishes(dry_run=True))) == (0, 0, 1)
    message.broken = Unusable(Reason.of("vanished"))
    assert counts(bench.run(Folder("INBOX", [message]), wishes=Wishes(dry_run=True))) == (0, 0, 1)
    assert [one.reason.code for one in bench.told] == ["quota_exceeded", "vanished"]
