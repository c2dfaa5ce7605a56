"""The module for plugins in Python: requests, answers, signatures; alone, as it is copied."""

from __future__ import annotations

import ast
import importlib.util
import io
import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mairust_core.hooks import signature
from mairust_core.plugins.for_authors import MODULE, module_text
from tests.support.answering import http_plugin

REQUEST = {
    "protocol": 1,
    "hook": "pre_receive",
    "delivery_id": "d1",
    "plugin": "com.example.spam",
    "message": {
        "headers": [["Subject", "=?utf-8?b?5pel5pys?= again"], ["X-Bad", "=?none?q?x?="]],
        "body": {"preview": "hello", "truncated": False},
        "attachments": [{"filename": "a.pdf"}],
    },
    "envelope": {"mail_from": "a@b.example", "rcpt_to": ["ann@example.org"]},
    "recipient": "ann@example.org",
    "metadata": {"n": 1},
    "callback": None,
}


@pytest.fixture
def module(tmp_path: Path) -> ModuleType:
    """The file, copied and imported from where it was copied to."""
    path = tmp_path / MODULE
    path.write_text(module_text())
    spec = importlib.util.spec_from_file_location("copied_plugin_module", path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_it_needs_nothing_but_python(module: ModuleType) -> None:
    """Every import is of the standard library."""
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name) or ""
        for node in ast.walk(ast.parse(module_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names


def test_a_mail_shows_what_it_was_given(module: ModuleType) -> None:
    """Decoded for people; what was not given is empty."""
    mail = module.Mail.parse(json.dumps(REQUEST))
    assert (mail.hook, mail.delivery_id, mail.recipient) == ("pre_receive", "d1", "ann@example.org")
    assert (mail.sender, mail.subject, mail.text) == ("a@b.example", "日本 again", "hello")
    assert mail.header("x-bad") == "=?none?q?x?="
    assert (mail.attachments, mail.metadata) == ([{"filename": "a.pdf"}], {"n": 1})
    bare = module.Mail.parse('{"protocol": 1, "message": {}}')
    assert (bare.sender, bare.subject, bare.text, bare.headers, bare.metadata) == ("", "", "", [], {})
    for other in ('{"protocol": 2}', "[]"):
        with pytest.raises(ValueError, match="protocol"):
            module.Mail.parse(other)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("=?utf-8?b?Y2FzaW5v?= =?utf-8?b?A?=", "casino"),
        ("=?utf-8?b?Y2FzaW5v?= =?none?q?x?= =?utf-8?q?!?=", "casino=?none?q?x?=!"),
        ("=?utf-8?q?=C3?= =?UTF-8?q?=A4=FF?= =?utf-8*en?q?_b?=", "ä\ufffd b"),
        ("=?zlib?b?AAAA?= =?a\0?q?x?=", "=?zlib?b?AAAA?==?a\0?q?x?="),
    ],
)
def test_trap_what_is_wrong_with_one_word_hides_no_other(module: ModuleType, sent: str, shown: str) -> None:
    """A mail program shows the others; a plugin that fails on it, or sees it as it came, is got round."""
    assert module.Mail({"message": {"headers": [["Subject", sent]]}}).subject == shown


def test_answers_are_those_of_the_contract(module: ModuleType) -> None:
    """What is not said is not there."""
    assert module.deliver(tags=["a"]) == {"action": "deliver", "tags": ["a"]}
    assert module.reject("no") == {"action": "reject", "message": "no"}
    assert module.tempfail() == {"action": "tempfail"}
    assert module.quarantine("odd", score=0.5) == {"action": "quarantine", "message": "odd", "score": 0.5}


def test_run_answers_each_line_and_survives_its_plugin(module: ModuleType) -> None:
    """One line for one line; what is printed is no answer, and what raises is none either."""

    def answer(mail: Any) -> dict[str, Any]:
        print("this must not become an answer")
        if mail.recipient == "bad@example.org":
            raise RuntimeError("as it goes")
        return {"action": "deliver"}

    lines = [REQUEST, {**REQUEST, "recipient": "bad@example.org"}, REQUEST]
    written = io.StringIO()
    module.run(answer, io.StringIO("\n".join(map(json.dumps, lines)) + "\n\n"), written)
    said = [json.loads(line) for line in written.getvalue().splitlines()]
    assert said == [{"action": "deliver"}, {"error": "the plugin failed"}, {"action": "deliver"}]


def test_it_runs_as_a_process(module: ModuleType, tmp_path: Path) -> None:
    """As the first lines of the file say."""
    script = "from mairust_plugin import deliver, run\nrun(lambda mail: deliver(tags=[mail.subject]))\n"
    (tmp_path / "plugin.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import plugin"],
        input=json.dumps(REQUEST).encode() + b"\n",
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout) == {"action": "deliver", "tags": ["日本 again"]}


def test_it_verifies_what_the_server_signs(module: ModuleType) -> None:
    """With the current secret, or the one before; fresh, whole, and for this plugin only."""
    body = json.dumps(REQUEST).encode()
    now = int(time.time())
    sent = signature.headers(["mps_new", "mps_old"], now, "d1", "com.example.spam", body)
    assert module.verify("mps_new", sent, body)
    assert module.verify("mps_old", sent, body)
    assert not module.verify("mps_other", sent, body)
    assert not module.verify("mps_new", sent, body + b" ")
    assert not module.verify("mps_new", {**sent, signature.PLUGIN: "com.example.other"}, body)
    assert not module.verify("mps_new", sent, body, now=now + 301)
    assert not module.verify("mps_new", {}, body)
    assert not module.verify("mps_new", {**sent, signature.TIMESTAMP: "soon"}, body)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (signature.TIMESTAMP, "\u00b2"),
        (signature.TIMESTAMP, "1" * 5000),
        (signature.SIGNATURE, "sha256=\u00e9"),
        (signature.DELIVERY, "\udcff"),
    ],
)
def test_trap_headers_of_anybody_are_refused_and_nothing_else(
    module: ModuleType, name: str, value: str
) -> None:
    """Whoever reaches the service can send any octet, which Python reads as Latin-1: that is no failure."""
    sent = signature.headers(["mps_new"], int(time.time()), "d1", "com.example.spam", b"{}")
    assert module.verify("mps_new", sent, b"{}")
    assert not module.verify("mps_new", {**sent, name: value}, b"{}")


def test_it_calls_back(module: ModuleType) -> None:
    """With the token that came with the delivery."""
    with http_plugin(b'{"moved_to": null}') as site:
        callback = {"url": f"http://127.0.0.1:{site.port}/x", "token": "t", "expires_at": ""}
        mail = module.Mail({**REQUEST, "callback": callback})
        assert module.call_back(mail, module.deliver(tags=["late"])) == {"moved_to": None}
        assert site.asked == [{"action": "deliver", "tags": ["late"]}]
        assert site.headers[0]["authorization"] == "Bearer t"
    with pytest.raises(ValueError, match="nothing more"):
        module.call_back(module.Mail(REQUEST), {})
