"""A whole site from a backup, into an empty one, on either database (rules I2, I3).

    `site`        the order of a restore: what may be restored, mail, rows, a new admin key, one COMMIT
    `wanted`      which mail, whose it is, and in which pack it lies
    `mail`        packs into the blob store, each mail verified and described, on all processors
    `rows`        rows into their tables, without what hangs on something damaged
    `rehearsal`   the same into scratch, compared by a reader that shares no code with the writer

Memory does not grow with the site but for some bytes of each object and message. Nothing is visible before
the one COMMIT at the end: a restore that is killed leaves an empty database, and bytes that collection
finds.
"""

from mairust_core.restore.site import Restored as Restored
from mairust_core.restore.site import restore_site as restore_site
