"""What `plugin new` begins, as it runs."""

from __future__ import annotations

import importlib.util
import json
import socket
import sys
import time
from pathlib import Path

import pytest

from mairust_core.hooks import signature
from mairust_core.plugins.package.templates import Template, make

REQUEST = json.dumps({"protocol": 1, "message": {"headers": [["Subject", "Urgent"]]}}).encode()


def test_the_http_service_sends_an_answer_in_one_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In two, the second waits until the site acknowledged the first: 40 ms for every mail."""
    make(tmp_path / "made", Template.HTTP, "com.example.made", "made")
    monkeypatch.setenv("MAIRUST_PLUGIN_SECRET", "mps_secret")
    monkeypatch.syspath_prepend(str(tmp_path / "made"))
    spec = importlib.util.spec_from_file_location("made_server", tmp_path / "made" / "server.py")
    assert spec is not None
    assert spec.loader is not None
    server = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(server)
    finally:
        sys.modules.pop("mairust_plugin", None)
    signed = signature.headers(["mps_secret"], int(time.time()), "d", "com.example.made", REQUEST)
    head = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # keeps apart what was sent apart
    with ours, its:
        ours.sendall(
            f"POST /hook HTTP/1.1\r\nContent-Length: {len(REQUEST)}\r\n{head}\r\n".encode() + REQUEST
        )
        ours.shutdown(socket.SHUT_WR)
        server.Handler(its, ("", 0), None)
        answer = ours.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b'\r\n\r\n{"action": "deliver", "tags": ["urgent"]}')
