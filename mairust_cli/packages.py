"""What commands on packages and keys share: files of people, and the errors of these."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mairust_cli.words import parse_moment
from mairust_core.errors import Invalid, Usage
from mairust_core.i18n import say

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from mairust_cli.session import Session

Passphrase = Annotated[
    str | None,
    typer.Option(
        "--passphrase-file", metavar="FILE", help="The passphrase of the private key: its first line."
    ),
]
By = Annotated[str, typer.Option("--by", metavar="FILE", help="The private key of the root that says so.")]
_DATE_LENGTH = len("2027-01-31")
_END_OF_DAY = time(23, 59, 59, tzinfo=UTC)


@contextmanager
def told_files() -> Iterator[None]:
    """Turns a file that cannot be read or written into `Usage`."""
    try:
        yield
    except OSError as error:
        path = error.filename or "-"
        raise Usage("package_file", path=path, why=error.strerror or str(error)) from error


def passphrase_in(path: str | None) -> str | None:
    """The passphrase in a file; raises `Usage` for one without."""
    if path is None:
        return None
    with told_files():
        text = Path(path).read_text("utf-8", "surrogateescape")
    line = text.split("\n", 1)[0].rstrip("\r")
    if not line:
        raise Usage("empty_passphrase", path=path)
    return line


def private_key(session: Session, path: str, passphrase_file: str | None) -> Ed25519PrivateKey:
    """The private key in a file; whoever gave it hears when others may read it. Raises `Usage`, `Invalid`."""
    from mairust_core.plugins.package import key_files, keys

    with told_files():
        pem = key_files.read(Path(path))
        if key_files.is_exposed(Path(path)):
            session.output.warn(say("key.exposed", session.output.lang, path=path))
    return keys.read_private(pem, passphrase_in(passphrase_file), path)


def public_key(path: str) -> bytes:
    """The public key in a file; raises `Usage`, `Invalid`."""
    from mairust_core.plugins.package import key_files, keys

    with told_files():
        return keys.read_public(key_files.read(Path(path)), path)


def small_file(path: str, limit: int) -> bytes:
    """The bytes of a file; raises `Usage`, and `Invalid` for one that is longer."""
    with told_files(), Path(path).open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Invalid("file", "package_file_long", path=path, limit=limit)
    return data


def new_moment(text: str, field: str, *, until: bool = False) -> datetime:
    """The time that somebody gives, to the second; of a date alone the first one, or with `until` the last.

    Raises `Invalid` naming `field`.
    """
    at = parse_moment(text, datetime.now(UTC), field)
    if len(text) == _DATE_LENGTH and until:
        at = datetime.combine(at.date(), _END_OF_DAY)
    return at.replace(microsecond=0)
