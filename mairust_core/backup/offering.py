"""One moment of the site, as the list of what a backup of it holds (rule I3)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from mairust_core import __version__
from mairust_core.backup.spool import Spool, SpoolWriter, sweep, writing_to
from mairust_core.config.effective import effective
from mairust_core.errors import BadConfig
from mairust_core.ids import now_ms, to_time
from mairust_core.model.backup import (
    BackedUp,
    BackupRun,
    NewBackup,
    Offer,
    OfferedAccount,
    OfferedFile,
    OfferedTable,
)
from mairust_core.model.ids import Id
from mairust_core.model.principal import Principal
from mairust_core.observe.faults import crash_point
from mairust_core.store import backing_up, backups, schema
from mairust_core.store.portable import SITE
from mairust_core.transfer.repository.packs import Kind
from mairust_core.vault.envelope import KEY_BYTES, MasterKey

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mairust_core.app import Site
    from mairust_core.config import Settings

SETTINGS = "settings.toml"


def begin(site: Site, by: Principal, new: NewBackup) -> Offer:
    """Pin every blob, then write down the rows of one moment; the database is free again when it returns.

    Raises `DiskFull` when the data directory has no room for the rows, `StorageDown`.
    """
    with site.storage.write() as tx:
        run_id = backups.begin(site.storage, tx, by, now_ms())
        live = backups.live(tx, now_ms())
    crash_point("backup.pinned")
    data_dir = site.settings.data_dir
    sweep(data_dir, live)
    spool = Spool.of(data_dir, run_id)
    try:
        with writing_to(data_dir), SpoolWriter(spool) as rows, site.storage.read() as tx:
            return _offer(site, tx, rows, run_id, frozenset(new.known))
    except BaseException:
        spool.delete()
        finish(site, by, run_id, NOTHING)
        raise


NOTHING = BackedUp(repository="", snapshot="", messages=0, objects_new=0, bytes_new=0)


def finish(site: Site, by: Principal, run_id: int, done: BackedUp) -> BackupRun:
    """End the pin, forget the rows, and keep what came of it; raises `NotFound`."""
    with site.storage.write() as tx:
        found = backups.finish(tx, by, run_id, done, now_ms())
    Spool.of(site.settings.data_dir, run_id).delete()
    return found


def _offer(site: Site, tx: Connection, rows: SpoolWriter, run_id: Id, known: frozenset[str]) -> Offer:
    tables = [_table(site, tx, rows, number) for number in range(len(SITE))]
    accounts = [
        OfferedAccount(
            id=Id(head.id),
            address=head.address,
            state=(state := head.state),
            messages=head.messages,
            objects=() if state in known else _objects(site, tx, rows, head),
        )
        for head in backing_up.heads(site.storage, tx)
    ]
    settings = rows.add(settings_text(site.settings).encode(), Kind.FILE)
    return Offer(
        id=run_id,
        at=to_time(now_ms()),
        program=__version__,
        schema=schema.version(tx),
        site=site.settings.node.hostname,
        messages=sum(one.messages for one in accounts),
        contents=rows.contents,
        tables=tuple(tables),
        accounts=tuple(accounts),
        files=(OfferedFile(name=SETTINGS, object=settings),),
        master_keys=key_ids(site.settings.secrets.master_key_file),
    )


def _table(site: Site, tx: Connection, rows: SpoolWriter, number: int) -> OfferedTable:
    found = [(one.rows, rows.add(one.data)) for one in backing_up.chunks(site.storage, tx, SITE[number])]
    return OfferedTable(
        table=SITE[number].name, rows=sum(count for count, _ in found), objects=tuple(id_ for _, id_ in found)
    )


def _objects(site: Site, tx: Connection, rows: SpoolWriter, head: backing_up.Head) -> tuple[str, ...]:
    objects = backing_up.account_objects(site.storage, tx, head, rows.note_contents)
    return tuple(rows.add(data) for data in objects)


def settings_text(settings: Settings) -> str:
    """Every setting that is not the default, as a configuration file would give it; secrets masked."""
    chosen = [one for one in effective(settings) if one.origin != "default" and one.value is not None]
    lines = []
    for section, group in groupby(chosen, key=lambda one: one.key.rpartition(".")[0]):
        lines.append(f"[{section}]")
        for one in group:
            lines.append(f"{one.key.rpartition('.')[2]} = {json.dumps(one.value, ensure_ascii=False)}")
    return "\n".join([*lines, ""])


def key_ids(path: Path) -> tuple[str, ...]:
    """The ids of the master keys in a file, which tell nothing of them.

    Raises `BadConfig` when it holds something else.
    """
    return tuple(MasterKey.of(key).id for key in read_keys(path))


def read_keys(path: Path) -> Sequence[bytes]:
    """The master keys of a file, a line each; none when there is no file."""
    try:
        lines = path.read_bytes().split()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise BadConfig("master_key", path=path, why=error.strerror) from error
    try:
        keys = [base64.b64decode(line, validate=True) for line in lines]
    except binascii.Error:
        keys = [b""]
    if any(len(key) != KEY_BYTES for key in keys):
        raise BadConfig("master_key", path=path, why=f"it does not hold keys of {KEY_BYTES} bytes in base64")
    return keys
