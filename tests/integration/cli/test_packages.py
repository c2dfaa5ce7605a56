"""Plugins as files: begun, looked at, packed, signed, checked and taken back, as people type it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.command_line import Run
from tests.support.linking import allow_unsigned
from tests.support.packages import ID, publish

URGENT = b"From: Bob <bob@elsewhere.example>\r\nSubject: Urgent: call me\r\n\r\nNow.\r\n"
PATIENCE_S = 30.0


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a plugin, its package and keys, where the commands run; no site is anywhere."""
    directory = tmp_path / "published"
    publish(directory)
    monkeypatch.chdir(directory)
    return directory


def made(run: Run, directory: Path, template: str) -> None:
    """Begin a plugin."""
    done = run("plugin", "new", str(directory), "--id", "com.example.urgent", "--template", template)
    assert done.code == 0, done.stderr


def tried(run: Run, mail: Path) -> list[str]:
    """What the plugin tags a mail with, on the real road."""
    done = run(
        "hook", "test", "com.example.urgent", "--message", str(mail), "--to", "ann@example.org", "--json"
    )
    assert done.code == 0, done.out + done.stderr
    (step,) = done.json["steps"]
    return [*step["answer"].get("tags", [])]


@pytest.mark.parametrize("kind", ["stdin-python", "stdin-shell"])
def test_a_new_plugin_works_as_it_stands(run: Run, site: Path, tmp_path: Path, kind: str) -> None:
    """Begun, clean, packed, linked, approved, asked about two mails in its sandbox."""
    allow_unsigned(site)
    directory = tmp_path / "urgent"
    made(run, directory, kind)
    assert run("plugin", "lint", str(directory)).code == 0
    assert run("plugin", "pack", str(directory), "--output", str(tmp_path / "p")).code == 0
    assert run("plugin", "verify", str(tmp_path / "p")).code == 0
    assert run("plugin", "link", str(directory)).code == 0
    assert run("plugin", "approve", "com.example.urgent", "--yes").code == 0
    (tmp_path / "urgent.eml").write_bytes(URGENT)
    (tmp_path / "calm.eml").write_bytes(URGENT.replace(b"Urgent: c", b"C"))
    assert tried(run, tmp_path / "urgent.eml") == ["urgent"]
    assert tried(run, tmp_path / "calm.eml") == []


@contextmanager
def service(directory: Path, port: int, secret: str) -> Iterator[None]:
    """The service of the http template, listening."""
    process = subprocess.Popen(
        [sys.executable, "server.py", str(port)],
        cwd=directory,
        env={**os.environ, "MAIRUST_PLUGIN_SECRET": secret},
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not answers(port):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    """Whether the service says that it is well."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_new_service_works_as_it_stands(run: Run, site: Path, tmp_path: Path) -> None:
    """With the secret it was given it answers; to a site that does not know its secret it says nothing."""
    allow_unsigned(site)
    directory, port = tmp_path / "urgent", free_port()
    made(run, directory, "http")
    assert run("plugin", "lint", str(directory)).code == 0
    toml = directory / "plugin.toml"
    toml.write_text(toml.read_text().replace("9000", str(port)))
    assert run("plugin", "link", str(directory)).code == 0
    secret = run("plugin", "approve", "com.example.urgent", "--yes", "--json").json["secret"]
    mail = tmp_path / "urgent.eml"
    mail.write_bytes(URGENT)
    with service(directory, port, secret):
        assert tried(run, mail) == ["urgent"]
    with service(directory, port, "mps_another"):
        refused = run("hook", "test", "com.example.urgent", "--message", str(mail), "--json")
    assert refused.code == 1
    assert "401" in refused.json["steps"][0]["error"]


def test_a_service_without_its_secret_does_not_start(run: Run, tmp_path: Path) -> None:
    """It would answer nobody; it says what is missing."""
    made(run, tmp_path / "urgent", "http")
    done = subprocess.run(
        [sys.executable, "server.py"], cwd=tmp_path / "urgent", capture_output=True, text=True, check=False,
        env={name: value for name, value in os.environ.items() if name != "MAIRUST_PLUGIN_SECRET"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "MAIRUST_PLUGIN_SECRET" in done.stderr


def test_a_plugin_is_begun_once_and_under_a_name_of_ones_own(run: Run, tmp_path: Path) -> None:
    """Nothing is written over; ids of ours and templates that are none are refused."""
    directory = tmp_path / "my_plugin"
    assert run("plugin", "new", str(directory), "--json").json["id"] == "com.example.my-plugin"
    assert run("plugin", "new", str(directory)).code == 5
    for words in (("--id", "mairust.spam"), ("--id", "spam"), ("--template", "perl")):
        refused = run("plugin", "new", str(tmp_path / "other"), *words)
        assert refused.code == 2, words
    assert not (tmp_path / "other").exists()
    assert run("plugin", "new", str(directory / "plugin.toml")).code == 5


def test_lint_says_what_and_how_bad_by_its_exit(run: Run, place: Path) -> None:
    """0 clean, 3 warnings, 1 errors, 2 no plugin; the same of a directory and of its package."""
    assert run("plugin", "lint", "spam").code == 0
    assert run("plugin", "lint", "spam.mairust-plugin").out == run("plugin", "lint", "spam").out
    toml = place / "spam/plugin.toml"
    toml.write_text(toml.read_text().replace('license = "Apache-2.0"', ""))
    warned = run("plugin", "lint", "spam", "--json")
    assert (warned.code, warned.json["separate_review"], warned.json["powers"]) == (3, True, ["pre_receive"])
    assert warned.json["findings"][0] | {"message": ""} == {
        "rule": "license_missing", "level": "warning", "path": "plugin.toml", "line": None, "message": "",
    }  # fmt: skip
    (place / "spam/words.txt").write_text("x\n-----BEGIN PRIVATE KEY-----\n")
    failed = run("plugin", "lint", "spam")
    assert failed.code == 1
    assert "words.txt:2" in failed.out
    assert "[secret]" in failed.out
    assert "秘密" in run("plugin", "lint", "spam", "--lang", "ja").out
    toml.write_text("id = 1")
    assert run("plugin", "lint", "spam").code == 2
    assert run("plugin", "lint", "nothing").code == 2


def test_packages_are_called_by_id_and_version(run: Run, place: Path) -> None:
    """Contract §5, unless another name is given; the digest is that of the listing."""
    packed = run("plugin", "pack", "spam", "--json")
    assert packed.code == 0, packed.stderr
    assert packed.json["file"] == "com.example.spam-0.1.0.mairust-plugin"
    assert (place / packed.json["file"]).stat().st_size == packed.json["size"]
    checked = run("plugin", "verify", packed.json["file"], "--json").json
    assert (checked["digest"], checked["trusted"]) == (packed.json["digest"], False)
    assert run("plugin", "pack", "spam", "--output", "/nowhere/p").code == 2


def test_rule_g5_verify_tells_whom_one_can_trust(run: Run, place: Path) -> None:
    """Root, certified key, stranger; then the package is revoked, and the exit says so each time."""

    def state(name: str, *words: str) -> tuple[int, str]:
        done = run("plugin", "verify", "spam.mairust-plugin", *words, "--json")
        return done.code, {one["name"]: one["state"] for one in done.json["checks"]}[name]

    assert state("marketplace") == (0, "open")
    assert state("developer") == (0, "passed")
    assert state("marketplace", "--trust", "root.key.pub") == (0, "passed")
    assert state("marketplace", "--trust", "market.key.pub") == (0, "passed")
    assert state("marketplace", "--trust", "ann.key.pub") == (1, "failed")
    assert state("license", "--trust", "root.key.pub") == (0, "absent")
    by_root = ("--by", "root.key")
    granted = run(
        "key",
        "license",
        ID,
        *by_root,
        "--holder",
        "Ann",
        "--not-after",
        "9d",
        "--into",
        "spam.mairust-plugin",
    )
    assert granted.code == 0, granted.stderr
    assert state("license", "--trust", "root.key.pub") == (0, "passed")
    listed = ("--trust", "root.key.pub", "--revocations", "revoked.json")
    assert (
        run("key", "revoke", "revoked.json", *by_root, "--key", "ann.key.pub", "--json").json["serial"] == 1
    )
    assert state("revocations", *listed) == (1, "failed")
    (place / "revoked.json").unlink()
    assert run("key", "revoke", "revoked.json", *by_root, "--key", "0" * 16).code == 0
    assert state("revocations", *listed) == (0, "passed")
    again = run("key", "revoke", "revoked.json", *by_root, "--package", "spam.mairust-plugin", "--json").json
    assert (again["serial"], again["keys"]) == (2, ["0" * 16])
    assert state("revocations", *listed) == (1, "failed")
    assert run("key", "revoke", "revoked.json", "--by", "ann.key", "--key", "0" * 16).code == 2
    assert run("key", "revoke", "none.json", *by_root).code == 2


def test_a_certificate_has_its_time(run: Run, place: Path) -> None:
    """A date is the whole day at its end; one that is over, or not yet, trusts nobody."""
    for after, before, code in (("2001-01-31", "2001-01-01", 1), ("9000-01-01", "8000-01-01", 1),
                                ("9000-01-01", "2001-01-01", 0)):  # fmt: skip
        words = ("--by", "root.key", "--not-before", before, "--not-after", after, "--json")
        told = run("key", "certify", "market.key.pub", *words)
        assert told.code == 0, told.stderr
        assert told.json["not_after"] == f"{after}T23:59:59.000Z"
        assert told.json["file"] == "market.key.cert"
        sign = ("plugin", "sign", "spam.mairust-plugin", "--as", "marketplace", "--key", "market.key")
        assert run(*sign, "--certificate", "market.key.cert").code == 0
        assert run("plugin", "verify", "spam.mairust-plugin", "--trust", "root.key.pub").code == code
    assert run("key", "certify", "market.key.pub", "--by", "root.key", "--not-after", "2001-01-01").code == 2
    assert run("key", "certify", "market.key.pub", "--by", "root.key", "--not-after", "soon").code == 2
    refused = run("plugin", "sign", "spam.mairust-plugin", "--as", "marketplace", "--key", "ann.key",
                  "--certificate", "market.key.cert")  # fmt: skip
    assert refused.code == 2
    assert run("plugin", "sign", "spam.mairust-plugin", "--as", "owner", "--key", "ann.key").code == 2


def test_a_package_that_was_changed_is_no_package(run: Run, place: Path) -> None:
    """By one byte, anywhere: exit 2 and one line."""
    file = place / "spam.mairust-plugin"
    whole = file.read_bytes()
    for at in (len(whole) // 2, len(whole) - 6):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        done = run("plugin", "verify", "spam.mairust-plugin")
        assert done.code == 2
        assert done.stderr.count("\n") == 1
    assert run("plugin", "verify", "nothing.mairust-plugin").code == 2


def test_keys_under_a_passphrase(run: Run, place: Path) -> None:
    """The file has it in its first line; without, or with another, nothing is signed."""
    (place / "word").write_text("correct horse\n")
    (place / "wrong").write_text("battery\n")
    (place / "empty").write_text("\n")
    with_word = ("--passphrase-file", "word")
    assert run("key", "generate", "locked.key", *with_word, "--json").json["encrypted"] is True
    sign = ("plugin", "sign", "spam.mairust-plugin", "--as", "developer", "--key", "locked.key")
    assert run(*sign, *with_word).code == 0
    assert [
        run(*sign, *words).code
        for words in ((), ("--passphrase-file", "wrong"), ("--passphrase-file", "empty"))
    ] == [2, 2, 2]
    assert run("key", "generate", "locked.key").code == 5


def test_keys_are_listed_a_page_at_a_time(run: Run, place: Path) -> None:
    """By name; what is no key is not told of."""
    everything = [one["file"] for one in run("key", "list", "--json").json["items"]]
    assert everything == [f"{name}.key{half}" for name in ("ann", "market", "root") for half in ("", ".pub")]
    first = run("key", "list", "--limit", "4", "--json").json
    rest = run("key", "list", "--limit", "4", "--cursor", first["next_cursor"], "--json").json
    assert [one["file"] for one in (*first["items"], *rest["items"])] == everything
    assert rest["next_cursor"] is None
    ids = {
        one["file"].removesuffix(".pub"): one["id"]
        for one in run("key", "list", "--all", "--json").json["items"]
    }
    assert len(set(ids.values())) == 3
    assert run("key", "list", "nowhere").code == 2


def test_a_key_that_others_can_read_is_told_of(run: Run, place: Path) -> None:
    """It is used nevertheless: whoever runs the command may know why."""
    (place / "ann.key").chmod(0o644)
    done = run("plugin", "sign", "spam.mairust-plugin", "--as", "developer", "--key", "ann.key", "--quiet")
    assert done.code == 0
    assert "chmod 600" in done.stderr


def test_a_licence_has_one_place(run: Run, place: Path) -> None:
    """A file of its own, or a package; of its own plugin."""
    words = ("key", "license", ID, "--by", "root.key", "--holder", "Ann", "--not-after", "9d")
    assert run(*words).code == 2
    assert run(*words, "--output", "l.json", "--into", "spam.mairust-plugin").code == 2
    assert run(*words, "--output", "l.json").code == 0
    assert json.loads((place / "l.json").read_text())["license"]["holder"] == "Ann"
    other = ("key", "license", "com.example.other", *words[3:])
    assert run(*other, "--into", "spam.mairust-plugin").code == 2
    assert run("key", "license", "no id", *words[3:], "--output", "l.json").code == 2


@pytest.mark.parametrize("command", ["plugin verify spam.mairust-plugin", "key list", "plugin lint spam"])
def test_commands_on_files_work_on_this_machine_only(
    run: Run, place: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Contract §1: --server is refused, MAIRUST_SERVER ignored with a note."""
    assert run(*command.split(), "--server", "http://127.0.0.1:1").code == 2
    monkeypatch.setenv("MAIRUST_SERVER", "http://127.0.0.1:1")
    done = run(*command.split())
    assert done.code == 0
    assert "MAIRUST_SERVER is ignored" in done.stderr
