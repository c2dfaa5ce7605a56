"""What somebody should look at before a plugin is given away, or taken (R-MKT-1): nothing of it is run.

A linter sees what is written, not what is meant: it finds what was forgotten and what needs a reason. What
holds a plugin is the sandbox and its approved permissions.
"""

from __future__ import annotations

import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mairust_core.model.finding import Level
from mairust_core.model.hook import Fallback, HookType
from mairust_core.model.plugin import Attachments, Body, Limits, Manifest, Network, Permissions, Protocol
from mairust_core.plugins.for_authors import module_text
from mairust_core.plugins.manifest import Ground, read_directory
from mairust_core.plugins.package import content, python_source
from mairust_core.plugins.package.paths import shown
from mairust_core.plugins.package.python_source import Seen
from mairust_core.plugins.package.reading import USUAL
from mairust_core.plugins.package.sources import SourceFile, entries_of, files_of
from mairust_core.plugins.source import NAME as TOML

LOOKED_AT_BYTES = 4 << 20
"""Of each file: secrets further down are not found."""
LEVELS = {
    "link": Level.ERROR,
    "special": Level.ERROR,
    "secret": Level.ERROR,
    "secret_file": Level.ERROR,
    "syntax": Level.ERROR,
    "command_missing": Level.ERROR,
    "command_not_executable": Level.ERROR,
    "secret_perhaps": Level.WARNING,
    "compiled": Level.WARNING,
    "import": Level.WARNING,
    "dependencies": Level.WARNING,
    "network": Level.WARNING,
    "process": Level.WARNING,
    "dynamic": Level.WARNING,
    "native": Level.WARNING,
    "writable": Level.WARNING,
    "license_missing": Level.WARNING,
    "license_unknown": Level.WARNING,
    "permission_unused": Level.WARNING,
    "network_unlimited": Level.WARNING,
    "reads_and_sends": Level.WARNING,
    "rejects_unasked": Level.WARNING,
    "beyond_limits": Level.INFO,
    "no_hooks": Level.WARNING,
    "not_told": Level.INFO,
    "not_looked_at": Level.INFO,
}
"""Each rule, and how bad it is what it finds."""
_ORDER = tuple(Level)

_DEPENDENCIES = frozenset({
    "requirements.txt", "pyproject.toml", "setup.py", "Pipfile", "package.json", "Gemfile", "go.mod",
    "Cargo.toml",
})  # fmt: skip
_CODE = frozenset({".js", ".mjs", ".ts", ".rb", ".pl", ".php", ".lua", ".go", ".rs", ".java", ".c"})
_USED_BY = {
    "read_headers": (b"header", b"subject", b"sender", b"envelope", b"connection", b"tags", b"mail_from"),
    "read_body": (b"body", b"text", b"preview", b"html", b"raw_base64"),
    "read_attachments": (b"attachment",),
    "write_tags": (b"tags",),
    "write_flags": (b"flags",),
    "move_message": (b"move_to",),
    "write_metadata": (b"metadata",),
}
"""What code says that makes use of a permission."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What a rule found: where, and the values of its text."""

    rule: str
    path: str | None = None
    line: int | None = None
    values: dict[str, object] = field(default_factory=dict)

    @property
    def level(self) -> Level:
        """How bad it is."""
        return LEVELS[self.rule]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lint:
    """A plugin, what was found, the worst first, and its powers, for which it is reviewed apart."""

    manifest: Manifest
    powers: tuple[str, ...]
    faults: tuple[Fault, ...]


def lint(directory: Path, ground: Ground, *, whole: bool = False) -> Lint:
    """Look at a plugin's directory, at what would be packed of it; `whole` at every file, as of a package.

    Raises `Invalid` for a `plugin.toml` that cannot be read, and for what no package has but links and
    devices, which are told with all else; `OSError`.
    """
    manifest = read_directory(directory, ground)
    entries = entries_of(directory, whole=whole)
    faults = [*_odd_entries(entries), *_of_manifest(manifest)]
    if not any(fault.rule in {"link", "special"} for fault in faults):
        entries = files_of(directory, USUAL, whole=whole)
    files = [one for one in entries if stat.S_ISREG(one.mode)]
    faults += [fault for one in files for fault in _of_file(one, manifest, _shipped(files))]
    faults += [*_of_command(manifest, {one.path: one for one in files}), *_unused(manifest, files)]
    faults.sort(key=lambda one: (_ORDER.index(one.level), one.path or "", one.line or 0, one.rule))
    powers = (*_powers(manifest), *(("compiled",) if any(f.rule == "compiled" for f in faults) else ()))
    return Lint(manifest=manifest, powers=powers, faults=tuple(faults))


def _powers(manifest: Manifest) -> Iterator[str]:
    """What a plugin may do that rule G1 gives to nobody unasked, and reading all of a mail."""
    yield from dict.fromkeys(
        hook.type.value for hook in manifest.hooks if hook.type is not HookType.POST_RECEIVE
    )
    if manifest.permissions.read_body is Body.FULL:
        yield "read_body = full"
    if manifest.permissions.read_attachments is Attachments.FULL:
        yield "read_attachments = full"
    if manifest.limits.network is not Network.NONE:
        yield f"network = {manifest.limits.network.value}"


def _odd_entries(entries: Collection[SourceFile]) -> Iterator[Fault]:
    for one in entries:
        if stat.S_ISLNK(one.mode):
            yield Fault(rule="link", path=shown(one.path))
        elif not stat.S_ISREG(one.mode):
            yield Fault(rule="special", path=shown(one.path))
        elif one.mode & stat.S_IWOTH:
            yield Fault(rule="writable", path=shown(one.path))


def _of_manifest(manifest: Manifest) -> Iterator[Fault]:
    yield from (_toml(rule, **values) for rule, values in _said(manifest))
    for hook in manifest.hooks:
        if Fallback.REJECT in (hook.on_timeout, hook.on_error):
            yield _toml("rejects_unasked", hook=hook.name)


def _said(manifest: Manifest) -> Iterator[tuple[str, dict[str, object]]]:
    limits, usual = manifest.limits, Limits()
    if not manifest.license:
        yield "license_missing", {}
    elif not _is_known_licence(manifest.license):
        yield "license_unknown", {"license": manifest.license}
    for key in ("author", "description"):
        if not getattr(manifest, key):
            yield "not_told", {"setting": key}
    if not manifest.hooks:
        yield "no_hooks", {}
    if limits.network is Network.UNLIMITED:
        yield "network_unlimited", {}
    if limits.network in (Network.OUTBOUND_LIMITED, Network.UNLIMITED) and _reads_all(manifest.permissions):
        yield "reads_and_sends", {"network": limits.network.value}
    for key in ("cpu_ms", "memory_mb"):
        if getattr(limits, key) > getattr(usual, key):
            yield (
                "beyond_limits",
                {"setting": key, "value": getattr(limits, key), "usual": getattr(usual, key)},
            )


def _toml(rule: str, **values: object) -> Fault:
    return Fault(rule=rule, path=TOML, values=values)


def _reads_all(permissions: Permissions) -> bool:
    return permissions.read_body is Body.FULL or permissions.read_attachments is Attachments.FULL


def _is_known_licence(text: str) -> bool:
    """Whether it is an expression of SPDX identifiers; one of one's own is `LicenseRef-NAME`."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        canonicalize_license_expression(text)
    except InvalidLicenseExpression:
        return False
    return True


def _shipped(files: Collection[SourceFile]) -> frozenset[str]:
    """The names under which something that comes along can be imported, wherever it lies."""
    parts = (
        PurePosixPath(one.path).parts for one in files if PurePosixPath(one.path).suffix in {".py", ".so"}
    )
    return frozenset(part.partition(".")[0] for path in parts for part in path)


def _of_file(one: SourceFile, manifest: Manifest, shipped: frozenset[str]) -> Iterator[Fault]:
    path = shown(one.path)
    if content.is_secret_name(one.path):
        yield Fault(rule="secret_file", path=path)
    if "/" not in one.path and one.path in _DEPENDENCIES:
        yield Fault(rule="dependencies", path=path)
    data = _beginning(one)
    if kind := content.compiled(data):
        yield Fault(rule="compiled", path=path, values={"kind": kind})
    if one.size_bytes > LOOKED_AT_BYTES or _is_other_code(one, data):
        yield Fault(rule="not_looked_at", path=path)
    for seen in (*content.secrets(data), *_done(one, data, shipped)):
        if seen.rule != "network" or _needs_network(manifest):
            yield Fault(rule=seen.rule, path=path, line=seen.line, values={"name": seen.name})


def _needs_network(manifest: Manifest) -> bool:
    """Whether code that uses the network would ask for it in vain; a service runs outside of the sandbox."""
    return manifest.entry.protocol is Protocol.STDIN and manifest.limits.network is Network.NONE


def _done(one: SourceFile, data: bytes, shipped: frozenset[str]) -> list[Seen]:
    if data == module_text().encode():  # ours: `call_back` in it is for those who were given the network
        return []
    if one.path.endswith(".py") or content.PYTHON.match(data):
        return python_source.look(data, shipped)
    if one.path.endswith(".sh") or content.SHELL.match(data):
        return content.look_at_shell(data)
    return []


def _is_other_code(one: SourceFile, data: bytes) -> bool:
    script = data.startswith(content.SCRIPT) and not (content.PYTHON.match(data) or content.SHELL.match(data))
    return PurePosixPath(one.path).suffix in _CODE or script


def _of_command(manifest: Manifest, files: dict[str, SourceFile]) -> Iterator[Fault]:
    """A command, and a script handed to an interpreter, is there; the first of them can be run."""
    for number, word in enumerate(manifest.entry.command):
        path = word.removeprefix("./")
        is_own = (
            word.startswith("./") if number == 0 else PurePosixPath(word).suffix in {".py", ".sh", *_CODE}
        )
        if not is_own or path.startswith("/"):
            continue
        if path not in files:
            yield _toml("command_missing", name=word)
        elif number == 0 and not files[path].executable:
            yield Fault(rule="command_not_executable", path=path)


def _unused(manifest: Manifest, files: Collection[SourceFile]) -> Iterator[Fault]:
    """Permissions that no file says a word about; only where there is text that could."""
    texts = [_beginning(one) for one in files if one.path != TOML]
    texts = [data for data in texts if data != module_text().encode() and b"\0" not in data]
    if not texts or any(map(content.compiled, texts)):
        return
    usual = Permissions()
    for key, words in _USED_BY.items():
        asked = getattr(manifest.permissions, key) != getattr(usual, key)
        if asked and not any(word in data.lower() for data in texts for word in words):
            yield _toml("permission_unused", setting=key)


def _beginning(one: SourceFile) -> bytes:
    with one.place.open("rb") as file:
        return file.read(LOOKED_AT_BYTES)
