"""What the argument parser refuses, as errors of ours in the reader's language."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

import typer

from mairust_core.errors import Usage

_EXTRA = re.compile(r"unexpected extra argument\(s\) \((.*)\)", re.DOTALL)


def explained(error: typer.TyperException) -> Usage:
    """The same refusal; the parser's own words only where it says something unforeseen."""
    ctx = getattr(error, "ctx", None)
    command = ctx.command_path if ctx else "mairust"
    find = _KINDS.get(type(error).__name__)
    found = find(error) if find else None
    if found is None:
        return Usage(
            "command_line", why=" ".join(error.format_message().split()).rstrip("."), command=command
        )
    detail, values = found
    return Usage(detail, command=command, **values)


_Found = tuple[str, dict[str, object]] | None


def _no_such_option(error: Any) -> _Found:
    option = error.option_name[:40]
    like = get_close_matches(option, error.possibilities or (), 1, cutoff=0.0)
    return (
        ("unknown_option_like", {"option": option, "like": like[0]})
        if like
        else ("unknown_option", {"option": option})
    )


def _missing_parameter(error: Any) -> _Found:
    if error.param is None:
        return None
    kind = "missing_argument" if error.param.param_type_name == "argument" else "missing_option"
    return kind, {"parameter": error.param.get_error_hint()}


def _bad_parameter(error: Any) -> _Found:
    if error.param is None or "valid integer" not in error.message:
        return None
    return "not_a_number", {"parameter": error.param.get_error_hint()}


def _bad_option_usage(error: Any) -> _Found:
    takes_none = "does not take a value" in error.message
    return "option_without_value" if takes_none else "option_needs_value", {"option": error.option_name}


def _usage_error(error: Any) -> _Found:
    if error.ctx is not None and error.message.startswith("Missing command"):
        return "no_command", {"group": error.ctx.command_path}
    extra = _EXTRA.search(error.message)
    return ("extra_arguments", {"extra": extra[1][:80]}) if extra else None


_KINDS = {
    "NoSuchOption": _no_such_option,
    "MissingParameter": _missing_parameter,
    "BadParameter": _bad_parameter,
    "BadOptionUsage": _bad_option_usage,
    "UsageError": _usage_error,
}
