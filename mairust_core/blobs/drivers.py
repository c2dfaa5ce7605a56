"""Which blob store a site has: ours, or that of an extension."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mairust_core.blobs import BlobStore, owner
from mairust_core.blobs.owner import Named
from mairust_core.errors import StorageDown
from mairust_core.installed.drivers import provided

if TYPE_CHECKING:
    from mairust_core.config import Settings

FS = "fs"
"""Our driver: segments and files in `blobs.path`, which only it uses."""


def open_blobs(driver: str, settings: Settings) -> BlobStore | None:
    """Our implementation of the specification of this name (`extend`)."""
    if driver != FS:
        return None
    from mairust_core.blobs.collect import Budget
    from mairust_core.blobs.fs import FsBlobStore

    return FsBlobStore(settings.blobs.path, budget=Budget(settings.blobs.in_flight_bytes))


def blobs_of(settings: Settings) -> BlobStore:
    """A handle on the blob store that the settings name; the caller closes it. Raises `BadConfig`."""
    return provided(
        open_blobs,
        BlobStore,
        settings.plugins.extensions,
        "blobs.driver",
        driver=settings.blobs.driver,
        settings=settings,
    )


def check_owner(settings: Settings, site: str, named: Named) -> None:
    """Raise `BadConfig` as `owner.check` does; the driver of an extension guards its own."""
    if settings.blobs.driver == FS:
        owner.check(settings.blobs.path, site, named)


def claim(settings: Settings, site: str, named: Named, *, fresh: bool, used: bool = False) -> None:
    """Note that the blobs are this site's, as `owner.claim` does."""
    if settings.blobs.driver == FS:
        owner.claim(settings.blobs.path, site, named, fresh=fresh, used=used)


def are_claimed(settings: Settings) -> bool:
    """Whether blobs of some site are where the settings say; unknown, and so False, of an extension's."""
    return settings.blobs.driver == FS and owner.is_claimed(settings.blobs.path)


def require_mounted(settings: Settings) -> None:
    """Raise `StorageDown` when the directory that a server has claimed is another one now."""
    if settings.blobs.driver == FS and not owner.is_claimed(settings.blobs.path):
        raise StorageDown("unmounted", directory=settings.blobs.path)


def used_bytes(settings: Settings, room: tuple[int, int]) -> int:
    """What the blobs occupy; of `room`, free and in all, what is taken, where an extension keeps them."""
    if settings.blobs.driver == FS:
        from mairust_core.blobs.fs import used_bytes as used

        return used(settings.blobs.path)
    free, total = room
    return max(total - free, 0)
