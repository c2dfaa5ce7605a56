"""The probe: a mail that nobody could object to, and that no plugin knows for what it is (rule E5)."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from mairust_core.hooks.payload import Asking, MessagePart, request
from mairust_core.hooks.probe import READ_BYTES, probe_of
from mairust_core.hooks.rounds import delivery_id
from mairust_core.hooks.transport import Call
from mairust_core.model.hook import HookType
from mairust_core.model.plugin import Permissions
from tests.support.hooking import CLIENT, EVERYTHING, asked, registered, runnable

MAIL = b"From: Eve <eve@elsewhere.example>\r\nSubject: crafted\r\n\r\nIt crashes you.\r\n"


def _failed(one: Any) -> Call:
    mail = asked(MAIL)
    asking = Asking(
        hook=one.hook.type, delivery_id=delivery_id("251577331187", one.hook.name, 7), plugin=one.plugin.id,
        attempt=1, recipient="ann@example.org", mail_from="eve@elsewhere.example",
        rcpt_to=("ann@example.org",), connection=CLIENT,
    )  # fmt: skip
    part = MessagePart(MAIL, mail.envelope.received_at).of(one.plugin.permissions)
    body = request(asking, one.plugin.permissions, part)
    return Call(delivery_id=asking.delivery_id, hook=one.hook.name, body=body, timeout_ms=1000)


@pytest.mark.parametrize("permissions", [EVERYTHING, Permissions()])
def test_rule_e5_the_probe_has_the_shape_of_the_mail_that_failed(permissions: Permissions) -> None:
    """Its recipient, its client, an id like its own; of what the sender wrote nothing, and never the same."""
    one = registered(plugin=runnable(permissions=permissions))
    failed = _failed(one)
    shown, seen = json.loads(failed.body), set()
    for _ in range(3):
        name, body = probe_of(one, failed)
        told = json.loads(body)
        seen.add(body)
        assert told["delivery_id"] == name != failed.delivery_id
        assert re.fullmatch(r"2515\d{8}" + re.escape(failed.delivery_id[12:]), name)
        assert (told.keys(), told["message"].keys()) == (shown.keys(), shown["message"].keys())
        assert told["recipient"] == "ann@example.org"
        assert not [word for word in (b"eve", b"elsewhere", b"crafted", b"crash") if word in body.lower()]
        if permissions.read_headers:
            assert told["connection"] == {**shown["connection"], "helo": told["connection"]["helo"]}
            assert {"From", "To", "Subject", "Date", "Message-ID"} <= {
                name for name, _ in told["message"]["headers"]
            }
    assert len(seen) == 3


def test_the_probe_after_a_large_mail_and_after_storing() -> None:
    """A large request is not read again; a message that is stored has an id."""
    one = registered("p", HookType.POST_RECEIVE)
    failed = _failed(one)
    told = json.loads(probe_of(one, replace(failed, body=b"x" * (READ_BYTES + 1)))[1])
    assert (told["recipient"], told["connection"]) == ("postmaster@localhost", None)
    assert told["delivery_id"].startswith(told["message"]["id"])
