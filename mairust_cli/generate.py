"""Writes the manual pages, the completions and the references from the commands themselves.

`python -m mairust_cli.generate [DIRECTORY]` writes them below the directory (the checkout) and removes
manual pages of commands that are gone. The same commands always give the same files.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from mairust_cli import shapes
from mairust_cli.completions import SHELLS
from mairust_cli.manual import page, page_name
from mairust_cli.outline import outline
from mairust_cli.reference import reference
from mairust_core.doctor import reference as findings


def generated() -> dict[str, str]:
    """Every generated file: path below the checkout → content."""
    top = outline()
    files = {f"man/{page_name(one)}": page(one, top) for one in top.walk()}
    files |= {f"completions/mairust.{shell}": script(top) for shell, script in SHELLS.items()}
    files["docs/reference/cli.md"] = reference(top)
    files["docs/reference/json.md"] = shapes.page()
    files["docs/reference/doctor.md"] = findings.page()
    return files


def main(arguments: Sequence[str] = ()) -> int:
    """Write all files; 0."""
    directory = Path(arguments[0] if arguments else ".")
    files = generated()
    for old in (directory / "man").glob("mairust*.1"):
        if f"man/{old.name}" not in files:
            old.unlink()
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
