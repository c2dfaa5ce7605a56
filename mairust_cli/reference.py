"""The page `docs/reference/cli.md`."""

from __future__ import annotations

from mairust_cli.outline import Outline, Parameter

_HEAD = """# Command line

<!-- Made by `python -m mairust_cli.generate`; a test keeps it fresh. -->

Results go to stdout, everything else to stderr. On a terminal a list is a table; elsewhere it is plain
lines under a line of titles. With `--json` exactly one JSON document is printed, the body that the REST API
returns; an error is then `{"error": {"code", "message", "hint"}}` on stdout. Without it an error is one line
on stderr: `mairust: error: WHAT. HOW TO MEND IT`.

"""


def reference(top: Outline) -> str:
    """The whole page."""
    return _HEAD + "\n".join(_section(one) for one in top.walk())


def _section(one: Outline) -> str:
    lines = [f"{'#' * min(2 + max(len(one.path) - 1, 0), 3)} {one.name}", "", one.text.summary, ""]
    lines += [line for paragraph in one.text.paragraphs for line in (paragraph, "")]
    lines += ["```text", one.usage, "```", ""]
    lines += _rows(one.arguments) + _rows(one.options)
    lines += [] if one.path else ["Global options:", "", *_rows(one.global_options)]
    lines += [f"Exit status: {one.text.exits}", ""] if one.text.exits else []
    if one.text.examples:
        lines += ["```sh", *one.text.examples, "```", ""]
    return "\n".join(lines)


def _rows(params: tuple[Parameter, ...]) -> list[str]:
    rows = [
        f"* `{' '.join((', '.join(param.names), param.value)).strip()}`: {param.text}" for param in params
    ]
    return [*rows, ""] if rows else []
