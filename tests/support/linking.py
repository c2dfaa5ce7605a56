"""Plugins for tests: directories with a plugin.toml, linked and approved."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

from mairust_core.app import Site
from mairust_core.model.plugin_forms import Installed
from mairust_core.model.principal import Principal
from mairust_core.services.plugins import Plugins

TESTER = Principal.local("tester")
ALLOWED = "[plugins]\nallow_unsigned = true\n"
"""What a site's configuration says so that plugins can be linked."""

SCRIPT = '#!/bin/sh\nread -r request\necho \'{"action": "deliver", "tags": ["seen"]}\'\n'


def allow_unsigned(data_dir: Path) -> None:
    """Let plugins be linked on the site at a data directory, whatever its configuration says otherwise."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = data_dir / "mairust.toml"
    file.write_text((file.read_text() if file.exists() else "") + ALLOWED)
    file.chmod(0o600)


def new_id() -> str:
    """An id that no other plugin has."""
    return f"com.example.p{uuid4().hex[:12]}"


def manifest_text(
    id_: str,
    *hooks: str,
    version: str = "1.0.0",
    permissions: str = "read_headers = true\nwrite_tags = true",
    entry: str = 'protocol = "stdin"\ncommand = ["./plugin.sh"]',
    more: str = "",
) -> str:
    """A plugin.toml; each of `hooks` is the type of one, or the lines below its [[hooks]]."""
    lines = "\n".join(
        f"[[hooks]]\n{one}" if "=" in one else f'[[hooks]]\ntype = "{one}"'
        for one in hooks or ("pre_receive",)
    )
    return (
        f'id = "{id_}"\nversion = "{version}"\nname = "A test\'s"\n'
        f"[entry]\n{entry}\n{lines}\n[permissions]\n{permissions}\n{more}"
    )


def http_text(id_: str, port: int = 9000, *hooks: str) -> str:
    """The plugin.toml of a plugin that is reached by http on this machine."""
    return manifest_text(
        id_,
        *(hooks or ("post_receive",)),
        entry=f'protocol = "http"\nendpoint = "http://127.0.0.1:{port}/"',
        more=f'[limits]\nnetwork = "local-only"\nnetwork_allow = ["127.0.0.1:{port}"]\n',
    )


def write(directory: Path, text: str) -> Path:
    """A plugin's directory with this plugin.toml and a script that tags every mail."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "plugin.toml").write_text(text)
    script = directory / "plugin.sh"
    script.write_text(SCRIPT)
    os.chmod(script, 0o755)
    return directory


def link(site: Site, directory: Path, text: str) -> Installed:
    """Write a plugin and link it."""
    return site.service(Plugins, TESTER).link(write(directory, text))


def approved(site: Site, directory: Path, text: str) -> str:
    """Write, link and approve a plugin; its id."""
    id_ = link(site, directory, text).id
    site.service(Plugins, TESTER).approve(id_)
    return id_
