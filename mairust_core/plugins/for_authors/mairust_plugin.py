"""For MaiRust plugins in Python: copy this file beside yours. Python 3.9 or later, no dependencies.

    from mairust_plugin import deliver, reject, run

    def answer(mail):
        if "casino" in mail.subject.lower():
            return reject("No casinos, please")
        return deliver(tags=["seen"])

    run(answer)

`run` serves both modes of protocol "stdin": one request, or one a line until stdin ends. What `answer`
prints goes to stderr, where `mairust hook test` shows it. When it raises, the hook has not answered, and what
the site set as `on_error` counts.

A plugin that is reached by http gives the body of each request to `Mail.parse`, after `verify` said that it
is from a site that knows the secret. `call_back` says more later, once, about a mail that is stored.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import binascii
import contextlib
import hashlib
import hmac
import json
import re
import sys
import time
import traceback
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, TextIO

PROTOCOL = 1
MAX_AGE_S = 300
"""How far the timestamp of a request over http may be off."""

Answer = dict[str, Any]

_WORD = re.compile(r"=\?[^?\s]+\?([BbQq])\?([^?]*)\?=")
_ANY = r"=\?[^?\s]+\?[BbQq]\?[^?]*\?="
_BETWEEN = re.compile(rf"(?<=\?=)\s+(?={_ANY})")
_WORDS = re.compile(r"=\?([^?\s*]+)[^?\s]*\?[BbQq]\?[^?]*\?=(?:=\?\1(?:\*[^?\s]*)?\?[BbQq]\?[^?]*\?=)*", re.I)


class Mail:
    """One request: a mail, as much of it as the plugin's approved permissions allow.

    What is not allowed is empty. `request` is the document as it came.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request

    @classmethod
    def parse(cls, data: bytes | str) -> Mail:
        """The mail of a request; raises ValueError for another protocol."""
        request = json.loads(data)
        if not isinstance(request, dict) or request.get("protocol") != PROTOCOL:
            raise ValueError(f"this is no request of protocol {PROTOCOL}")
        return cls(request)

    @property
    def hook(self) -> str:
        """`pre_receive`, `pre_delivery` or `post_receive`."""
        return str(self.request.get("hook", ""))

    @property
    def delivery_id(self) -> str:
        """The same in every attempt: what was done for it need not be done again."""
        return str(self.request.get("delivery_id", ""))

    @property
    def recipient(self) -> str:
        """Whom this is about."""
        return str(self.request.get("recipient") or "")

    @property
    def sender(self) -> str:
        """The sender of the envelope; needs `read_headers`."""
        return str((self.request.get("envelope") or {}).get("mail_from") or "")

    @property
    def message(self) -> dict[str, Any]:
        """`message` of the request."""
        found = self.request.get("message")
        return found if isinstance(found, dict) else {}

    @property
    def headers(self) -> list[list[str]]:
        """Header fields in order, `[name, value]`, encoded words as they came; needs `read_headers`."""
        return list(self.message.get("headers") or [])

    def header(self, name: str) -> str:
        """The first field of that name, decoded; empty when there is none."""
        for field, value in self.headers:
            if field.lower() == name.lower():
                return _decoded(value)
        return ""

    @property
    def subject(self) -> str:
        """The subject, decoded."""
        return self.header("Subject")

    @property
    def text(self) -> str:
        """The body, or its beginning; needs `read_body`."""
        body = self.message.get("body") or {}
        return str(body.get("text") or body.get("preview") or "")

    @property
    def attachments(self) -> list[dict[str, Any]]:
        """Name, type and size of each; needs `read_attachments`."""
        return list(self.message.get("attachments") or [])

    @property
    def metadata(self) -> dict[str, Any]:
        """What this plugin has kept with the mail."""
        return dict(self.request.get("metadata") or {})


def deliver(**more: Any) -> Answer:
    """Let the mail in, with `tags`, `flags`, `move_to`, `metadata` and what else an answer may say."""
    return {"action": "deliver", **more}


def reject(message: str = "", **more: Any) -> Answer:
    """Refuse the mail for good; the sender is told `message`, one line."""
    return _refusal("reject", message, more)


def tempfail(message: str = "", **more: Any) -> Answer:
    """Refuse the mail for now; the sender tries again later."""
    return _refusal("tempfail", message, more)


def quarantine(message: str = "", **more: Any) -> Answer:
    """Store the mail in Quarantine, with `message` as the reason."""
    return _refusal("quarantine", message, more)


def _refusal(action: str, message: str, more: dict[str, Any]) -> Answer:
    return {"action": action, **({"message": message} if message else {}), **more}


def run(answer: Callable[[Mail], Answer], stdin: TextIO | None = None, stdout: TextIO | None = None) -> None:
    """Answer every line of stdin until it ends."""
    source, target = stdin or sys.stdin, stdout or sys.stdout
    for line in source:
        if line.strip():
            target.write(_answered(answer, line) + "\n")
            target.flush()


def _answered(answer: Callable[[Mail], Answer], line: str) -> str:
    """One answer as a line; what fails is told on stderr, and is no answer."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return json.dumps(answer(Mail.parse(line)))
    except Exception:  # the next mail must find a plugin that still answers
        traceback.print_exc()
        return json.dumps({"error": "the plugin failed"})


def sign(secret: str, timestamp: str, delivery: str, plugin: str, body: bytes) -> str:
    """The signature of a request, as it stands in its header."""
    head = f"{timestamp}\n{delivery}\n{plugin}\n".encode("utf-8", "replace")
    return "sha256=" + hmac.new(secret.encode(), head + body, hashlib.sha256).hexdigest()


def verify(secret: str, headers: Mapping[str, str], body: bytes, now: float | None = None) -> bool:
    """Whether a request over http is from a site that knows the secret, and fresh.

    During a rotation the site signs with the new and the old secret; either will do.
    """
    given = {name.lower(): value for name, value in headers.items()}
    timestamp = given.get("x-mairust-timestamp", "")
    is_number = timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 20
    age = abs((time.time() if now is None else now) - int(timestamp)) if is_number else None
    if age is None or age > MAX_AGE_S:
        return False
    delivery, plugin = given.get("x-mairust-delivery", ""), given.get("x-mairust-plugin-id", "")
    wanted = sign(secret, timestamp, delivery, plugin, body).encode()
    names = ("x-mairust-signature", "x-mairust-signature-previous")
    return any(hmac.compare_digest(wanted, given.get(name, "").encode("utf-8", "replace")) for name in names)


def call_back(mail: Mail, answer: Answer, timeout_s: float = 30.0) -> dict[str, Any]:
    """Say more about a stored mail, once, within the hour; what became of it.

    Raises ValueError when nothing more may be said of it, OSError when the site cannot be reached or refuses.
    """
    callback = mail.request.get("callback")
    if not callback or not callback["url"].startswith(("http://", "https://")):
        raise ValueError("nothing more may be said of this mail")
    request = urllib.request.Request(  # noqa: S310 - http or https, as was asked above
        callback["url"],
        json.dumps(answer).encode(),
        {"Authorization": "Bearer " + callback["token"], "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=timeout_s) as response:  # noqa: S310 - as above
        found: dict[str, Any] = json.loads(response.read())
        return found


def _decoded(value: str) -> str:
    """The encoded words decoded (RFC 2047); what is wrong with one hides no other."""
    return _WORDS.sub(_joined, _BETWEEN.sub("", value))


def _joined(words: re.Match[str]) -> str:
    """Words of one charset together: a character may go on from one to the next."""
    found = b"".join(_octets(kind, text) for kind, text in _WORD.findall(words[0]))
    try:
        return found.decode(words[1], "replace")
    except (LookupError, ValueError):
        return words[0]


def _octets(kind: str, text: str) -> bytes:
    if kind in "Qq":
        return binascii.a2b_qp(text.encode("utf-8", "replace"), header=True)
    known = re.sub("[^A-Za-z0-9+/]", "", text)
    whole = known[: len(known) - (len(known) % 4 == 1)]
    return binascii.a2b_base64(whole + "=" * (-len(whole) % 4))
