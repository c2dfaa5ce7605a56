"""Paths and query strings, decoded so that an escaped slash stays inside its parameter.

The server decodes a path before routing, and `a%2Fb` would become two segments. So `first_decoding`
leaves %2F and %25 escaped, routes match, and `second_decoding` gives the parameter as it was meant
(RFC 3986 §2.4: a delimiter that is escaped is data).
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote

from starlette.convertors import Convertor, register_url_convertor

from mairust_core.errors import Usage

MAX_PARAMETERS = 100
_KEPT = re.compile(r"%(?=25|2[fF])")


def first_decoding(raw_path: bytes) -> str:
    """The path that routes match. Bytes that are no UTF-8 become surrogates, which operations refuse."""
    return unquote(_KEPT.sub("%25", raw_path.decode("latin-1")), errors="surrogateescape")


def second_decoding(value: str) -> str:
    """A path parameter as the client meant it."""
    return unquote(value, errors="surrogateescape") if "%" in value else value


def query_values(query_string: bytes) -> dict[str, list[str]]:
    """The parameters of a query string with all their values; raises `Usage` when it is malformed."""
    if not query_string:
        return {}
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )  # fmt: skip
    except UnicodeDecodeError:
        raise Usage("query", why="it is not UTF-8") from None
    except ValueError as error:
        raise Usage("query", why=str(error)) from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def route_path(path: str) -> str:
    """The route of a declared path: parameters may be empty, `:path` ones are addresses."""
    return re.sub(r"{(\w+)(:path)?}", lambda m: f"{{{m[1]}:{'address' if m[2] else 'segment'}}}", path)


class _Text(Convertor[str]):
    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class _Segment(_Text):
    """One segment, also an empty one: the operation says what is wrong with it."""

    regex = "[^/]*"


class _Address(_Text):
    """A mail address: slashes may stand before its last @; a `/messages` after it is never part of it."""

    regex = "(?:.*@)?[^/]*"


register_url_convertor("segment", _Segment())
register_url_convertor("address", _Address())
