"""A strict reader of IMAP values, and the shape that ENVELOPE and BODYSTRUCTURE must have (RFC 9051 §9).

It knows nothing of how the values were made: it reads wire bytes as a client would.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Value = None | int | bytes | list["Value"]
"""NIL, a number, a string, or a parenthesised list."""

_NUMBER = re.compile(rb"[0-9]+")
_QUOTED = re.compile(rb'"((?:[\x01-\x09\x0b\x0c\x0e-\x21\x23-\x5b\x5d-\x7f]|\\["\\])*)"')
_LITERAL = re.compile(rb"\{([0-9]+)\}\r\n")


@dataclass
class NotImapError(Exception):
    """The bytes are no legal IMAP value."""

    what: str
    at: int


def read(wire: bytes) -> Value:
    """Read one value that must fill the bytes; raises NotImapError."""
    value, at = _value(wire, 0)
    if at != len(wire):
        raise NotImapError("bytes after the value", at)
    return value


def _value(wire: bytes, at: int) -> tuple[Value, int]:
    if wire.startswith(b"(", at):
        return _list(wire, at + 1)
    if wire.startswith(b"NIL", at):
        return None, at + 3
    if found := _QUOTED.match(wire, at):
        return re.sub(rb"\\(.)", rb"\1", found[1]), found.end()
    if found := _LITERAL.match(wire, at):
        end = found.end() + int(found[1])
        if end > len(wire) or b"\0" in wire[found.end() : end]:
            raise NotImapError("literal cut short or with NUL", at)
        return wire[found.end() : end], end
    if found := _NUMBER.match(wire, at):
        return int(found.group()), found.end()
    raise NotImapError("no value", at)


def _list(wire: bytes, at: int) -> tuple[Value, int]:
    items: list[Value] = []
    while not wire.startswith(b")", at):
        # Only the bodies of a multipart, and addresses in a list, stand together without a space.
        if items and wire.startswith(b" ", at):
            at += 1
        elif items and not (isinstance(items[-1], list) and wire.startswith(b"(", at)):
            raise NotImapError("no space between values", at)
        item, at = _value(wire, at)
        items.append(item)
    return items, at + 1


def check_envelope(value: Value) -> list[Value]:
    """Assert that the value is an `envelope` and return it."""
    assert isinstance(value, list)
    assert len(value) == 10
    for text in (value[0], value[1], value[8], value[9]):
        assert text is None or isinstance(text, bytes)
    for addresses in value[2:8]:
        if addresses is not None:
            assert isinstance(addresses, list)
            assert addresses, "an empty address list is NIL"
            for address in addresses:
                _check_address(address)
    return value


def _check_address(value: Value) -> None:
    assert isinstance(value, list)
    assert len(value) == 4
    assert all(member is None or isinstance(member, bytes) for member in value)
    if value[3] is None:
        assert value[0] is None
        assert value[1] is None


def check_body(value: Value) -> list[Value]:
    """Assert that the value is a `body` with extension data and return it."""
    assert isinstance(value, list)
    assert value
    if isinstance(value[0], list):
        _check_multipart(value)
    else:
        _check_single_part(value)
    return value


def _check_multipart(value: list[Value]) -> None:
    bodies = [item for item in value[:-4] if isinstance(item, list)]
    assert len(bodies) == len(value) - 5
    for body in bodies:
        check_body(body)
    assert isinstance(value[-5], bytes)
    _check_parameters(value[-4])
    _check_disposition_language_location(value[-3:])


def _check_single_part(value: list[Value]) -> None:
    main, sub, parameters, content_id, description, encoding, octets, *rest = value
    assert isinstance(main, bytes)
    assert isinstance(sub, bytes)
    _check_parameters(parameters)
    for text in (content_id, description):
        assert text is None or isinstance(text, bytes)
    assert isinstance(encoding, bytes)
    assert isinstance(octets, int)
    if main == b"message" and sub in (b"rfc822", b"global"):
        check_envelope(rest[0])
        check_body(rest[1])
        assert isinstance(rest[2], int)
        rest = rest[3:]
    elif main == b"text":
        assert isinstance(rest[0], int)
        rest = rest[1:]
    assert len(rest) == 4
    assert rest[0] is None or isinstance(rest[0], bytes)
    _check_disposition_language_location(rest[1:])


def _check_parameters(value: Value) -> None:
    if value is not None:
        assert isinstance(value, list)
        assert value
        assert len(value) % 2 == 0
        assert all(isinstance(item, bytes) for item in value)


def _check_disposition_language_location(values: list[Value]) -> None:
    disposition, language, location = values
    if disposition is not None:
        assert isinstance(disposition, list)
        kind, parameters = disposition
        assert isinstance(kind, bytes)
        _check_parameters(parameters)
    assert language is None or isinstance(language, (bytes, list))
    assert location is None or isinstance(location, bytes)
