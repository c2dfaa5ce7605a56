"""The docstring of a command, in its fixed shape: summary, text, exit status, examples.

Add a mail domain.

From the next second on every listener takes mail for its addresses.

Exit status: 0 added; 5 it exists already.

Examples:
  mairust domain add example.org
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass

_EXIT = "Exit status:"
_EXAMPLES = "Examples:"


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpText:
    """`summary` is one imperative line; `paragraphs` and `exits` are unwrapped; `examples` are lines."""

    summary: str
    paragraphs: tuple[str, ...]
    exits: str
    examples: tuple[str, ...]


def parse(docstring: str) -> HelpText:
    """The parts of a command's docstring."""
    summary, *blocks = inspect.cleandoc(docstring).split("\n\n")
    paragraphs: list[str] = []
    exits, examples = "", tuple[str, ...]()
    for block in blocks:
        if block.startswith(_EXAMPLES):
            examples = tuple(line.strip() for line in block.splitlines()[1:])
        elif block.startswith(_EXIT):
            exits = _unwrap(block.removeprefix(_EXIT))
        else:
            paragraphs.append(_unwrap(block))
    return HelpText(summary=_unwrap(summary), paragraphs=tuple(paragraphs), exits=exits, examples=examples)


def _unwrap(text: str) -> str:
    return " ".join(text.split())
