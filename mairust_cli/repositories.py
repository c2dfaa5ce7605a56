"""What the commands on backup repositories share: keys as people give them, and opening one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mairust_core.errors import Usage
from mairust_core.i18n import Wording

if TYPE_CHECKING:
    from mairust_cli.progress import Progress
    from mairust_cli.session import Session
    from mairust_core.transfer.repository import Repository
    from mairust_core.transfer.repository.sealing import Keys

Passphrase = Annotated[
    str | None,
    typer.Option(
        "--passphrase-file", metavar="FILE", help="The passphrase of an encrypted repository: the first line."
    ),
]
Recipient = Annotated[
    list[str] | None,
    typer.Option("--recipient", metavar="AGE", help="Encrypt to this age recipient, age1…; repeatable."),
]
Identity = Annotated[
    str | None,
    typer.Option("--identity", metavar="FILE", help="The age identity that reads the repository."),
]


def keys_of(passphrase_file: str | None, recipients: list[str] | None, identity: str | None) -> Keys:
    """The keys in these files; raises `Usage` when one cannot be read."""
    from mairust_core.transfer.repository.sealing import Keys

    return Keys(
        passphrase=_lines(passphrase_file)[0] if passphrase_file else None,
        recipients=tuple(recipients or ()),
        identities=tuple(_lines(identity)) if identity else (),
    )


def opened(session: Session, path: str, keys: Keys) -> Repository:
    """The repository at `path`; raises `NotFound`."""
    from mairust_core.transfer.repository import Repository

    session.hear_log()
    return Repository.open(Path(path).absolute(), keys, session.backup_cache())


def working(session: Session, what: str, *, in_bytes: bool = False) -> Progress:
    """How far a long command is, for people at a terminal; counts bytes, or mails and snapshots."""
    from mairust_cli.text import size
    from mairust_core.i18n import say

    output = session.output
    title = say(f"progress.{what}", output.lang)
    return output.progress(title, size=size) if in_bytes else output.progress(title)


def _lines(path: str) -> list[str]:
    """The lines of a key file that are no comments; at least one."""
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or Wording("file.no_text")
        raise Usage("unreadable_file", path=path, why=why) from error
    found = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not found:
        raise Usage("unreadable_file", path=path, why=Wording("file.no_key"))
    return found
