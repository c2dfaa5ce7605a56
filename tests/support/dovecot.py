"""A Dovecot of a test's own: no server, only `doveadm` on a directory, as somebody who is not root.

Tests say what they want in the words of Dovecot 2.3, which are translated for 2.4.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from tests.support.users import NOBODY

_SETTINGS = {
    "LAYOUT": "mailbox_list_layout",
    "DIRNAME": "mailbox_directory_name",
    "INBOX": "mail_inbox_path",
}
"""What 2.4 calls the options of a location."""
_OF_TWO_WORDS = frozenset({"mailbox", "flags"})
"""Commands that have commands."""


@cache
def is_new() -> bool:
    """Whether this is 2.4 or later."""
    said = subprocess.run(["dovecot", "--version"], capture_output=True, text=True, check=True).stdout
    major, minor, *_ = said.split()[0].split(".")
    return (int(major), int(minor)) >= (2, 4)


def packing(kind: str) -> str:
    """The settings by which mail is packed, and read again."""
    if is_new():
        return f"mail_plugins {{\n mail_compress = yes\n}}\nmail_compress_write_method = {kind}"
    return f"mail_plugins = zlib\nplugin {{\n zlib_save = {kind}\n}}"


class Dovecot:
    """One user's mail below a directory; `location` is Dovecot's, with `~` for the directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, location: str, *words: str, stdin: bytes = b"", settings: str = "") -> bytes:
        """What a command of `doveadm` prints."""
        owner, group = os.getuid() or NOBODY, os.getgid() or NOBODY
        for path in (self.directory, *self.directory.rglob("*")):
            os.chown(path, owner, -1, follow_symlinks=False)
        config = self.directory / "dovecot.conf"
        config.write_text(
            f"{_located(location.replace('~', str(self.directory)))}\nmail_home = {self.directory}\n"
            f"base_dir = {self.directory}/run\nmail_uid = {owner}\nmail_gid = {group}\n"
            f"first_valid_uid = 1\nfirst_valid_gid = 1\nssl = no\n{settings}\n"
        )
        done = subprocess.run(
            ["doveadm", "-c", str(config), *_for_nobody(words)],
            env={**os.environ, "USER": "ann", "HOME": str(self.directory)},
            cwd=self.directory,
            input=stdin,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def save(self, location: str, mailbox: str, *mails: bytes, settings: str = "") -> None:
        """Put mails into a mailbox, which is made when it is not there."""
        if mailbox not in self.mailboxes(location):
            self.run(location, "mailbox", "create", mailbox)
        for mail in mails:
            self.run(location, "save", "-m", mailbox, stdin=mail, settings=settings)

    def backup(self, location: str, to: str, *before: str, settings: str = "") -> None:
        """Have all mail written to another location, as the how-to of moving in shows."""
        words = [*before, "backup", to]
        if is_new():
            driver, path, options = _parts(to)
            words = [*before, "backup", *_destination(options), f"{driver}:{path}"]
        self.run(location, *words, settings=settings)

    def mailboxes(self, location: str) -> list[str]:
        """Their names."""
        return self.run(location, "mailbox", "list").decode().split("\n")[:-1]

    def fetch(self, location: str, *fields: str, mailbox: str = "*") -> list[dict[str, str]]:
        """These fields of every message."""
        found: list[dict[str, str]] = json.loads(
            self.run(location, "-f", "json", "fetch", " ".join(fields), "mailbox", mailbox)
        )
        return found


@contextmanager
def dovecot() -> Iterator[Dovecot]:
    """One in a directory that anybody may enter; skips without Dovecot."""
    if shutil.which("doveadm") is None:
        pytest.skip("dovecot is not installed")
    with tempfile.TemporaryDirectory(prefix="mairust-dovecot-", dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        yield Dovecot(Path(directory))


def _parts(location: str) -> tuple[str, str, dict[str, str]]:
    driver, path, *options = location.split(":")
    return (
        driver,
        path,
        {_SETTINGS[name]: value for name, _, value in (one.partition("=") for one in options)},
    )


def _located(location: str) -> str:
    if not is_new():
        return f"mail_location = {location}"
    driver, path, options = _parts(location)
    lines = ["dovecot_config_version = 2.4.0", "dovecot_storage_version = 2.4.0"]
    lines += [f"mail_driver = {driver}", f"mail_path = {path}"]
    return "\n".join([*lines, *(f"{name} = {value}" for name, value in options.items())])


def _destination(options: Mapping[str, str]) -> list[str]:
    return [word for name, value in options.items() for word in ("-p", f"{name}={value}")]


def _for_nobody(words: Sequence[str]) -> list[str]:
    """The words of a call, for mail that is no user's: 2.4 has to be told so."""
    at = 0
    while words[at].startswith("-"):
        at += 2
    at += 2 if words[at] in _OF_TWO_WORDS else 1
    return [*words[:at], *(["--no-userdb-lookup"] if is_new() else []), *words[at:]]
