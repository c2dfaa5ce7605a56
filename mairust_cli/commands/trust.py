"""`mairust trust`."""

from __future__ import annotations

from typing import Annotated

import typer

from mairust_cli.files import opened_message
from mairust_cli.listing import All, Cursor, Limit, pages
from mairust_cli.output import Column, Columns
from mairust_cli.session import Session
from mairust_cli.text import moment
from mairust_cli.tree import COMMANDS, Command, noun
from mairust_cli.words import Yes
from mairust_core.errors import Invalid
from mairust_core.i18n import Wording
from mairust_core.model.trust import MAX_KEY_LENGTH, NewTrustKey, Revocation, RevocationsTaken, TrustKey
from mairust_core.services.trust import Trust

app = noun(COMMANDS["trust"])

COLUMNS: Columns[TrustKey] = (
    Column("Id", lambda key: key.id),
    Column("Name", lambda key: key.name),
    Column(
        "Revocations", lambda key: "-" if key.serial is None else Wording("trust.serial", serial=key.serial)
    ),
    Column("Issued", lambda key: moment(key.issued_at)),
    Column("Added", lambda key: moment(key.added_at)),
    Column("By", lambda key: key.added_by, shrink=True),
)
FIELDS: Columns[TrustKey] = (
    *COLUMNS,
    Column("Key", lambda key: key.public_key),
    Column("Confirmed", lambda key: moment(key.confirmed_at)),
    Column("Restored", lambda key: moment(key.restored_at)),
)
REVOKED: Columns[Revocation] = (
    Column("Kind", lambda one: one.kind),
    Column("Value", lambda one: one.value),
    Column("Root", lambda one: one.root),
    Column("Taken", lambda one: moment(one.taken_at)),
)
TAKEN: Columns[RevocationsTaken] = (
    Column("Root", lambda taken: taken.root),
    Column("Serial", lambda taken: str(taken.serial)),
    Column("Keys", lambda taken: str(taken.keys)),
    Column("Packages", lambda taken: str(taken.manifests)),
    Column("Blocked", lambda taken: ", ".join(taken.blocked) or "-"),
    Column("Already disabled", lambda taken: ", ".join(taken.already_disabled) or "-"),
    Column("No longer revoked", lambda taken: ", ".join(taken.released) or "-"),
)


@app.command("add", cls=Command)
def add(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="KEY.pub", help="The public key; - reads it from stdin.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What it is called here.")],
    although_revoked: Annotated[
        bool, typer.Option("--although-revoked", help="Also one that another trusted root took back.")
    ] = False,
) -> None:
    """Trust a root key, so that what it signed can be installed.

    So can what is signed by a key that it certified, within that key's time. Compare the id with the one that
    its owner tells you, by another way than the key came. A key that is trusted already gets the name. One
    that another trusted root took back was stolen, perhaps: it is refused unless you say --although-revoked.

    Exit status: 0 trusted; 2 it is no public key; 5 another key has that name; 77 it revoked itself, or
    another root did.

    Examples:
      mairust trust add example-root.pub --name "Example Marketplace"
    """
    session = Session.of(ctx)
    with opened_message(session, file) as content:
        data = bytearray()
        for chunk in content.chunks:
            data += chunk
            if len(data) > MAX_KEY_LENGTH:
                raise Invalid("public_key", "too_long", limit=MAX_KEY_LENGTH)
    public_key = data.decode("utf-8", "replace")
    new = NewTrustKey(name=name, public_key=public_key, although_revoked=although_revoked)
    session.output.change(session.operations(Trust).add(new), FIELDS)


@app.command("list", cls=Command)
def list_(
    ctx: typer.Context,
    revoked: Annotated[
        bool, typer.Option("--revoked", help="List what root keys took back, keys and packages.")
    ] = False,
    limit: Limit = None,
    cursor: Cursor = None,
    all_: All = False,
) -> None:
    """List the root keys that are trusted, by id.

    Exit status: 0 listed.

    Examples:
      mairust trust list
      mairust trust list --revoked --json
    """
    session = Session.of(ctx)
    trust = session.operations(Trust)
    if revoked:
        taken = pages(lambda after, count: trust.revocations(cursor=after, limit=count), limit, cursor, all_)
        session.output.page(taken, REVOKED)
        return
    found = pages(lambda after, count: trust.browse(cursor=after, limit=count), limit, cursor, all_)
    session.output.page(found, COLUMNS)


@app.command("remove", cls=Command)
def remove(
    ctx: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its id or its name, as `trust list` shows it.")],
    yes: Yes = False,
) -> None:
    """Trust a root key no longer.

    Plugins that it signed go on, but none of them is installed, approved or enabled any more. To stop them at
    once, disable them, or import a list of revocations. What the key revoked stays revoked.

    Exit status: 0 removed; 4 there is no such key.

    Examples:
      mairust trust remove "Example Marketplace" --yes
    """
    session = Session.of(ctx)
    session.confirm("remove_trust", yes, id=key)
    session.output.removed(session.operations(Trust).remove(key), "root key")


@app.command("import-revocations", cls=Command)
def import_revocations(
    ctx: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="The list of a trusted root; - reads it from stdin.")
    ],
) -> None:
    """Put a root's list of revocations in force, in the place of its earlier one.

    Plugins that it names, by their package or by a key that signed it, are blocked at once: their hooks are
    asked no more and count as their `on_error` says. Those that are disabled stay so, and are told. A list
    that is older than the one in force is refused.

    Exit status: 0 in force; 2 no trusted root signed it; 5 it is older than the one in force; 75 another list
    is being imported.

    Examples:
      mairust trust import-revocations example-root.revocations.json
    """
    session = Session.of(ctx)
    with opened_message(session, file) as content:
        taken = session.operations(Trust).import_revocations(content)
    session.output.change(taken, TAKEN)


@app.command("confirm-revocations", cls=Command)
def confirm_revocations(
    ctx: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its id or its name, as `trust list` shows it.")],
) -> None:
    """Say that a root has issued no newer list of revocations than is in force.

    Or none at all. Ask its owner first. `doctor` reminds of it after a restore, since the list in a backup
    may be older than the last one that was imported, and when a list is older than 90 days.

    Exit status: 0 noted; 4 there is no such key.

    Examples:
      mairust trust confirm-revocations "Example Marketplace"
    """
    session = Session.of(ctx)
    session.output.change(session.operations(Trust).confirm_revocations(key), FIELDS)
