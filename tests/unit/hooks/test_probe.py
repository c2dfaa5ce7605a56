"""The probe: a mail that nobody could object to, and that no plugin knows for what it is (rule E5)."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mairust_core.hooks.payload import Asking, Callback, MessagePart, request
from mairust_core.hooks.probe import READ_BYTES, probe_of
from mairust_core.hooks.rounds import delivery_id
from mairust_core.hooks.transport import Call
from mairust_core.model.hook import HookType
from mairust_core.model.plugin import Permissions
from mairust_core.plugins.site_key import Key
from mairust_core.plugins.tokens import callback_token
from tests.support.hooking import CLIENT, EVERYTHING, asked, registered, runnable

MAIL = b"From: Eve <eve@elsewhere.example>\r\nSubject: crafted\r\n\r\nIt crashes you.\r\n"


KEY = Key(id="kid", issuer="mairust:site", private=Ed25519PrivateKey.generate())


def _failed(one: Any, tags: tuple[str, ...] = ()) -> Call:
    mail = asked(MAIL)
    asking = Asking(
        hook=one.hook.type, delivery_id=delivery_id("251577331187", one.hook.name, 7), plugin=one.plugin.id,
        attempt=1, recipient="ann@example.org", mail_from="eve@elsewhere.example",
        rcpt_to=("ann@example.org",), connection=CLIENT, tags=tags,
    )  # fmt: skip
    if one.hook.type is HookType.POST_RECEIVE:
        more = {"hook": one.hook.name, "message": "251577331187", "place": [3, 4]}
        token = callback_token(KEY, one.plugin.id, asking.delivery_id, 1_700_000_000, more)
        url = f"http://127.0.0.1:1/{quote(asking.delivery_id, safe='')}"
        callback = Callback(url=url, token=token, expires_at=datetime(2026, 1, 2, tzinfo=UTC))
        asking = replace(asking, callback=callback)
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


@pytest.mark.parametrize("permissions", [EVERYTHING, Permissions()])
def test_rule_e5_after_storing_the_probe_has_tags_and_a_callback_of_the_same_form(
    permissions: Permissions,
) -> None:
    """With all the claims of a real token, about the probe, and a signature that opens nothing."""
    one = registered("p", HookType.POST_RECEIVE, plugin=runnable(permissions=permissions))
    failed = _failed(one, tags=("blue",))
    shown, told = json.loads(failed.body), json.loads(probe_of(one, failed)[1])
    assert told.keys() == shown.keys()
    assert told.get("tags") == shown.get("tags")
    was, made = shown["callback"], told["callback"]
    assert made == {**was, "url": made["url"], "token": made["token"]}
    assert made["url"] == f"http://127.0.0.1:1/{quote(told['delivery_id'], safe='')}"
    assert [len(part) for part in made["token"].split(".")] == [len(part) for part in was["token"].split(".")]
    assert jwt.get_unverified_header(made["token"]) == jwt.get_unverified_header(was["token"])
    claims, real = (jwt.decode(one["token"], options={"verify_signature": False}) for one in (made, was))
    assert [*claims.items()] == [
        *{**real, "jti": told["delivery_id"], "message": told["message"]["id"]}.items()
    ]
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(made["token"], jwt.PyJWK(KEY.jwk()), algorithms=["EdDSA"])


def test_the_probe_after_a_large_mail_and_after_storing() -> None:
    """A large request is not read again; a message that is stored has an id."""
    one = registered("p", HookType.POST_RECEIVE)
    failed = _failed(one)
    told = json.loads(probe_of(one, replace(failed, body=b"x" * (READ_BYTES + 1)))[1])
    assert (told["recipient"], told["connection"]) == ("postmaster@localhost", None)
    assert told["delivery_id"].startswith(told["message"]["id"])
