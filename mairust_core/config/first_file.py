"""The configuration file that `init` leaves behind."""

from __future__ import annotations

import json
import os
from pathlib import Path

from mairust_core.config.places import FILE_NAMES
from mairust_core.config.settings import Settings
from mairust_core.errors import BadConfig

_TEXT = """\
# Configuration of MaiRust. `mairust config show` prints every setting in force and where it comes from.

[database]
{database}
"""
_EMBEDDED = """\
# Without a URL this is the embedded store, SQLite. For production choose PostgreSQL before mail comes in:
# url = "postgresql://mairust@localhost/mairust"\
"""


def write_first_file(settings: Settings, *, with_database: bool) -> Path:
    """Write the file into the data directory, readable by its owner only, and say where it is.

    `with_database` keeps the database of `settings` in it. A file that is there stays as it is.
    Raises `BadConfig` when it cannot be written.
    """
    path = settings.data_dir / FILE_NAMES[0]
    url = f"url = {json.dumps(settings.database.url, ensure_ascii=False)}"
    text = _TEXT.format(database=url if with_database else _EMBEDDED)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fd = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _publish(draft, path)
    except OSError as error:
        raise BadConfig("unwritable", where=path, why=error.strerror) from error
    return path


def _publish(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # the one that is there is the person's
    finally:
        draft.unlink()
