"""A process that stores blobs until it is done or dies: `python -m tests.support.blob_writer DIR BATCHES`.

After every `put_many` that returned it prints one line of JSON: pairs of locator and SHA-256. Each batch has
four small blobs and a large collected one; segments roll after each batch. It dies with its parent.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path

from mairust_core.blobs.fs import FsBlobStore
from mairust_core.model.blob import MEMORY_LIMIT_BYTES, Bytes, Content

SMALL_SIZES = (0, 100, 10_000, 40_000)
_PR_SET_PDEATHSIG = 1


def main(directory: Path, batches: int, roll_bytes: int = 1) -> None:
    """Store and tell."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    store = FsBlobStore(directory, roll_bytes=roll_bytes)
    for _ in range(batches):
        large = _collected(store, os.urandom(MEMORY_LIMIT_BYTES + 1))
        contents: list[Content] = [*(Bytes.of(os.urandom(size)) for size in SMALL_SIZES), large]
        locators = store.put_many(contents)
        large.close()
        pairs = [(where, what.sha256.hex()) for where, what in zip(locators, contents, strict=True)]
        print(json.dumps(pairs), flush=True)
    store.close()


def _collected(store: FsBlobStore, data: bytes) -> Content:
    collector = store.collector()
    collector.write(data)
    return collector.finish()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
