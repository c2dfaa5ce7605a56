"""A site to run commands on, and commands run in this process."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mairust_cli.main import run as run_command
from tests.support.command_line import Ran, Run, environment_of_mairust

MAIL = b"From: Ann <ann@example.org>\r\nSubject: hello\r\nMessage-ID: <1@example.org>\r\n\r\nHello.\r\n"


def make_sources(directory: Path) -> None:
    """A Maildir, an mbox, and a table of accounts."""
    for part in ("cur", "new", "tmp"):
        (directory / "Maildir" / part).mkdir(parents=True)
    (directory / "Maildir" / "cur" / "1.a:2,S").write_bytes(MAIL)
    (directory / "mail.mbox").write_bytes(b"From ann@example.org Sun May  6 22:17:15 2001\n" + MAIL)
    (directory / "accounts.csv").write_text("Maildir, ann@example.org\n")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory, and nothing of MaiRust's in the environment."""
    for name in environment_of_mairust():
        monkeypatch.delenv(name)
    directory = tmp_path / "home"
    directory.mkdir()
    monkeypatch.setenv("HOME", str(directory))
    monkeypatch.setenv("LANG", "C.UTF-8")
    return directory


@pytest.fixture
def run(capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Runs a command in this process."""

    def ran(*arguments: str) -> Ran:
        capsysbinary.readouterr()
        code = run_command(arguments)
        written = capsysbinary.readouterr()
        return Ran(code=code, stdout=written.out, stderr=written.err.decode())

    return ran


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with example.org, ann and bob, to be copied."""
    directory = tmp_path_factory.mktemp("template") / "site"
    common = ["--data-dir", str(directory), "--quiet"]
    for command in (
        ["init"],
        ["domain", "add", "example.org"],
        ["account", "add", "ann@example.org"],
        ["account", "add", "bob@example.org"],
    ):
        assert run_command([*command, *common]) == 0
    return directory


@pytest.fixture
def site(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory of a site of one's own, found through MAIRUST_DATA_DIR."""
    directory = tmp_path / "site"
    shutil.copytree(template, directory)
    monkeypatch.setenv("MAIRUST_DATA_DIR", str(directory))
    return directory


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    """A file with one message."""
    file = tmp_path / "mail.eml"
    file.write_bytes(MAIL)
    return file
