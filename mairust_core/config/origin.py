"""Where a value came from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

OriginKind = Literal["default", "file", "environment", "option"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The source of one setting, strongest last: built-in default, file, environment, command line.

    `name` is the environment variable or the option; `line` counts from 1.
    """

    kind: OriginKind
    file: Path | None = None
    line: int | None = None
    name: str = ""

    def __str__(self) -> str:
        """The place as errors name it: `FILE:LINE`, a variable, an option, or `default`."""
        if self.file is not None:
            return f"{self.file}:{self.line}" if self.line else str(self.file)
        return self.name or self.kind


BUILT_IN = Origin(kind="default")
