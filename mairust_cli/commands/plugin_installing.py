"""`mairust plugin install`, `upgrade` and `rollback`: packages on their way in, and back."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated

import typer

from mairust_cli.commands.plugin_review import review_lines, signed_by
from mairust_cli.each import SOME_FAILED
from mairust_cli.files import STDIN, opened_message
from mairust_cli.output import Column, Columns
from mairust_cli.session import Session
from mairust_cli.text import clean
from mairust_cli.words import PluginId, Yes
from mairust_core.errors import MaiRustError, Temporary, Unauthenticated, Usage
from mairust_core.i18n import say
from mairust_core.model.package import SUFFIX
from mairust_core.model.plugin_forms import Installed, PluginState
from mairust_core.services.plugins import Plugins

INSTALLED: Columns[Installed] = (
    Column("Id", lambda installed: installed.id),
    Column("Version", lambda installed: installed.version),
    Column("State", lambda installed: installed.state),
    Column("Signed by", lambda installed: signed_by(installed.signatures)),
)
WITH_SECRET: Columns[Installed] = (*INSTALLED, Column("Secret", lambda installed: installed.secret or "-"))

Downgrade = Annotated[
    bool, typer.Option("--allow-downgrade", help="Take an older version, or another build of the same one.")
]


def install(
    ctx: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A package, a directory of packages, or - for stdin.")
    ],
    allow_downgrade: Downgrade = False,
) -> None:
    """Take in a plugin's package, without any network.

    It is verified whole before anything is written: the archive, its manifest, the signature, which has to
    lead to a root key that `trust add` made known, and whether it is made for this MaiRust. Then it waits for
    `plugin approve`, unless nobody needs to be asked. A plugin that is there is upgraded. Of a directory all
    files NAME.mairust-plugin are taken.

    Exit status: 0 installed, now or before; 2 it is no sound package; 3 some of several failed; 5 a newer
    version is there; 75 try again; 77 it is not signed by anybody trusted here, or revoked.

    Examples:
      mairust plugin install spam-1.0.0.mairust-plugin
      mairust plugin install ./packages --json
      mairust plugin install - < spam-1.0.0.mairust-plugin
    """
    session = Session.of(ctx)
    plugins = session.operations(Plugins)

    def take(path: str) -> Installed:
        with opened_message(session, path) as content:
            return plugins.install(content, allow_downgrade=allow_downgrade)

    if file == STDIN or not os.path.isdir(file):
        _tell(session, take(file))
    else:
        _several(session, _packages_in(file), take)


def upgrade(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A package, or - for stdin.")],
    allow_downgrade: Downgrade = False,
) -> None:
    """Take in another version of a plugin that is there.

    What asks for no more than was approved, signed as that was, runs at once; else it waits for `plugin
    approve`, and the version before goes on. That one is kept for `plugin rollback`.

    Exit status: 0 upgraded, or waiting; 2 it is no sound package; 4 there is no such plugin; 5 a newer
    version is there; 77 it is not signed by anybody trusted here, or revoked.

    Examples:
      mairust plugin upgrade spam-1.1.0.mairust-plugin
    """
    session = Session.of(ctx)
    with opened_message(session, file) as content:
        _tell(
            session,
            session.operations(Plugins).install(content, upgrade=True, allow_downgrade=allow_downgrade),
        )


def _tell(session: Session, installed: Installed) -> None:
    session.output.change(installed, WITH_SECRET if installed.secret else INSTALLED)
    _hint(session, installed)


def _hint(session: Session, installed: Installed) -> None:
    """What a person has to know: what waits and for what, and loudly what nobody signed."""
    lang = session.output.lang
    if not any(one.root for one in installed.signatures):
        session.output.warn(say("plugin.unsigned", lang, id=clean(installed.id)))
    if installed.review is not None and installed.state is PluginState.PENDING:
        if not session.output.quiet:
            for line in review_lines(installed.id, installed.review, session.output):
                session.output.tell(line)
        session.output.note(say("plugin.waits", lang, id=clean(installed.id)))


def _packages_in(directory: str) -> list[str]:
    try:
        found = sorted(name for name in os.listdir(directory) if name.endswith(SUFFIX))
    except OSError as error:
        raise Usage("unreadable_file", path=directory, why=error.strerror) from error
    if not found:
        raise Usage("no_packages", path=directory)
    return [os.path.join(directory, name) for name in found]


def _several(session: Session, paths: list[str], take: Callable[[str], Installed]) -> None:
    """Each of several packages; what ends everything ends it."""
    done: list[Installed] = []
    failed: dict[str, MaiRustError] = {}
    for path in paths:
        try:
            done.append(take(path))
        except (Temporary, Unauthenticated):
            raise
        except MaiRustError as error:
            failed[path] = error
    session.output.several(done, failed, INSTALLED)
    for installed in done:
        _hint(session, installed)
    if failed:
        raise SystemExit(SOME_FAILED)


def rollback(
    ctx: typer.Context,
    id_: PluginId,
    to: Annotated[
        str, typer.Option("--to", metavar="VERSION", help="Which package: its version or its digest.")
    ] = "",
    yes: Yes = False,
) -> None:
    """Go back to the package of a plugin that ran before.

    It has the rights that it had, and its hooks are those that it declares; what was set of them stays. When
    these are more than what is in force now, they are shown, and you are asked. What ran until now is kept:
    only --to leads forth again. What waits for approval goes.

    Exit status: 0 done, or with --to what runs already; 1 the answer was no; 2 it asks for more, and neither
    a terminal nor --yes is there; 4 there is no such plugin; 5 nothing is kept that ran before, or another
    version, or a newer one; 77 that was revoked.

    Examples:
      mairust plugin rollback com.example.spam
    """
    from mairust_cli.commands.plugin import FIELDS

    session = Session.of(ctx)
    plugins = session.operations(Plugins)
    asked = plugins.review_rollback(id_, to=to)
    if any(right.more for right in asked.rights):
        for line in review_lines(id_, asked, session.output):
            session.output.tell(line)
        session.confirm("approve_plugin", yes, id=id_, version=asked.version)
        to = asked.id
    session.output.change(plugins.rollback_to(id_, to) if to else plugins.rollback(id_), FIELDS)
