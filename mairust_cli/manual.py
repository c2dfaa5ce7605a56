"""Manual pages in roff (man(7)), one for each command."""

from __future__ import annotations

from collections.abc import Iterable

from mairust_cli.outline import Outline, Parameter
from mairust_core import __version__


def page_name(one: Outline) -> str:
    """The name of the page's file, as `mairust-domain-add.1`."""
    return "-".join(("mairust", *one.path)) + ".1"


def page(one: Outline, top: Outline) -> str:
    """The manual page of a command; the global options are told in that of `mairust` itself."""
    title = page_name(one).removesuffix(".1")
    lines = [
        f'.TH {title.upper().replace("-", chr(92) + "-")} 1 "" "MaiRust {__version__}" "MaiRust"',
        ".SH NAME",
        f"{_text(title)} \\- {_text(one.text.summary)}",
        ".SH SYNOPSIS",
        f".B {_text(one.usage)}",
        ".SH DESCRIPTION",
        *_paragraphs((one.text.summary, *one.text.paragraphs)),
        *_definitions("ARGUMENTS", one.arguments),
        *_definitions("OPTIONS", one.options),
        *(_definitions("GLOBAL OPTIONS", one.global_options) if one is top else ()),
        *_commands(one),
        *_section("EXIT STATUS", one.text.exits),
        *_examples(one.text.examples),
        ".SH SEE ALSO",
        _see_also(one, top),
    ]
    return "\n".join(lines) + "\n"


def _paragraphs(paragraphs: Iterable[str]) -> list[str]:
    return [line for paragraph in paragraphs for line in (".PP", _text(paragraph))]


def _definitions(title: str, params: tuple[Parameter, ...]) -> list[str]:
    lines = [f".SH {title}"] if params else []
    for param in params:
        names = f"\\fB{_text(', '.join(param.names))}\\fR"
        lines += [".TP", f"{names} \\fI{_text(param.value)}\\fR" if param.value else names, _text(param.text)]
    return lines


def _commands(one: Outline) -> list[str]:
    lines = [".SH COMMANDS"] if one.children else []
    for child in one.children:
        lines += [".TP", f"\\fB{_text(child.name)}\\fR", _text(child.text.summary)]
    return lines


def _section(title: str, text: str) -> list[str]:
    return [f".SH {title}", _text(text)] if text else []


def _examples(examples: tuple[str, ...]) -> list[str]:
    return [".SH EXAMPLES", ".EX", *map(_text, examples), ".EE"] if examples else []


def _see_also(one: Outline, top: Outline) -> str:
    beside = one.children or tuple(o for o in top.walk() if o is not one and o.path == one.path[:-1])
    return ", ".join(f"\\fB{_text(page_name(o).removesuffix('.1'))}\\fR(1)" for o in beside)


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("~", "\\(ti")
    return "\\&" + escaped if escaped.startswith((".", "\\(aq")) else escaped
