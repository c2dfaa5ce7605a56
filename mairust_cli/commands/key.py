"""`mairust key`: the keys of developers and marketplaces, and what roots say with theirs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mairust_cli.listing import All, Cursor, Limit, pages
from mairust_cli.output import Column, Columns
from mairust_cli.packages import (
    By,
    Passphrase,
    new_moment,
    passphrase_in,
    private_key,
    public_key,
    small_file,
    told_files,
)
from mairust_cli.session import Session
from mairust_cli.text import moment, yes_no
from mairust_cli.tree import COMMANDS, Command, noun
from mairust_core.errors import Usage
from mairust_core.model.forms import Page
from mairust_core.model.package import (
    GeneratedKey,
    KeyFile,
    WrittenCertificate,
    WrittenLicence,
    WrittenRevocations,
)
from mairust_core.model.trust import KEY_ID

if TYPE_CHECKING:
    from mairust_core.plugins.package.revocations import RevocationList

app = noun(COMMANDS["key"])

LicenceFile = Annotated[
    str | None, typer.Option("--output", metavar="FILE", help="A file for the licence alone.")
]
IntoPackage = Annotated[
    str | None, typer.Option("--into", metavar="FILE", help="The package that it is put into.")
]
NotAfter = Annotated[
    str, typer.Option("--not-after", metavar="WHEN", help="Until when, as 2027-12-31, or from now as 365d.")
]
NotBefore = Annotated[
    str | None, typer.Option("--not-before", metavar="WHEN", help="From when, as 2027-01-01; default now.")
]
RevokedKeys = Annotated[
    list[str] | None,
    typer.Option("--key", metavar="KEY", help="A key: its id, or the file KEY.pub; may be repeated."),
]
RevokedPackages = Annotated[
    list[str] | None,
    typer.Option("--package", metavar="PACKAGE", help="A package: its digest, or the file; may be repeated."),
]

GENERATED: Columns[GeneratedKey] = (
    Column("Id", lambda key: key.id),
    Column("Private key", lambda key: key.private),
    Column("Public key", lambda key: key.public),
    Column("Passphrase", lambda key: yes_no(key.encrypted)),
)
COLUMNS: Columns[KeyFile] = (
    Column("Id", lambda key: key.id or "-"),
    Column("Kind", lambda key: key.kind),
    Column("Passphrase", lambda key: yes_no(key.encrypted)),
    Column("File", lambda key: key.file),
)
CERTIFICATE: Columns[WrittenCertificate] = (
    Column("File", lambda one: one.file),
    Column("Key", lambda one: one.key_id),
    Column("Root", lambda one: one.root),
    Column("From", lambda one: moment(one.not_before), sense="time"),
    Column("Until", lambda one: moment(one.not_after)),
)
REVOCATIONS: Columns[WrittenRevocations] = (
    Column("File", lambda one: one.file),
    Column("Root", lambda one: one.root),
    Column("Serial", lambda one: str(one.serial)),
    Column("Keys", lambda one: ", ".join(one.keys) or "-"),
    Column("Packages", lambda one: ", ".join(one.manifests) or "-"),
)
LICENCE: Columns[WrittenLicence] = (
    Column("File", lambda one: one.file),
    Column("Plugin", lambda one: one.plugin),
    Column("Holder", lambda one: one.holder),
    Column("Until", lambda one: moment(one.not_after)),
    Column("Root", lambda one: one.root),
)


@app.command("generate", cls=Command)
def generate(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The private key; FILE.pub is the public one.")],
    passphrase_file: Passphrase = None,
) -> None:
    """Make a key that signs packages: FILE for you alone, FILE.pub for everybody.

    It is an Ed25519 key in PEM. With --passphrase-file it can be used with that passphrase only. No file is
    ever replaced.

    Exit status: 0 made; 2 the files cannot be written; 5 one of them is there.

    Examples:
      mairust key generate mine.key
    """
    session = Session.of(ctx)
    session.stay_local("key generate")
    from mairust_core.plugins.package import key_files

    passphrase = passphrase_in(passphrase_file)
    with told_files():
        made = key_files.generate(Path(file), passphrase)
    session.output.change(made, GENERATED)


@app.command("list", cls=Command)
def list_(
    ctx: typer.Context,
    directory: Annotated[str, typer.Argument(metavar="DIR", help="Where to look.")] = ".",
    limit: Limit = None,
    cursor: Cursor = None,
    all_: All = False,
) -> None:
    """List the keys in the files of a directory, by name.

    The id of a private key under a passphrase is not known without it; its .pub tells.

    Exit status: 0 listed; 2 the directory cannot be read.

    Examples:
      mairust key list
      mairust key list keys --json
    """
    session = Session.of(ctx)
    session.stay_local("key list")
    from mairust_core.plugins.package import key_files

    with told_files():
        found = key_files.list_in(Path(directory))

    def fetch(after: str, count: int) -> Page[KeyFile]:
        rest = [one for one in found if one.file > after]
        more = rest[count - 1].file if len(rest) > count else None
        return Page(items=tuple(rest[:count]), next_cursor=more)

    session.output.page(pages(fetch, limit, cursor, all_), COLUMNS)


@app.command("certify", cls=Command)
def certify(
    ctx: typer.Context,
    key: Annotated[str, typer.Argument(metavar="FILE", help="The public key of who is to sign.")],
    by: By,
    not_after: NotAfter,
    not_before: NotBefore = None,
    output: Annotated[
        str | None, typer.Option("--output", metavar="FILE", help="The certificate; default FILE.cert.")
    ] = None,
    passphrase_file: Passphrase = None,
) -> None:
    """Say with a root key that another key may sign packages for a time.

    So the root key can stay where nobody reaches it: sites trust the root, and packages carry the certificate
    (`plugin sign --certificate`).

    Exit status: 0 written; 2 a file holds no such key, or the time is wrong.

    Examples:
      mairust key certify market.key.pub --by root.key --not-after 365d
    """
    session = Session.of(ctx)
    session.stay_local("key certify")
    from mairust_core.plugins.package import certificates, packing

    public = public_key(key)
    root = private_key(session, by, passphrase_file)
    start = new_moment(not_before or "0s", "not_before")
    data = certificates.write(public, start, new_moment(not_after, "not_after", until=True), root)
    target = output or f"{key.removesuffix('.pub')}.cert"
    with told_files():
        packing.write_file(Path(target), data)
    session.output.change(certificates.told(data, target), CERTIFICATE)


@app.command("revoke", cls=Command)
def revoke(
    ctx: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="The revocation list; made if it is not there.")
    ],
    by: By,
    key: RevokedKeys = None,
    package: RevokedPackages = None,
    passphrase_file: Passphrase = None,
) -> None:
    """Say with a root key that keys or packages are not to be trusted any more.

    They are added to the list, whose serial rises; sites take the list with `trust import-revocations` and
    refuse an older one. What is on a list once stays on it.

    Exit status: 0 written; 2 a file holds no such key or package, or the list is another root's.

    Examples:
      mairust key revoke revoked.json --by root.key --key 0123456789abcdef
    """
    session = Session.of(ctx)
    session.stay_local("key revoke")
    from datetime import UTC, datetime

    from mairust_core.plugins.package import packing, revocations

    root = private_key(session, by, passphrase_file)
    before = _list_before(Path(file))
    if before is None and not key and not package:
        raise Usage("nothing_to_revoke")
    more = (map(_key_id, key or ()), map(_digest, package or ()))
    data = revocations.extended(before, *more, issued_at=datetime.now(UTC), root=root)
    with told_files():
        packing.write_file(Path(file), data)
    session.output.change(revocations.told(data, file), REVOCATIONS)


def _list_before(path: Path) -> RevocationList | None:
    """The list that is to be continued."""
    from mairust_core.plugins.package import revocations

    if not path.exists():
        return None
    return revocations.read(small_file(str(path), revocations.MAX_BYTES), str(path))


def _key_id(text: str) -> str:
    from mairust_core.plugins.package import keys

    return text if KEY_ID.fullmatch(text) else keys.key_id(public_key(text))


def _digest(text: str) -> str:
    from mairust_core.plugins.manifest import on_paper
    from mairust_core.plugins.package import read_package
    from mairust_core.plugins.package.listing import SHA256

    if SHA256.fullmatch(text):
        return text
    with told_files(), Path(text).open("rb") as file:
        return read_package(file, on_paper()).digest


@app.command("license", cls=Command)
def license_(
    ctx: typer.Context,
    plugin: Annotated[str, typer.Argument(metavar="ID", help="The plugin's id.")],
    by: By,
    holder: Annotated[str, typer.Option("--holder", metavar="TEXT", help="Who may use it.")],
    not_after: NotAfter,
    output: LicenceFile = None,
    into: IntoPackage = None,
    passphrase_file: Passphrase = None,
) -> None:
    """Say with a root key who may use a plugin, and until when.

    The licence is written into a file of its own, or put into a package, whose signatures stay as they are.

    Exit status: 0 written; 2 a bad value, or no package of that plugin.

    Examples:
      mairust key license com.example.spam --by root.key --holder Ann --not-after 365d --output l.json
    """
    session = Session.of(ctx)
    session.stay_local("key license")
    from mairust_core.plugins import identity
    from mairust_core.plugins.manifest import on_paper
    from mairust_core.plugins.package import licences, packing

    identity.require_id(plugin)
    target = output or into
    if target is None or (output and into):
        raise Usage("one_place_for_licence")
    root = private_key(session, by, passphrase_file)
    data = licences.write(plugin, holder, new_moment(not_after, "not_after", until=True), root)
    with told_files():
        if into:
            packing.add(Path(into), {licences.NAME: data}, on_paper())
        else:
            packing.write_file(Path(target), data)
    session.output.change(licences.told(data, target), LICENCE)
