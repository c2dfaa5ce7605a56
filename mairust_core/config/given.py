"""What each source gives, key by key; names that no setting has are refused here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mairust_core.config.document import Document, KeyPath, bad_file, dotted
from mairust_core.config.kinds import Plain, spell
from mairust_core.config.origin import Origin
from mairust_core.config.schema import ENV_PREFIX, ENV_SEPARATOR, Key, keys, names_in, sections
from mairust_core.errors import BadConfig

NOT_SETTINGS = "MAIRUST_TEST_"
"""Variables of the test suite, which may hold two underscores."""

_MAX_NAME = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One value as a source gives it; `base` is where its relative paths start."""

    key: Key
    raw: object
    origin: Origin
    base: Path


def from_document(document: Document) -> Iterator[Given]:
    """What a file gives; relative paths are relative to it. Raises `BadConfig` for an unknown name."""
    yield from _from_table(document, document.tree, ())


def _from_table(document: Document, table: Mapping[str, object], above: KeyPath) -> Iterator[Given]:
    for name, raw in table.items():
        path = (*above, name)
        dotted_name = ".".join(path) if "." not in name else ""
        if dotted_name in sections():
            yield from _from_table(document, _as_table(document, path, raw), path)
        elif key := keys().get(dotted_name):
            origin = Origin(kind="file", file=document.path)
            yield Given(key=key, raw=raw, origin=origin, base=document.path.parent)
        else:
            raise _unknown_name(document, path)


def _as_table(document: Document, path: KeyPath, raw: object) -> Mapping[str, object]:
    if isinstance(raw, Plain) and not raw:
        return {}  # YAML writes an empty section so
    if not isinstance(raw, Mapping):
        raise bad_file("not_a_section", document.path, document.line(path), path, value=spell(raw))
    return raw


def from_environment(env: Mapping[str, str], here: Path) -> Iterator[Given]:
    """What `MAIRUST_SECTION__KEY` variables give. Raises `BadConfig` for one that no setting has."""
    variables = {key.variable: key for key in keys().values()}
    for name in sorted(env):
        is_setting = name.startswith(ENV_PREFIX) and ENV_SEPARATOR in name.removeprefix(ENV_PREFIX)
        if not is_setting or name.startswith(NOT_SETTINGS):
            continue
        if name not in variables:
            raise _unknown(
                "unknown_variable", name, name, list(variables), like=_close(name, list(variables))
            )
        origin = Origin(kind="environment", name=name)
        yield Given(key=variables[name], raw=Plain(env[name]), origin=origin, base=here)


def from_options(overrides: Mapping[str, object], here: Path) -> Iterator[Given]:
    """What command-line options give. Raises `BadConfig` for a key that no setting has."""
    for name, raw in overrides.items():
        if raw is None:
            continue
        if name not in keys():
            raise _unknown("unknown_key", name, name, list(keys()), like=_close(name, list(keys())))
        key = keys()[name]
        origin = Origin(kind="option", name=key.declared.option or name)
        yield Given(key=key, raw=Plain(raw) if isinstance(raw, str) else raw, origin=origin, base=here)


def _unknown_name(document: Document, path: KeyPath) -> BadConfig:
    section, name = ".".join(path[:-1]), path[-1][:_MAX_NAME]
    allowed = names_in(section)
    like = _close(name, allowed) or next((str(key) for key in keys().values() if key.name == name), "")
    detail = "unknown_key" if section else "unknown_section"
    line = document.line(path)
    return _unknown(
        detail, document.where(path), dotted(path), allowed, like=like, file=document.path, line=line
    )


def _unknown(
    detail: str,
    where: str,
    key: str,
    allowed: Sequence[str],
    *,
    like: str,
    file: Path | None = None,
    line: int | None = None,
) -> BadConfig:
    detail = f"{detail}_like" if like else detail
    return BadConfig(
        detail, where=where, file=file, line=line, key=key, allowed=", ".join(allowed), like=like
    )


def _close(name: str, allowed: Sequence[str]) -> str:
    from difflib import get_close_matches  # only a typing error needs it

    bare = {word.removeprefix(ENV_PREFIX): word for word in allowed}
    found = get_close_matches(name.removeprefix(ENV_PREFIX)[:_MAX_NAME], bare, 1)
    return bare[found[0]] if found else ""
