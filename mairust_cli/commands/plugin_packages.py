"""`mairust plugin new`, `lint`, `pack`, `sign` and `verify`: on files of this machine, without a site."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mairust_cli.output import Column, Columns, Output
from mairust_cli.packages import Passphrase, private_key, public_key, small_file, told_files
from mairust_cli.session import Session
from mairust_cli.text import clean, size
from mairust_core.errors import Invalid
from mairust_core.i18n import explain, say
from mairust_core.model.finding import Level
from mairust_core.model.package import (
    Check,
    CheckedPackage,
    CheckState,
    Linted,
    LintFinding,
    MadePlugin,
    Packed,
    SignedPackage,
)
from mairust_core.model.trust import SignedAs

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from mairust_core.plugins.package import Package
    from mairust_core.plugins.package.checking import Outcome
    from mairust_core.plugins.package.linting import Fault, Lint

FAILED, WARNED = 1, 3
PackageFile = Annotated[str, typer.Argument(metavar="FILE", help="A package.")]
NewId = Annotated[
    str | None,
    typer.Option("--id", metavar="ID", help="Its id; default com.example. and the directory's name."),
]
TemplateName = Annotated[
    str, typer.Option("--template", metavar="NAME", help="stdin-python, stdin-shell or http.")
]
CertificateFile = Annotated[
    str | None,
    typer.Option("--certificate", metavar="FILE", help="What a root says of the key: `key certify`."),
]

MADE: Columns[MadePlugin] = (
    Column("Id", lambda made: made.id),
    Column("Directory", lambda made: made.directory),
    Column("Template", lambda made: made.template),
    Column("Files", lambda made: ", ".join(made.files)),
)
PACKED: Columns[Packed] = (
    Column("Id", lambda packed: packed.id),
    Column("Version", lambda packed: packed.version),
    Column("File", lambda packed: packed.file),
    Column("Digest", lambda packed: packed.digest),
    Column("Files", lambda packed: str(packed.files)),
    Column("Size", lambda packed: size(packed.size)),
)
SIGNED: Columns[SignedPackage] = (
    Column("Id", lambda signed: signed.id),
    Column("Version", lambda signed: signed.version),
    Column("File", lambda signed: signed.file),
    Column("Digest", lambda signed: signed.digest),
    Column("Signed as", lambda signed: signed.signed_as),
    Column("Key", lambda signed: signed.key_id),
    Column("Certified by", lambda signed: signed.root or "-"),
)
COLOURS = {Level.ERROR: "red", Level.WARNING: "yellow", Level.INFO: "cyan"}
MARKS = {
    CheckState.PASSED: ("ok", "green"),
    CheckState.FAILED: ("failed", "red"),
    CheckState.ABSENT: ("-", "dim"),
    CheckState.OPEN: ("?", "yellow"),
}


def new(
    ctx: typer.Context,
    directory: Annotated[str, typer.Argument(metavar="DIR", help="The directory to be made.")],
    id_: NewId = None,
    template: TemplateName = "stdin-python",
) -> None:
    """Begin a plugin from a template that works as it stands.

    stdin-python and stdin-shell are programs that a site runs; http is a service of its own that it asks.
    Each tags mail that is urgent. Choose an id below a domain of yours.

    Exit status: 0 made; 2 no such template, or the id is none; 5 the directory has something in it.

    Examples:
      mairust plugin new ./urgent --id com.example.urgent
      mairust plugin new ./tickets --id com.example.tickets --template http
    """
    session = Session.of(ctx)
    session.stay_local("plugin new")
    from mairust_cli.choices import choice
    from mairust_core.plugins import identity
    from mairust_core.plugins.package.templates import Template, make

    kind = choice(Template, "template", template)
    place = Path(directory)
    wanted = id_ or f"com.example.{place.resolve().name.lower().replace('_', '-')}"
    identity.require_id(wanted, new=True)
    with told_files():
        made = make(place, kind, wanted, wanted.rpartition(".")[2])
    told = MadePlugin(id=wanted, directory=directory, template=kind.value, files=made)
    session.output.change(told, MADE)


def lint(
    ctx: typer.Context,
    path: Annotated[str, typer.Argument(metavar="PATH", help="A plugin's directory, or a package.")],
) -> None:
    """Look for what somebody should know before a plugin is given away, or taken.

    Its plugin.toml, the modules it imports, what its code would do and was not given, secrets and compiled
    code in its files, permissions it makes no use of, its license. Nothing is run. A plugin that has a say
    before mail is taken, reaches the network or reads whole mails is marked for a review of its own.

    Exit status: 0 nothing that needs mending; 1 at least one error; 2 its plugin.toml is wrong, or it is no
    package; 3 warnings only.

    Examples:
      mairust plugin lint ./spam
      mairust plugin lint ./spam --json
    """
    session = Session.of(ctx)
    session.stay_local("plugin lint")
    found = _looked_at(Path(path))
    lang = session.output.lang
    told = Linted(
        id=found.manifest.id,
        version=found.manifest.version,
        separate_review=bool(found.powers),
        powers=found.powers,
        findings=tuple(_finding(fault, lang) for fault in found.faults),
    )
    if session.output.json:
        session.output.document(told)
    else:
        session.output.lines(_lines(told, session.output))
    if told.worst in (Level.ERROR, Level.WARNING):
        raise typer.Exit(FAILED if told.worst is Level.ERROR else WARNED)


def _looked_at(path: Path) -> Lint:
    """The findings of a directory, or of a package's files in a directory for the moment."""
    import tempfile

    from mairust_core.plugins.manifest import on_paper
    from mairust_core.plugins.package import listing, read_package, unpack
    from mairust_core.plugins.package.linting import lint as look

    with told_files():
        if path.is_dir():
            return look(path, on_paper())
        with path.open("rb") as file, tempfile.TemporaryDirectory() as scratch:
            package = read_package(file, on_paper())
            place = Path(scratch) / "plugin"
            unpack(file, package, place)
            (place / listing.NAME).unlink()
            return look(place, on_paper(), whole=True)  # what packing leaves out may be in it all the same


def _finding(fault: Fault, lang: str) -> LintFinding:
    return LintFinding(
        rule=fault.rule,
        level=fault.level,
        path=fault.path,
        line=fault.line,
        message=say(f"lint.{fault.rule}", lang, **fault.values),
    )


def _lines(told: Linted, output: Output) -> list[str]:
    lines = []
    for one in told.findings:
        level = output.paint(say(f"doctor.{one.level}", output.lang), COLOURS[one.level])
        place = ":".join(filter(None, (one.path, str(one.line or ""))))
        lines.append(f"{level}  {output.paint(clean(place), 'bold')}  {clean(one.message)}  [{one.rule}]")
    if told.powers:
        lines.append(say("lint.review", output.lang, powers=clean(", ".join(told.powers))))
    return lines or [output.paint(say("lint.well", output.lang), "green")]


def pack(
    ctx: typer.Context,
    directory: Annotated[str, typer.Argument(metavar="DIR", help="The directory with its plugin.toml.")],
    output: Annotated[
        str | None,
        typer.Option("--output", metavar="FILE", help="The package; default ID-VERSION.mairust-plugin."),
    ] = None,
) -> None:
    """Pack a plugin's directory into one file.

    The same files give the same bytes, on any machine and day. What tools leave behind (.git, __pycache__
    and the like) is left out, and what a file .mairustignore in the directory names, one pattern a line.

    Exit status: 0 packed; 2 its plugin.toml is wrong, or it has a file that no package may have.

    Examples:
      mairust plugin pack ./spam --output spam.mairust-plugin
    """
    session = Session.of(ctx)
    session.stay_local("plugin pack")
    from mairust_core.plugins.manifest import on_paper, read_directory
    from mairust_core.plugins.package import packing

    with told_files():
        target = output or packing.file_name(read_directory(Path(directory), on_paper()))
        package = packing.pack(Path(directory), Path(target), on_paper())
    told = Packed(
        id=package.manifest.id,
        version=package.manifest.version,
        file=target,
        digest=package.digest,
        files=len(package.files),
        size=package.size_bytes,
    )
    session.output.change(told, PACKED)


def sign(
    ctx: typer.Context,
    file: PackageFile,
    as_: Annotated[str, typer.Option("--as", metavar="|".join(SignedAs), help="Who signs.")],
    key: Annotated[str, typer.Option("--key", metavar="FILE", help="The private key.")],
    certificate: CertificateFile = None,
    passphrase_file: Passphrase = None,
) -> None:
    """Sign a package, as who made it or as a marketplace that looked at it.

    The signature is put into the package, which is replaced as a whole; an earlier one of the same kind goes.
    A marketplace signs with a root key itself, or with a key whose certificate comes along. A developer's
    key is named in manifest.json, which all signatures are over: whoever makes a package signs it first.

    Exit status: 0 signed; 2 it is no package, or no key, or the certificate is another key's, or a
    marketplace signed it as the package of another developer.

    Examples:
      mairust plugin sign spam.mairust-plugin --as developer --key ann.key
    """
    session = Session.of(ctx)
    session.stay_local("plugin sign")
    from mairust_cli.choices import choice
    from mairust_core.plugins.manifest import on_paper
    from mairust_core.plugins.package import certificates, listing, packing, read_package, signatures

    signer = choice(SignedAs, "as", as_)
    private = private_key(session, key, passphrase_file)
    word = small_file(certificate, certificates.MAX_BYTES) if certificate else None
    with told_files():
        with Path(file).open("rb") as source:
            found = read_package(source, on_paper())
        listed = _listing_of(found, signer, private)
        marks = {signer.path: signatures.write(listed, private, word), listing.NAME: listed}
        package = packing.add(Path(file), marks, on_paper())
    session.output.change(_signed(package, signer, file), SIGNED)


def _signed(package: Package, signer: SignedAs, file: str) -> SignedPackage:
    made = package.developer if signer is SignedAs.DEVELOPER else package.marketplace
    assert made is not None
    return SignedPackage(
        id=package.manifest.id,
        version=package.manifest.version,
        file=file,
        digest=package.digest,
        signed_as=signer.value,
        key_id=made.key_id,
        root=made.certificate.root if made.certificate else None,
    )


def _listing_of(found: Package, signer: SignedAs, private: Ed25519PrivateKey) -> bytes:
    """What is signed; raises `Invalid` for a developer who comes after a marketplace."""
    from mairust_core.plugins.package import keys, listing
    from mairust_core.plugins.package.reading import USUAL

    if signer is SignedAs.MARKETPLACE:
        return found.listing
    named = listing.naming(found.listing, keys.public_of(private), USUAL)
    if named != found.listing and found.marketplace is not None:
        raise Invalid("package", "package_signed_already", key=found.marketplace.key_id)
    return named


def verify(
    ctx: typer.Context,
    file: PackageFile,
    trust: Annotated[
        list[str] | None,
        typer.Option("--trust", metavar="FILE", help="A public key that you trust; may be repeated."),
    ] = None,
    revocations: Annotated[
        list[str] | None,
        typer.Option("--revocations", metavar="FILE", help="A revocation list; may be repeated."),
    ] = None,
) -> None:
    """Check a package, and tell what came of each check.

    Without a network, and without a site where there is none: the archive, every file against manifest.json,
    plugin.toml, signatures and licence. Whose signature it is shows only beside keys that are trusted:
    --trust takes public keys of roots. Without it those count that the site of this machine trusts, if there
    is one, and what they took back.

    Exit status: 0 it is sound, and what --trust and --revocations ask for holds; 1 that does not hold, or the
    signature of a root that the site trusts is wrong or was taken back; 2 it is no sound package.

    Examples:
      mairust plugin verify spam.mairust-plugin
      mairust plugin verify spam.mairust-plugin --trust market.key.pub
    """
    session = Session.of(ctx)
    session.stay_local("plugin verify")
    told = _checked(session, Path(file), trust or [], revocations or [])
    if session.output.json:
        session.output.document(told)
    else:
        session.output.lines([_line(one, session.output) for one in told.checks])
    if any(one.state is CheckState.FAILED for one in told.checks):
        raise typer.Exit(FAILED)


def _checked(session: Session, path: Path, trust: list[str], lists: list[str]) -> CheckedPackage:
    from datetime import UTC, datetime

    from mairust_cli.site_trust import site_trust
    from mairust_core.plugins.manifest import on_paper
    from mairust_core.plugins.package import keys, read_package, revocations
    from mairust_core.plugins.package.checking import check, taken_back
    from mairust_core.plugins.package.vouching import leads_to

    with told_files(), path.open("rb") as file:
        package = read_package(file, on_paper())
    roots = {keys.key_id(public): public for public in map(public_key, trust)}
    revoked = [revocations.read(small_file(one, revocations.MAX_BYTES), one) for one in lists]
    site = None if trust else site_trust(session, package)
    # A signature that leads to nobody trusted here stays open, unless lists are to be judged by the roots.
    if site is not None and (lists or leads_to(package, site.trusted.roots)):
        roots = site.trusted.roots
    outcomes = list(check(package, roots, revoked, datetime.now(UTC)))
    if site is not None:
        root = next((one.values.get("root") for one in outcomes if one.name == "marketplace"), None)
        outcomes += taken_back(package, site.trusted.revoked, root)
        session.output.note(say("verify.site", session.output.lang, path=site.site))
    stands = [one for one in outcomes if one.name in ("marketplace", "revocations")]
    return CheckedPackage(
        id=package.manifest.id,
        version=package.manifest.version,
        digest=package.digest,
        files=len(package.files),
        size=package.size_bytes,
        trusted=all(one.state is CheckState.PASSED for one in stands),
        trust_of=None if site is None else site.site,
        checks=tuple(_told(one, session.output.lang) for one in outcomes),
    )


def _told(one: Outcome, lang: str) -> Check:
    if one.error is not None:
        message = " ".join(explain(one.error, lang))
    else:
        values = dict(one.values)
        if "size" in values:
            values["size"] = size(int(str(values["size"])))
        message = say(f"verify.{one.name}.{one.state.value}", lang, **values)
    return Check(name=one.name, state=one.state, key_id=one.key_id, message=message)


def _line(one: Check, output: Output) -> str:
    mark, style = MARKS[one.state]
    return f"{output.paint(f'{mark:6}', style)}  {one.name:11}  {clean(one.message)}"
