"""Manifests that tests of plugins begin with."""

from __future__ import annotations

from pathlib import Path

from mairust_core.model.plugin import Manifest
from mairust_core.plugins.manifest import Ground, read_manifest

GROUND = Ground(socket_dir=Path("/srv/mairust/run/plugins"))

SPAM = """\
id = "com.example.spam"
version = "1.2.3"
name = "Spam"

[entry]
protocol = "stdin"
command = ["./spam"]

[[hooks]]
type = "pre_receive"

[permissions]
read_headers = true
write_tags = true
"""

TICKETS = """\
id = "com.example.tickets"
version = "0.1.0"

[entry]
protocol = "http"
endpoint = "http://127.0.0.1:9000/hook"

[[hooks]]
type = "post_receive"

[permissions]
read_body = "full"

[limits]
network = "local-only"
network_allow = ["127.0.0.1:9000"]
"""


def manifest(text: str, ground: Ground = GROUND) -> Manifest:
    """A manifest from its text."""
    return read_manifest(text.encode(), ground)
