"""Makes the page `docs/reference/configuration.md` from the declarations.

`python -m mairust_core.config.reference docs/reference/configuration.md` writes it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from mairust_core.config.effective import shown
from mairust_core.config.kinds import KIB, MIB, Size
from mairust_core.config.schema import Key, keys, sections
from mairust_core.config.setting import Derived

_HEAD = """# Configuration

<!-- Made by `python -m mairust_core.config.reference FILE`; a test keeps it fresh. -->

MaiRust runs without a configuration file. `mairust config show` prints every value in force and where it
comes from; `mairust config check` reads the configuration and tells what is wrong with it.

## Where it is read from

Each source overrides those before it:

1. the defaults below;
2. one file, the first of
   * the one named by `--config` or `MAIRUST_CONFIG` (it must exist),
   * `DATA_DIR/mairust.toml` (the search ends here when `--data-dir` or `MAIRUST_DATA_DIR` names `DATA_DIR`),
   * `$XDG_CONFIG_HOME/mairust/mairust.toml` (`~/.config` when unset),
   * `/etc/mairust/mairust.toml`;

   in each directory `mairust.yaml` and `mairust.yml` are read when there is no `mairust.toml`;
3. environment variables `MAIRUST_SECTION__KEY`, as `MAIRUST_SMTP__LISTEN` or `MAIRUST_BLOBS__S3__BUCKET`;
4. command-line options.

A file is UTF-8, at most 256 KiB, TOML unless its name ends in `.yaml` or `.yml`. An unknown key, a wrong
value or a key given twice is an error that names file, line and key (exit code 78), even where another
source overrides it. YAML is read plainly: no aliases, no tags. Relative paths are relative to the file that
gives them, elsewhere to the working directory; `~` is the home directory. Lists in the environment are
separated by commas or spaces.

`DATA_DIR` stands for `node.data_dir`. A UNIX socket's path has at most 107 octets. Port 0 picks a free port.

```toml
[smtp]
listen = ":25"
trusted_networks = ["10.0.0.0/8"]

[database]
url = "postgresql://mairust@db.example.org/mairust"
```

## Sections
"""


def reference() -> str:
    """The whole page as Markdown."""
    return _HEAD + "".join(
        line + "\n" for section, cls in sections().items() for line in _section(section, cls)
    )


def _section(section: str, cls: type) -> Iterator[str]:
    yield f"\n### `[{section}]`\n"
    yield f"{(inspect.getdoc(cls) or '').strip()}\n"
    yield "| Key | Default | Value | Meaning |"
    yield "|---|---|---|---|"
    for key in keys().values():
        if key.section == section:
            yield f"| {' | '.join(_cell(text) for text in _row(key))} |"


def _row(key: Key) -> tuple[str, str, str, str]:
    declared = key.declared
    form = (
        f"{declared.kind.form} ({declared.unit})"
        if declared.unit and not isinstance(declared.kind, Size)
        else declared.kind.form
    )
    doc = f"{declared.doc} Option `{declared.option}`." if declared.option else declared.doc
    return f"`{key.name}`", _default(key), form, doc


def _default(key: Key) -> str:
    default = key.declared.default
    if isinstance(default, Derived):
        return default.text
    if default is None:
        return "none"
    if isinstance(key.declared.kind, Size) and isinstance(default, int):
        return f'`"{default // MIB}MiB"`' if default % MIB == 0 else f'`"{default // KIB}KiB"`'
    return f"`{_toml(shown(key, default))}`"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), "utf-8")
