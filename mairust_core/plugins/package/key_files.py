"""Files of keys: made without ever replacing one, listed without a passphrase."""

from __future__ import annotations

import os
from pathlib import Path

from mairust_core.durable import sync_directory
from mairust_core.errors import Conflict, Invalid
from mairust_core.model.package import GeneratedKey, KeyFile, KeyKind
from mairust_core.plugins.package import keys

PUBLIC_SUFFIX = ".pub"
PRIVATE_MODE, PUBLIC_MODE = 0o600, 0o644
OTHERS = 0o077


def generate(path: Path, passphrase: str | None = None) -> GeneratedKey:
    """A new key in `path`, readable by its owner only, and its public half in `path`.pub, both durable.

    Raises `Conflict` when either is there, `OSError`.
    """
    private = keys.generate()
    public = keys.public_of(private)
    other = path.with_name(path.name + PUBLIC_SUFFIX)
    if other.exists():
        raise Conflict("key_exists", path=other)
    _create(path, keys.private_pem(private, passphrase), PRIVATE_MODE)
    try:
        _create(other, keys.public_pem(public), PUBLIC_MODE)
    except BaseException:
        path.unlink()
        raise
    sync_directory(path.parent)
    return GeneratedKey(
        id=keys.key_id(public), private=str(path), public=str(other), encrypted=bool(passphrase)
    )


def _create(path: Path, data: bytes, mode: int) -> None:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, mode)
    except FileExistsError:
        raise Conflict("key_exists", path=path) from None
    try:
        with open(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
    except BaseException:
        path.unlink()  # half a key would be in the way of the next one
        raise


def is_exposed(path: Path) -> bool:
    """Whether others than its owner may read or change it."""
    return bool(path.stat().st_mode & OTHERS)


def read(path: Path) -> bytes:
    """The bytes of a key file; raises `Invalid` for one that is too long to be one, `OSError`."""
    with path.open("rb") as file:
        data = file.read(keys.MAX_FILE_BYTES + 1)
    if len(data) > keys.MAX_FILE_BYTES:
        raise Invalid("key", "key_too_long", where=str(path), limit=keys.MAX_FILE_BYTES)
    return data


def list_in(directory: Path) -> list[KeyFile]:
    """The keys in the files of a directory, by name, those below it left out; raises `OSError`."""
    files = (path for path in sorted(directory.iterdir()) if path.is_file())
    return [found for path in files if (found := _told(path)) is not None]


def _told(path: Path) -> KeyFile | None:
    """What a file is, None for one that holds no key of ours, or cannot be read."""
    try:
        data = read(path)
        if keys.is_private(data):
            encrypted = keys.is_encrypted(data)
            id_ = None if encrypted else keys.key_id(keys.public_of(keys.read_private(data)))
            return KeyFile(file=str(path), kind=KeyKind.PRIVATE, id=id_, encrypted=encrypted)
        if keys.is_public(data):
            id_ = keys.key_id(keys.read_public(data))
            return KeyFile(file=str(path), kind=KeyKind.PUBLIC, id=id_, encrypted=False)
    except (Invalid, OSError):  # a key of another kind, or somebody else's: it is none that could be used
        return None
    return None
