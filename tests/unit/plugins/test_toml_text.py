"""A manifest that is written as a plugin.toml and read again is the same."""

from __future__ import annotations

import pytest

from mairust_core.plugins.manifest import on_paper, read_manifest
from mairust_core.plugins.toml_text import toml_text
from tests.support.linking import http_text, manifest_text
from tests.unit.plugins.manifests import SPAM, TICKETS

HOOKS = (
    'type = "pre_receive"\npriority = 5\ntimeout_ms = 100\non_timeout = "allow"\non_error = "reject"',
    'type = "post_receive"\nname = "bills"\nfilter = {subject_matches = "\\"Bill\\"", size_gt = 5}',
    'type = "post_receive"',
    'type = "post_receive"\nfilter = {has_attachments = false}',
)
MORE = """\
[compat]
mairust_min = "0.1.0"
[limits]
cpu_ms = 100
memory_mb = 64
wall_time_ms = 50
network = "local-only"
network_allow = ["127.0.0.1:9", "[::1]:25"]
"""


@pytest.mark.parametrize(
    "text",
    [
        SPAM,
        TICKETS,
        http_text("com.example.http"),
        manifest_text("com.example.many", *HOOKS, more=MORE),
        manifest_text(
            "com.example.words",
            permissions='read_body = "full"\nread_attachments = "metadata"\nmove_message = true',
            entry='protocol = "stdin"\nmode = "worker"\nmax_calls = 7\ncommand = ["./a b", "ü\\"x"]',
        ).replace("A test's", '\\\\ 日本 \\"quoted\\"'),
        manifest_text("com.example.unix", entry='protocol = "unix"\nendpoint = "unix:/run/x/spam"'),
    ],
    ids=["spam", "tickets", "http", "many hooks", "words", "unix"],
)
def test_what_is_written_is_what_was_read(text: str) -> None:
    """Whatever it says."""
    manifest = read_manifest(text.encode(), on_paper())
    assert read_manifest(toml_text(manifest).encode(), on_paper()) == manifest
