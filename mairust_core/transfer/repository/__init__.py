"""A backup repository: a directory of files that are written once and never changed.

    config                     what this is, and for whom it is encrypted
    packs/ab/<SHA-256>.zst     many objects each: mail, rows, settings          `packs`
    index/<SHA-256>.json.zst   which objects are in which packs                 `index`
    snapshots/<time>-<hash>    one moment of a site, by the ids of objects      `snapshots`

`docs/reference/backup-format.md` is the specification. A pack, an index and a snapshot are named by the
SHA-256 of their bytes; an object by the SHA-256 of what is in it. Every file gets its name when it is
complete and durable, packs before the index, the index before the snapshot: whatever is killed, and whenever,
leaves a repository that is valid.
"""

from mairust_core.transfer.repository.repository import Repository as Repository
