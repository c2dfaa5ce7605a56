"""Whether the expressions of a filter can be matched in time that grows with the mail alone (trap H5)."""

from __future__ import annotations

from dataclasses import fields

from mairust_core.errors import Invalid
from mairust_core.model.hook import Filter


def check_filter(wanted: Filter) -> None:
    """Raise `Invalid` for an expression that RE2 does not know; look-around is one."""
    for one in fields(Filter):
        value = getattr(wanted, one.name)
        if isinstance(value, str):
            _check(f"filter.{one.name}", value)


def _check(field: str, expression: str) -> None:
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(expression, options)
    except re2.error as error:
        why = error.args[0]
        text = why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)
        raise Invalid(field, "expression", why=text) from None
