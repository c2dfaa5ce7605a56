"""Packages and trust on the command line: what is said on which stream, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mairust_core.app import opened
from mairust_core.config import load_settings
from tests.support.command_line import Ran, Run, process
from tests.support.linking import allow_unsigned, manifest_text
from tests.support.packaging import Marketplace, Signing, made, offer

ID = "com.example.spam"


@pytest.fixture
def offers(site: Path, tmp_path: Path) -> Marketplace:
    """Packages in the directory, by a root that the site trusts."""
    with opened(load_settings(data_dir=site, env={})) as here:
        return offer(tmp_path, here)


def test_what_waits_is_told_with_what_it_asks_for(run: Run, offers: Marketplace, tmp_path: Path) -> None:
    """The result on stdout, what a person has to decide on stderr; over stdin, too."""
    done = run("plugin", "install", str(tmp_path / "spam-1.0.0.mairust-plugin"))
    assert done.code == 0
    assert "State:" in done.out
    assert "read header fields" in done.stderr
    assert f"be trusted on the word of the root key: Example Marketplace ({offers.id})" in done.stderr
    assert f"{ID} waits for approval" in done.stderr
    assert "not signed" not in done.stderr
    told = run("plugin", "install", str(tmp_path / "spam-1.0.0.mairust-plugin"), "--json").json
    assert {"id", "version", "state", "permissions", "signatures"} <= told.keys()


def test_the_linter_sees_what_an_archive_has_and_packing_leaves_out(run: Run, tmp_path: Path) -> None:
    """A package cannot say which of its files are looked at."""
    path = tmp_path / "hiding.mairust-plugin"
    hidden = {".mairustignore": b"*.py\n", ".venv/fast.so": b"\x7fELF", "spam.py": b"eval(1)\n"}
    path.write_bytes(made(manifest_text(ID), files=hidden))
    told = run("plugin", "lint", str(path), "--json").json
    seen = {(one["rule"], one["path"]) for one in told["findings"]}
    assert {("compiled", ".venv/fast.so"), ("dynamic", "spam.py")} <= seen
    assert "compiled" in told["powers"]


def test_a_directory_gives_all_its_packages(run: Run, offers: Marketplace, tmp_path: Path) -> None:
    """Those that fail are told, and the exit status says that there are some."""
    packages = tmp_path / "packages"
    (packages / "broken.mairust-plugin").write_bytes(b"PK")
    (packages / "notes.txt").write_text("no package")
    done = run("plugin", "install", str(packages), "--json")
    assert done.code == 3
    assert [one["id"] for one in done.json["items"]] == [ID]
    (failed,) = done.json["failed"]
    assert failed["id"].endswith("broken.mairust-plugin")
    assert failed["error"]["code"] == "invalid"
    (empty := tmp_path / "empty").mkdir()
    refused = run("plugin", "install", str(empty))
    assert (refused.code, "no package" in refused.stderr) == (2, True)


def test_what_nobody_signed_is_taken_loudly_or_not_at_all(run: Run, site: Path, tmp_path: Path) -> None:
    """Also for those who want no notes."""
    path = tmp_path / "unsigned.mairust-plugin"
    path.write_bytes(made(manifest_text(ID)))
    refused = run("plugin", "install", str(path))
    assert (refused.code, "takes signed ones only" in refused.stderr) == (77, True)
    allow_unsigned(site)
    done = run("plugin", "install", str(path), "--quiet")
    assert (done.code, done.out) == (0, "")
    assert "not signed: nobody stands for it" in done.stderr
    assert run("plugin", "approve", ID, "--yes").code == 0
    assert "nobody signed: 1" in run("status").out
    found = {one["id"] for one in run("doctor", "--json").json["findings"]}
    assert "plugins.unsigned" in found


def test_a_package_comes_through_a_pipe(home: Path, site: Path, offers: Marketplace, tmp_path: Path) -> None:
    """As from a machine that fetched it."""
    data = (tmp_path / "spam-1.0.0.mairust-plugin").read_bytes()
    done = process(home, "plugin", "install", "-", "--json", "--data-dir", str(site), stdin=data)
    assert (done.code, json.loads(done.stdout)["state"]) == (0, "pending")


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("plugin", "upgrade", "spam-1.1.0.mairust-plugin"), 4, "to upgrade"),
        (("plugin", "rollback", ID), 4, "no plugin"),
        (("plugin", "install", "gone.mairust-plugin"), 2, "cannot be read"),
        (("trust", "remove", "nobody", "--yes"), 4, "no trusted root key"),
        (("trust", "add", "spam-1.1.0.mairust-plugin", "--name", "x"), 2, "key"),
        (("trust", "import-revocations", "example-root.pub"), 2, "JSON"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_ends_as_it_should(
    run: Run, offers: Marketplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...], code: int, why: str,
) -> None:  # fmt: skip
    """With what is wrong and a status that scripts can tell apart."""
    monkeypatch.chdir(tmp_path)
    done = run(*words)
    assert (done.code, why in done.stderr) == (code, True), done.stderr


def test_an_older_version_needs_a_word(run: Run, offers: Marketplace, tmp_path: Path) -> None:
    """And says how to go back otherwise."""
    for version in ("1.0.0", "1.1.0"):
        run("plugin", "install", str(tmp_path / f"spam-{version}.mairust-plugin"))
        run("plugin", "approve", ID, "--yes")
    older = str(tmp_path / "spam-1.0.0.mairust-plugin")
    refused = run("plugin", "upgrade", older)
    assert (refused.code, "plugin rollback" in refused.stderr) == (5, True)
    assert run("plugin", "upgrade", older, "--allow-downgrade").code == 0
    assert run("plugin", "show", ID, "--json").json["previous_version"] == "1.1.0"


def test_licences_and_signers_are_shown(run: Run, site: Path, offers: Marketplace, tmp_path: Path) -> None:
    """By the names that roots have here."""
    path = tmp_path / "licensed.mairust-plugin"
    signing = Signing(key=offers.root, licence=offers.license("com.example.paid"))
    path.write_bytes(made(manifest_text("com.example.paid"), signing))
    assert run("plugin", "install", str(path)).code == 0
    shown = run("plugin", "show", "com.example.paid").out
    assert "marketplace Example Marketplace" in shown
    assert "A Customer, until" in shown


def test_a_restore_tells_which_revocations_are_in_force(
    run: Run, offers: Marketplace, tmp_path: Path
) -> None:
    """So does its rehearsal: what was taken back after the backup is not in it."""
    backup = str(tmp_path / "backup")
    for serial in ("", "1"):
        assert run("backup", backup).code == 0
        told = "list 1, issued 20" if serial else "has no list of revocations of the root key"
        rehearsed = run("restore", backup, "--rehearse")
        made_ = run("restore", backup, "--yes", "--data-dir", str(tmp_path / f"new{serial}"))
        for done in (rehearsed, made_):
            assert done.code == 0
            assert told in done.stderr
            assert offers.id in done.stderr
            assert "mairust trust import-revocations FILE" in done.stderr
        taken = run("trust", "import-revocations", str(tmp_path / "example-root.revocations.json"))
        assert taken.code == 0
    found = run("doctor", "--json", "--data-dir", str(tmp_path / "new1")).json["findings"]
    assert "trust.restored" in {one["id"] for one in found}


def test_a_rollback_to_more_rights_shows_them_and_asks(run: Run, site: Path, tmp_path: Path) -> None:
    """As an approval does: elsewhere than on a terminal --yes has to say so."""
    allow_unsigned(site)
    for version, permissions in (("1.0.0", 'read_body = "full"'), ("1.1.0", "read_headers = true")):
        path = tmp_path / f"{version}.mairust-plugin"
        path.write_bytes(made(manifest_text(ID, version=version, permissions=permissions)))
        run("plugin", "install", str(path))
        run("plugin", "approve", ID, "--yes")
    asked = run("plugin", "rollback", ID)
    assert (asked.code, f"Give {ID} 1.0.0 what it asks for?" in asked.stderr) == (2, True)
    assert "+ read the whole text" in asked.stderr
    done = run("plugin", "rollback", ID, "--yes", "--json")
    assert (done.code, done.json["version"]) == (0, "1.0.0")
    assert run("plugin", "rollback", ID, "--to", "1.0.0").code == 0
    forth = run("plugin", "rollback", ID, "--to", "1.1.0", "--yes", "--json")
    assert (forth.code, forth.json["version"]) == (0, "1.1.0")


def marks(ran: Ran) -> dict[str, str]:
    """What came of each check of `plugin verify --json`, by its name; of several the last."""
    return {one["name"]: one["state"] for one in ran.json["checks"]}


def test_verify_goes_by_whom_the_site_trusts(
    run: Run, offers: Marketplace, site: Path, tmp_path: Path
) -> None:
    """When no other keys are given; it says whose trust it was, and heeds what they took back."""
    path = str(tmp_path / "spam-1.0.0.mairust-plugin")
    done = run("plugin", "verify", path, "--json")
    assert (done.code, marks(done)["marketplace"], done.json["trusted"]) == (0, "passed", True)
    assert done.json["trust_of"] == str(site)
    assert f"the root keys of the site {site}" in done.stderr
    other = Marketplace()
    (tmp_path / "other.pub").write_text(other.public)
    given = run("plugin", "verify", path, "--trust", str(tmp_path / "other.pub"), "--json")
    assert (given.code, marks(given)["marketplace"], given.json["trust_of"]) == (1, "failed", None)
    assert str(site) not in given.stderr
    taken = tmp_path / "taken.json"
    taken.write_bytes(b"".join(offers.revoke(9, manifests=[done.json["digest"]]).chunks))
    assert run("trust", "import-revocations", str(taken)).code == 0
    refused = run("plugin", "verify", path, "--json")
    assert (refused.code, marks(refused)["revocations"], refused.json["trusted"]) == (1, "failed", False)
    other_version = run("plugin", "verify", str(tmp_path / "spam-1.1.0.mairust-plugin"), "--json")
    assert (other_version.code, other_version.json["trusted"]) == (0, True)


def test_verify_leaves_open_what_nobody_asked_for(run: Run, offers: Marketplace, tmp_path: Path) -> None:
    """A package of nobody whom the site knows, and one that no marketplace signed, are sound all the same."""
    stranger, own = tmp_path / "stranger.mairust-plugin", tmp_path / "own.mairust-plugin"
    stranger.write_bytes(made(manifest_text(ID), Signing(key=Marketplace().root)))
    own.write_bytes(made(manifest_text(ID)))
    for path, state in ((stranger, "open"), (own, "absent")):
        done = run("plugin", "verify", str(path), "--json")
        assert (done.code, marks(done)["marketplace"], done.json["trusted"]) == (0, state, False)


def test_verify_works_where_no_site_can_be_asked(run: Run, tmp_path: Path, home: Path) -> None:
    """None, or one whose configuration is wrong: that is told, and the rest is checked."""
    path = tmp_path / "spam.mairust-plugin"
    path.write_bytes(made(manifest_text(ID), Signing(key=Marketplace().root)))
    at = ("--data-dir", str(tmp_path / "nowhere"))
    done = run("plugin", "verify", str(path), "--json", *at)
    assert (done.code, done.stderr, done.json["trust_of"]) == (0, "", None)
    (tmp_path / "wrong.toml").write_text("[nonsense]\n")
    done = run("plugin", "verify", str(path), "--json", "--config", str(tmp_path / "wrong.toml"), *at)
    assert (done.code, done.json["trust_of"]) == (0, None)
    assert "is not known" in done.stderr
