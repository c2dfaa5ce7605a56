"""A site, opened from its settings: the file that wires everything, with `plugin_parts.py`."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

from mairust_core.config import Settings
from mairust_core.errors import BadConfig, Damaged, MaiRustError, NoSite, StorageDown
from mairust_core.ids import IdSource
from mairust_core.model.ids import Id
from mairust_core.model.principal import Principal
from mairust_core.operations import BytesIn, BytesOut, Item, Service
from mairust_core.ownership import become_owner as become_owner
from mairust_core.plugin_parts import PluginParts
from mairust_core.store import Pool, StorageBackend, storage_of

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from mairust_core.access.passwords import Passwords
    from mairust_core.access.throttle import Throttle
    from mairust_core.blobs import BlobStore
    from mairust_core.hooks import Asked, Told
    from mairust_core.hooks.chain import HookChain
    from mairust_core.hooks.pool import Open
    from mairust_core.hooks.trial import Trial
    from mairust_core.hooks.ways import Ways
    from mairust_core.jobs.runner import Runner
    from mairust_core.mime.bodies import DecodedPart
    from mairust_core.model.backup import Additions, BackedUp, BackupRun, NewBackup, Offer, Wanted
    from mairust_core.model.blob import Locator
    from mairust_core.model.collected import Collected
    from mairust_core.model.copies import ImportedCopy, NewCopy
    from mairust_core.model.finding import Examination
    from mairust_core.model.hook_schema import HookSchemas
    from mairust_core.model.kept import Kept, Renderable
    from mairust_core.model.message_change import Appended, MessageFilter
    from mairust_core.model.receipt import Receipt
    from mairust_core.model.search import Found
    from mairust_core.model.secret import Prepared, Rotated
    from mairust_core.model.settings import Export, Setting
    from mairust_core.model.status import BlobStatus
    from mairust_core.observe.counters import Counters
    from mairust_core.plugins.callbacks import Callbacks
    from mairust_core.plugins.joined import Joined
    from mairust_core.receive.committer import Committer
    from mairust_core.running import Running
    from mairust_core.search.engine import Engine
    from mairust_core.store.messages import Source
    from mairust_core.vault import Vault

S = TypeVar("S", bound=Service)


@dataclass
class Site(PluginParts):
    """One open site. Thread-safe; every part that is not needed is never loaded."""

    settings: Settings
    storage: StorageBackend

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._ids: IdSource | None = None
        self.job_bell = threading.Event()
        """Rung after a commit that made jobs, so that who runs the jobs of this process looks at once."""
        self.hook_bell = threading.Event()
        """Likewise for the jobs of hooks, which have a runner of their own."""
        self.running_chain: tuple[HookChain, AbstractEventLoop] | None = None
        """The hooks that the event loop of this process asks; None where there is no loop."""
        self.listening: Mapping[str, tuple[str, int]] = {}
        """Host and port of what this process listens on, by name: no plugin may reach it (rule H2)."""

    def service(self, kind: type[S], by: Principal) -> S:
        """The operations of one noun for one caller."""
        return kind(self, by)

    @property
    def ids(self) -> IdSource:
        """The id source of this process; its process number is leased on first use (rule A4)."""
        with self._lock:
            if self._ids is None:
                from mairust_core.store import process_numbers

                self._ids = process_numbers.lease(self.storage)
            return self._ids

    @property
    def has_ids(self) -> bool:
        """Whether this process has leased a process number."""
        return self._ids is not None

    @cached_property
    def blobs(self) -> BlobStore:
        """The blob store that the settings name."""
        return self.open_blobs()

    def open_blobs(self) -> BlobStore:
        """Another handle on the blob store, which appends to a segment of its own; the caller closes it.

        Raises `BadConfig` when the blobs are not this site's, or not there: to open a store makes it.
        """
        from mairust_core.blobs.drivers import blobs_of

        check_blobs(self.settings, self.storage)
        return blobs_of(self.settings)

    def free_bytes(self) -> tuple[int, int]:
        """Room for mail, free and in all; raises `StorageDown`, also where the blobs are not mounted."""
        from mairust_core.blobs.drivers import require_mounted

        require_mounted(self.settings)
        return self.blobs.free_bytes()

    @cached_property
    def counters(self) -> Counters:
        """What this process counts; a worker is given those that it shares with the others."""
        from mairust_core.observe.counters import Counters

        return Counters.alone()

    @cached_property
    def committer(self) -> Committer:
        """The one writer of mail in this process."""
        from mairust_core.receive.committer import Committer

        return Committer(self.storage, self.blobs, lambda: self.ids)

    @cached_property
    def import_committer(self) -> Committer:
        """The writer of imports in this process: a segment of its own, and after others (rule D2)."""
        from mairust_core.receive.committer import Committer
        from mairust_core.receive.importing import GAP_S

        return Committer(self.storage, self.open_blobs(), lambda: self.ids, gap_s=GAP_S)

    @cached_property
    def throttle(self) -> Throttle:
        """How often anybody may fail to log in."""
        from mairust_core.access.throttle import Throttle

        trusted = (*self.settings.http.trusted_networks, *self.settings.smtp.trusted_networks)
        return Throttle(self.storage, trusted)

    @cached_property
    def _passwords(self) -> Passwords:
        from mairust_core.access.passwords import Passwords

        return Passwords(self.storage, self.throttle)

    def hash_password(self, password: str) -> str:
        """The argon2id hash that is stored of a password."""
        return self._passwords.hash(password)

    def verify_password(self, address: str, password: str, ip: str | None = None) -> Principal:
        """The principal of the account whose password this is; `ip` is the client's address, if known.

        Raises `Unauthenticated`, alike and after the same work whatever is wrong, `TooMany` after too many
        wrong ones (trap A4).
        """
        return self._passwords.verify(address, password, ip)

    @cached_property
    def secrets(self) -> Vault:
        """Stored secrets, put and read inside the caller's transaction."""
        from mairust_core.vault import Vault
        from mairust_core.vault.key_file import KeyFile

        return Vault(KeyFile(self.settings.secrets.master_key_file))

    def prepare_master_key(self) -> Prepared:
        """Write the next master key into its file; raises `Locked`, `BadConfig`."""
        from mairust_core.vault import rotation

        return rotation.prepare(self.storage, self.secrets)

    def rotate_master_key(self) -> Rotated:
        """Put a new master key in force; raises `Locked`, `BadConfig`, `Damaged`."""
        from mairust_core.vault import rotation

        return rotation.rotate(self.storage, self.secrets)

    def append(
        self, to: tuple[int, int], wanted: Appended, content: BytesIn, receipt: Receipt | None = None
    ) -> Id:
        """Store one message without trace headers and say its id, once it is durable.

        `to` are tenant and account; `receipt` is stored in the same transaction.
        """
        from mairust_core.receive.append import append

        return append(self, to, wanted, content, receipt)

    def import_batch(
        self, tenant_id: int, account_id: int, items: Iterable[Item[NewCopy]], *, again: bool
    ) -> Iterator[ImportedCopy]:
        """Store messages that the ledger does not count yet; what became of each, once it is durable."""
        from mairust_core.receive.importing import Importing

        return Importing(self, tenant_id, account_id, again=again).run(items)

    @cached_property
    def engine(self) -> Engine:
        """The search engine that the settings name."""
        from mairust_core.search.engines import engine_of

        return engine_of(self.settings, self.storage)

    def search(
        self,
        by: Principal,
        address: str,
        text: str,
        cursor: str,
        limit: int,
        wanted: MessageFilter | None = None,
    ) -> Found:
        """A page of what an account holds that matches and fits `wanted`, newest first.

        Raises `BadQuery`, `NotFound`.
        """
        from mairust_core.search.finding import find
        from mairust_core.search.grammar import parse
        from mairust_core.search.listed import within

        query = parse(text)
        return find(self, by, address, query if wanted is None else within(wanted, query), cursor, limit)

    def drop_index(self) -> None:
        """Delete what the index holds, in small steps, after its mode was set."""
        from mairust_core.search.upkeep import drop

        drop(self)

    def read_blob(self, source: Kept) -> bytes:
        """Exactly the bytes that came, verified; raises `Damaged`.

        Compaction may have moved them since `source` was read: then the row says where they are (rule C2).
        """
        locator = source.locator
        while True:
            try:
                return self.blobs.get(locator, source.sha256)
            except Damaged as error:
                moved = self._moved_to(source) if error.detail == "missing" else None
                if moved is None or moved == locator:
                    raise
                locator = moved

    def _moved_to(self, source: Kept) -> Locator | None:
        from mairust_core.store import collecting

        with self.storage.read() as tx:
            return collecting.location_of(tx, (source.sha256, source.tenant_id))

    def make_room(self) -> None:
        """Before deleting: give up the room kept for it when the disk is full (rule J3)."""
        from mairust_core.disk import give_up_reserve

        give_up_reserve(self.settings.data_dir)

    def keep_room(self) -> None:
        """Have the room for deleting, where there is enough."""
        from mairust_core.disk import keep_reserve

        keep_reserve(self.settings.data_dir, self.settings.node.reserve_size)

    def collect(self) -> Collected:
        """Give back what nobody needs any more; raises `Locked` while another process does."""
        from mairust_core.receive.collection import collect

        done = collect(self)
        self.keep_room()
        return done

    def begin_backup(self, by: Principal, new: NewBackup) -> Offer:
        """Hold all mail as it is now, and list what there is (rule I3)."""
        from mairust_core.backup.offering import begin

        return begin(self, by, new)

    def backup_contents(self, run_id: int) -> BytesOut:
        """The hashes of all mail that a backup's rows refer to."""
        from mairust_core.backup.packing import contents

        return contents(self, run_id)

    def backup_pack(self, run_id: int, wanted: Wanted) -> BytesOut:
        """Objects of a backup; raises `Temporary` when its pin ended meanwhile."""
        from mairust_core.backup.packing import pack

        return pack(self, run_id, wanted)

    def finish_backup(self, by: Principal, run_id: int, done: BackedUp) -> BackupRun:
        """Let go of what a backup held."""
        from mairust_core.backup.offering import finish

        return finish(self, by, run_id, done)

    def put_back(self, by: Principal, content: BytesIn) -> Additions:
        """Append messages of a snapshot."""
        from mairust_core.backup.returning import put_back

        return put_back(self, by, content)

    def job_runner(self) -> Runner:
        """This process's share in the queue, not started yet: every kind and schedule there is."""
        from mairust_core import chores
        from mairust_core.jobs.runner import Runner

        return Runner(self, chores.KINDS, chores.SCHEDULES, threads=self.settings.jobs.workers)

    def open_chain(self) -> HookChain:
        """The hooks of the site for one event loop; the caller polls and closes it."""
        from mairust_core.hooks.chain import HookChain

        return HookChain(
            self.storage,
            self.hook_book,
            self.open_transport,
            self.credentials,
            self.hook_log,
            self.settings.hooks.budget_ms,
            self.unpacked.have,
        )

    def ask_hooks(self, mail: Asked) -> Told:
        """What the hooks say of a mail that a thread brings; shadows are left out."""
        from mairust_core.hooks.chain import ask_from_thread

        return ask_from_thread(mail, self.running_chain, self.open_chain)

    def hook_schemas(self) -> HookSchemas:
        """The JSON Schemas of what hooks are asked and answer."""
        from mairust_core.hooks.schema import ANSWER, REQUEST
        from mairust_core.model.hook_schema import HookSchemas

        return HookSchemas(request=REQUEST, answer=ANSWER)

    def open_transport(self, protocol: str) -> Open | None:
        """What opens a way to plugins of a protocol, ours or that of an extension; may block."""
        own = self.ways_to_plugins.open_transport(protocol)
        return self.joined.open_transport(protocol) if own is None else own

    @cached_property
    def ways_to_plugins(self) -> Ways:
        """How plugins are reached by what is ours."""
        from mairust_core.hooks.ways import Ways

        return Ways(self.settings, self.credentials, self._listening, self.joined.functions)

    @cached_property
    def joined(self) -> Joined:
        """What extensions bring."""
        from mairust_core.plugins.joined import Joined

        return Joined(self)

    def _listening(self) -> Mapping[str, tuple[str, int]]:
        from mairust_core.config.addresses import ListenAddress

        if self.listening or (running := self.running()) is None:
            return self.listening
        found = {name: ListenAddress.parse(at) for name, at in running.listeners.items()}
        return {name: (at.host, at.port) for name, at in found.items() if at.port is not None}

    def hook_runner(self, chain: HookChain, loop: AbstractEventLoop) -> Runner:
        """This process's share in the jobs of hooks, which wait on that loop; not started yet."""
        from mairust_core.jobs.runner import Runner
        from mairust_core.jobs.tasks import AT_ONCE, Tasks
        from mairust_core.receive.afterwards import Afterwards

        kinds = Afterwards(self, chain).kinds()
        by_name = {kind.name: kind for kind in kinds}
        return Runner(
            self, kinds, threads=AT_ONCE, bell=self.hook_bell,
            workforce=lambda tell: Tasks(self, by_name, loop, tell),
        )  # fmt: skip

    def blob_room(self) -> BlobStatus | None:
        """What the blobs occupy, and the room of their disk; None where they are out of reach."""
        from mairust_core.blobs.drivers import used_bytes
        from mairust_core.model.status import BlobStatus

        try:
            free, total = self.free_bytes()
        except (BadConfig, StorageDown):
            return None
        used = used_bytes(self.settings, (free, total))
        driver = self.settings.blobs.driver
        return BlobStatus(driver=driver, used_bytes=used, free_bytes=free, total_bytes=total)

    def shown_settings(self) -> tuple[Setting, ...]:
        """Every setting in force and where it comes from, secrets masked."""
        from mairust_core.config.effective import effective

        return effective(self.settings)

    def exported_settings(self) -> Export:
        """All settings as one document, without secrets."""
        from mairust_core.config.effective import exported

        return exported(self.settings)

    @cached_property
    def callbacks(self) -> Callbacks:
        """What plugins say later, and of themselves."""
        from mairust_core.plugins.callbacks import Callbacks
        from mairust_core.plugins.token_uses import TokenUses
        from mairust_core.receive.answering import apply_callback

        uses = TokenUses(self.storage, lambda: self.ids)
        return Callbacks(self.storage, self.plugin_key, partial(apply_callback, self), uses)

    @cached_property
    def trial(self) -> Trial:
        """What tries hooks out without effect."""
        from mairust_core.receive.trying import SiteTrial

        return SiteTrial(self)

    def running(self) -> Running | None:
        """The server that runs on this data directory."""
        from mairust_core.running import running_on

        return running_on(self.settings.data_dir)

    def examine(self, lang: str) -> Examination:
        """What is wrong with this site and how to mend it, told in that language."""
        from mairust_core.doctor import examine_site

        return examine_site(self.settings, self.storage, lang)

    def render(self, source: Renderable) -> bytes:
        """Trace headers and blob without what is hidden (rule B2)."""
        from mairust_core.mime import render

        return render(source.trace_headers, self.read_blob(source), source.hidden)

    def header_fields(self, source: Source) -> tuple[tuple[str, str], ...]:
        """The header fields of the rendering: in order, unfolded, decoded for people."""
        from mairust_core.mime import decode_header, headers

        return tuple(
            (name, decode_header(value.encode("utf-8", "replace")))
            for name, value in headers(self.render(source))
        )

    def text(self, source: Source) -> str:
        """The body as text, taken from the HTML where there is no other."""
        from mairust_core.mime import text_of

        return text_of(self.read_blob(source))

    def html(self, source: Source) -> str:
        """The HTML body as its sender wrote it, empty when there is none."""
        from mairust_core.mime import html_of

        return html_of(self.read_blob(source))

    def part(self, source: Source, number: str) -> DecodedPart | None:
        """One MIME part by its IMAP number, or None."""
        from mairust_core.mime import decoded_part

        return decoded_part(self.read_blob(source), number)

    def close(self) -> None:
        """Finish what is being written and let go of everything."""
        if "committer" in self.__dict__:
            self.committer.close()
        if "import_committer" in self.__dict__:
            self.import_committer.close()
            self.import_committer.blobs.close()
        if "blobs" in self.__dict__:
            self.blobs.close()
        if self._ids is not None:
            from mairust_core.store import process_numbers

            with suppress(MaiRustError):  # the lease ends by itself within an hour
                process_numbers.give_back(self.storage, self._ids)
            self._ids = None
        self.storage.close()


def open_site(settings: Settings) -> Site:
    """The site at `settings.data_dir`, as its owner (rule D3).

    Raises `NoSite`, `NewerSite`, `BadConfig` (schema to be upgraded, blobs that are another site's or not
    there), `Forbidden` (somebody else's), `StorageDown`.
    """
    from mairust_core.disk import give_up_reserve
    from mairust_core.store import schema

    become_owner(settings)
    path = settings.database.sqlite_path
    if not settings.data_dir.is_dir() or (path is not None and not path.exists()):
        raise _lost_database(settings) or NoSite("directory", path=settings.data_dir)
    give_up_reserve(settings.data_dir)  # opening an SQLite database needs room, too
    storage = storage_of(settings, Pool(size=settings.database.pool_size))
    try:
        if not schema.exists(storage):
            lost = _lost_database(settings)
            raise lost or NoSite("database", path=settings.data_dir, url=_shown(storage))
        schema.check(storage)
        check_blobs(settings, storage)
    except BaseException:
        storage.close()
        raise
    return Site(settings, storage)


def _lost_database(settings: Settings) -> BadConfig | None:
    """Why not to make a site where there is none: there was one, whose blobs are still here."""
    from mairust_core.blobs import drivers

    return BadConfig("foreign_blobs", path=settings.blobs.path) if drivers.are_claimed(settings) else None


def check_blobs(settings: Settings, storage: StorageBackend) -> None:
    """Raise `BadConfig` when the blobs are another site's, or not where the settings say."""
    from mairust_core.blobs import drivers
    from mairust_core.store import inspection, sites

    with storage.read() as tx:
        drivers.check_owner(settings, sites.name(tx), partial(inspection.some_locations, tx))


@contextmanager
def opened(settings: Settings) -> Iterator[Site]:
    """`open_site` for the length of a block."""
    site = open_site(settings)
    try:
        yield site
    finally:
        site.close()


def _shown(storage: StorageBackend) -> str:
    return str(getattr(storage, "shown_url", storage.url))
