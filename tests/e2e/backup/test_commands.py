"""`mairust backup` and `mairust restore` as people and cron run them: output, exit codes, servers, moves."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mairust_core.app import opened
from mairust_core.transfer.repository import Repository
from tests.e2e.backup.conftest import must
from tests.e2e.proof.disks import ran_in_namespace, small_disk
from tests.support import docs
from tests.support.invariants import check_site
from tests.support.postgres import PostgresServer
from tests.support.server import Server, Site, clean_environment, command_line
from tests.support.sites import ANN, BOB, Contents, contents_of, deliver, furnish, mail_of, make_site
from tests.support.users import POWERLESS, needs_setpriv_as_root


def run(site: Site, *arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    done = site.command(*arguments)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_under_cron_a_success_is_silent(site: Site, tmp_path: Path) -> None:
    """Nothing on either stream: no mail from cron."""
    assert run(site, "backup", tmp_path / "r") == (0, "", "")
    assert run(site, "backup", "verify", tmp_path / "r", "--read-data") == (0, "", "")
    assert run(site, "backup", "prune", tmp_path / "r", "--keep-last", 1, "--yes") == (0, "", "")


def test_the_documents_have_the_keys_of_the_contract(site: Site, tmp_path: Path) -> None:
    """Contract §8."""
    made = json.loads(must(site, "backup", tmp_path / "r", "--json"))
    assert {"snapshot", "messages", "objects_new", "bytes_new", "seconds"} <= made.keys()
    listed = json.loads(must(site, "backup", "list", tmp_path / "r", "--json"))
    assert [one["snapshot"] for one in listed["items"]] == [made["snapshot"]]
    assert listed["next_cursor"] is None
    verified = json.loads(must(site, "backup", "verify", tmp_path / "r", "--read-data", "--json"))
    assert (verified["damaged"], verified["snapshots"]) == ([], 1)
    pruned = json.loads(
        must(site, "backup", "prune", tmp_path / "r", "--keep-daily", 1, "--dry-run", "--json")
    )
    assert (pruned["kept"], pruned["dry_run"]) == ([made["snapshot"]], True)
    target = Site(directory=tmp_path / "restored")
    restored = json.loads(must(target, "restore", tmp_path / "r", "--json"))
    assert (restored["snapshot"], restored["accounts"]) == (made["snapshot"], 2)
    assert restored["messages"] == made["messages"]
    rehearsed = json.loads(must(site, "restore", tmp_path / "r", "--rehearse", "--json"))
    assert (rehearsed["differences"], rehearsed["messages"]) == ([], made["messages"])
    back = json.loads(must(site, "restore", tmp_path / "r", "--account", ANN, "--json"))
    assert (back["accounts"], back["failed"]) == (1, [])


def test_a_list_comes_in_pages(site: Site, tmp_path: Path) -> None:
    """As every list."""
    for _ in range(3):
        must(site, "backup", tmp_path / "r")
    names = [
        one["snapshot"] for one in json.loads(must(site, "backup", "list", tmp_path / "r", "--json"))["items"]
    ]
    page = json.loads(must(site, "backup", "list", tmp_path / "r", "--limit", 2, "--json"))
    rest = json.loads(
        must(site, "backup", "list", tmp_path / "r", "--limit", 2, "--cursor", page["next_cursor"], "--json")
    )
    assert [one["snapshot"] for one in (*page["items"], *rest["items"])] == names
    assert rest["next_cursor"] is None


def test_refusals_have_their_exit_codes(site: Site, tmp_path: Path) -> None:
    """Each says what and how to mend it, in one line."""
    must(site, "backup", tmp_path / "r")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    (tmp_path / "passphrase").write_text("secret\n")
    cases: list[tuple[tuple[object, ...], int]] = [
        (("backup", "list", tmp_path / "nowhere"), 4),
        (("backup", tmp_path / "other"), 5),
        (("backup", tmp_path / "r", "--passphrase-file", tmp_path / "passphrase"), 5),
        (("backup", tmp_path / "r", "--passphrase-file", tmp_path / "none"), 2),
        (("backup", "prune", tmp_path / "r", "--yes"), 2),
        (("backup", "prune", tmp_path / "r", "--keep-last", 1), 2),
        (("backup", "verify", tmp_path / "r", "--subset", "200%"), 2),
        (("restore", tmp_path / "nowhere", "--yes"), 4),
        (("restore", tmp_path / "r", "--yes"), 5),
        (("restore", tmp_path / "r"), 5),
        (("restore", tmp_path / "r", "--snapshot", "1999", "--yes"), 4),
        (("restore", tmp_path / "r", "--mailbox", "INBOX", "--yes"), 2),
        (("restore", tmp_path / "r", "--account", "nobody@example.org", "--yes"), 4),
        (("restore", tmp_path / "r", "--rehearse", "--account", ANN), 2),
        (("restore", tmp_path / "r", "--rehearse", "--skip-damaged"), 2),
    ]
    for arguments, code in cases:
        found, out, err = run(site, *arguments)
        assert (found, out) == (code, ""), (arguments, err)
        assert err.startswith("mairust: error: "), arguments
        assert err.count("\n") == 1, arguments
    assert run(Site(directory=tmp_path / "none"), "backup", tmp_path / "r")[0] == 78


def test_two_at_once_do_not_meet(site: Site, tmp_path: Path) -> None:
    """The second ends with 75 and says so; the first is not disturbed."""
    must(site, "backup", tmp_path / "r")
    with Repository.open(tmp_path / "r").writing():
        code, _, err = run(site, "backup", tmp_path / "r")
        assert code == 75
        assert "at work" in err
        assert run(site, "backup", "verify", tmp_path / "r")[0] == 0
        assert run(site, "backup", "prune", tmp_path / "r", "--keep-last", 1, "--yes")[0] == 75
    assert run(site, "backup", tmp_path / "r")[0] == 0


def test_a_flipped_byte_is_found_and_named(site: Site, tmp_path: Path) -> None:
    """By `verify --read-data`, exit 1; a restore refuses, and without it brings back the rest with 3."""
    must(site, "backup", tmp_path / "r")
    repository = Repository.open(tmp_path / "r")
    with site.opened() as here:
        data = sorted(mail_of(here).values(), key=len)[0]
    sha256 = hashlib.sha256(data).hexdigest()
    pack, entry = repository.index.find(bytes.fromhex(sha256))
    path = repository.pack_path(pack)
    damaged = bytearray(path.read_bytes())
    damaged[entry.offset + entry.stored_bytes - 5] ^= 0x10
    path.write_bytes(damaged)
    code, _, err = run(site, "backup", "verify", tmp_path / "r", "--read-data")
    assert code == 1
    assert sha256 in err
    target = Site(directory=tmp_path / "restored")
    code, _, err = run(target, "restore", tmp_path / "r", "--yes")
    assert code == 1
    assert sha256 in err
    code, _, err = run(target, "restore", tmp_path / "r", "--yes", "--skip-damaged")
    assert code == 3
    assert sha256 in err


def test_an_account_whose_rows_are_damaged_is_named(site: Site, tmp_path: Path) -> None:
    """By its address, whether a site is restored without it or its mail is added."""
    snapshot = json.loads(must(site, "backup", tmp_path / "r", "--json"))["snapshot"]
    repository = Repository.open(tmp_path / "r")
    (bob,) = (one for one in repository.read_snapshot(snapshot).accounts if one.address == BOB)
    pack, entry = repository.index.find(bytes.fromhex(bob.objects[0]))
    path = repository.pack_path(pack)
    damaged = bytearray(path.read_bytes())
    damaged[entry.offset + entry.stored_bytes - 5] ^= 0x10
    path.write_bytes(damaged)
    target = Site(directory=tmp_path / "restored")
    code, _, err = run(target, "restore", tmp_path / "r", "--yes", "--skip-damaged")
    assert (code, f"the account {BOB} is lost" in err) == (3, True), err
    code, _, err = run(site, "restore", tmp_path / "r", "--account", BOB, "--yes", "--skip-damaged")
    assert (code, f"rows of the account {BOB} are damaged" in err) == (3, True), err
    assert "mail " + bob.objects[0] not in err


def test_doctor_and_status_know_what_became_of_it(site: Site, tmp_path: Path) -> None:
    """None; then one, whole; then a flipped bit, which `verify` found here or through a server."""

    def findings() -> set[str]:
        found = json.loads(run(site, "doctor", "--json")[1])["findings"]
        return {one["id"] for one in found if one["id"].startswith("backup.")}

    assert findings() == {"backup.none"}
    assert "never yet" in run(site, "status")[1].partition("Backup")[2].splitlines()[0]
    must(site, "backup", tmp_path / "r")
    assert findings() == set()
    must(site, "backup", "verify", tmp_path / "r", "--read-data")
    told = json.loads(must(site, "status", "--json"))["backups"]
    assert told["last"]["repository"] == str(tmp_path / "r")
    assert (told["verified"], told["last"]["verified_percent"]) == ([told["last"]], 100)
    pack = max((tmp_path / "r" / "packs").glob("??/*"), key=lambda path: path.stat().st_size)
    data = bytearray(pack.read_bytes())
    data[200] ^= 1
    pack.write_bytes(data)
    assert run(site, "backup", "verify", tmp_path / "r", "--read-data")[0] == 1
    assert findings() == {"backup.damaged"}
    assert "are damaged" in run(site, "status")[1]
    assert "壊れています" in run(site, "status", "--lang", "ja")[1]
    pack.unlink()
    must(site, "backup", tmp_path / "r")
    with Server(site=site, http="127.0.0.1:0") as server:
        there = Site(directory=tmp_path / "client")
        at = ("--server", f"http://{server.ready['http']}", "--token-file", site.directory / "admin.token")
        assert run(there, *at, "backup", "verify", tmp_path / "r", "--read-data") == (0, "", "")
    assert findings() == set()


def test_damage_of_a_copy_or_of_the_config_is_known_as_what_it_is(site: Site, tmp_path: Path) -> None:
    """A whole copy heals nothing; a repository that cannot even be opened is no whole one."""

    def damaged() -> int:
        (told,) = json.loads(must(site, "status", "--json"))["backups"]["verified"]
        return int(told["verify_damaged"])

    must(site, "backup", tmp_path / "r")
    shutil.copytree(tmp_path / "r", tmp_path / "copy")
    config = tmp_path / "r" / "config"
    whole = config.read_bytes()
    config.write_bytes(whole.replace(b'"format": 1', b'"format": 2'))
    code, _, err = run(site, "backup", "verify", tmp_path / "r")
    assert "config" in err
    assert (code, damaged()) == (1, 1), err
    assert run(site, "backup", "verify", tmp_path / "copy", "--read-data") == (0, "", "")
    assert damaged() == 1
    config.write_bytes(whole)
    assert run(site, "backup", "verify", tmp_path / "r") == (0, "", "")
    assert damaged() == 0


@needs_setpriv_as_root
def test_a_directory_without_permission_is_told_and_not_called_missing(site: Site, tmp_path: Path) -> None:
    """Nor is each pack in it; and the site knows that something is wrong."""
    must(site, "backup", tmp_path / "r")
    (tmp_path / "r" / "packs").chmod(0)
    try:
        done = subprocess.run(
            [*POWERLESS, *command_line(site, "backup", "verify", tmp_path / "r", "--json")],
            env=clean_environment(), capture_output=True, check=False,
        )  # fmt: skip
    finally:
        (tmp_path / "r" / "packs").chmod(0o700)
    assert done.returncode == 1, done.stderr
    kinds = {(one["kind"], one["name"]) for one in json.loads(done.stdout)["damaged"]}
    assert ("directory", "packs") in kinds
    assert not any(kind in {"pack", "object"} for kind, _ in kinds)
    assert b"missing" not in done.stdout
    (told,) = json.loads(must(site, "status", "--json"))["backups"]["verified"]
    assert told["verify_damaged"] == len(kinds)


@needs_setpriv_as_root
@pytest.mark.parametrize("shut", ["site/backup", "r", "r/packs"])
def test_a_backup_names_what_it_may_not_use(site: Site, tmp_path: Path, shut: str) -> None:
    """The site's own directory is not called the repository."""
    must(site, "backup", tmp_path / "r")
    must(site, "account", "add", "new@example.org")
    path = site.directory / "backup" if shut == "site/backup" else tmp_path / shut
    path.mkdir(exist_ok=True)
    path.chmod(0)
    try:
        done = subprocess.run(
            [*POWERLESS, *command_line(site, "backup", tmp_path / "r")],
            env=clean_environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        path.chmod(0o700)
    assert done.returncode == 75
    assert str(path) in done.stderr
    assert ("repository" in done.stderr) is (shut != "site/backup")


def test_a_repository_can_be_verified_where_no_site_is(site: Site, tmp_path: Path) -> None:
    """Or another one: nobody is told, and nothing is said. A server that is away is told of."""
    must(site, "backup", tmp_path / "r")
    other = Site(directory=tmp_path / "other")
    assert run(other, "backup", "verify", tmp_path / "r") == (0, "", "")
    assert not other.directory.exists()
    must(other, "init")
    assert run(other, "backup", "verify", tmp_path / "r") == (0, "", "")
    at = ("--server", "http://127.0.0.1:9", "--token-file", site.directory / "admin.token")
    code, out, err = run(other, *at, "backup", "verify", tmp_path / "r")
    assert (code, out) == (0, "")
    assert "does not know of this result" in err


def test_over_a_server_it_is_the_same_backup(site: Site, tmp_path: Path) -> None:
    """A site that runs elsewhere: fetched whole, then only what is lacking; mail put back through it."""
    token = site.directory / "admin.token"
    with Server(site=site, http="127.0.0.1:0") as server:
        there = Site(directory=tmp_path / "client")
        at = ("--server", f"http://{server.ready['http']}", "--token-file", token)
        first = json.loads(must(there, *at, "backup", tmp_path / "r", "--json"))
        second = json.loads(must(there, *at, "backup", tmp_path / "r", "--json"))
        assert (first["messages"], second["objects_new"]) == (45, 0)
        back = json.loads(must(there, *at, "restore", tmp_path / "r", "--account", ANN, "--yes", "--json"))
        assert back["messages"] == 42, "all of Ann's"
        code, _, err = run(there, *at, "restore", tmp_path / "r", "--yes")
        assert code == 2, err
        assert "on its machine" in err
        done = subprocess.run(
            command_line(there, "restore", tmp_path / "r", "--yes"),
            env=clean_environment({**there.environment, "MAIRUST_SERVER": at[1]}),
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 2, "nobody meant this machine"
    assert not there.directory.exists(), "nothing of a site is made on the client"
    restored = Site(directory=tmp_path / "restored")
    must(restored, "restore", tmp_path / "r", "--snapshot", first["snapshot"], "--yes")
    assert json.loads(must(site, "message", "list", "--account", ANN, "--all", "--json"))["items"]
    assert check_site(site.settings()) == []
    assert len(contents_of(restored.settings()).mail) == 45


def test_an_encrypted_backup_carries_all_it_needs(site: Site, tmp_path: Path) -> None:
    """Its passphrase is enough to restore it, the master key with it (rule I3)."""
    (tmp_path / "passphrase").write_text("correct horse battery staple\n")
    key = ("--passphrase-file", tmp_path / "passphrase")
    must(site, "backup", tmp_path / "r", *key)
    master = (site.directory / "master.key").read_bytes()
    target = Site(directory=tmp_path / "restored")
    must(target, "restore", tmp_path / "r", "--yes", *key)
    assert (target.directory / "master.key").read_bytes() == master
    assert contents_of(target.settings()).mail == contents_of(site.settings()).mail
    assert run(site, "backup", "list", tmp_path / "r")[0] == 77
    assert run(site, "backup", tmp_path / "r")[0] == 77
    (tmp_path / "passphrase").write_text("wrong\n")
    assert run(site, "backup", "list", tmp_path / "r", *key)[0] == 77


def test_a_site_moves_to_postgresql_by_a_pair_of_commands(
    site: Site, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """And back, and is the same both times."""
    name = postgres_server.create_database()
    moved = Site(directory=tmp_path / "moved", database=postgres_server.dsn(name))
    must(site, "backup", tmp_path / "r")
    must(moved, "init")
    must(moved, "restore", tmp_path / "r", "--master-key", site.directory / "master.key", "--yes")
    before = contents_of(site.settings())
    assert contents_of(moved.settings()).mail == before.mail
    assert (moved.directory / "master.key").read_bytes() == (site.directory / "master.key").read_bytes()
    must(moved, "backup", tmp_path / "r2")
    back = Site(directory=tmp_path / "back")
    must(back, "restore", tmp_path / "r2", "--yes")
    assert contents_of(back.settings()).mail == before.mail
    assert contents_of(back.settings()).facts == before.facts
    assert [*map(check_site, (moved.settings(), back.settings()))] == [[], []]
    postgres_server.drop_database(name)


def test_the_script_of_the_specification_reads_a_backup(site: Site, tmp_path: Path) -> None:
    """Run as it stands in docs/reference/backup-format.md, with nothing of MaiRust."""
    must(site, "backup", tmp_path / "r")
    (block,) = docs.blocks(docs.CHECKOUT / "docs" / "reference" / "backup-format.md", "python")
    (tmp_path / "script.py").write_text(block.text)
    done = subprocess.run(
        [sys.executable, "-I", tmp_path / "script.py", tmp_path / "r", tmp_path / "out"],
        env={"PATH": os.environ["PATH"]},
        cwd=tmp_path,
        capture_output=True,
        check=True,
        text=True,
    )
    with opened(site.settings()) as here:
        mail = mail_of(here)
        rows = Contents.of(here.storage).mail
    printed = {tuple(line.rsplit(" ", 2)) for line in done.stdout.splitlines()}
    assert printed == {(f"{row[0]} {row[1]}", str(row[2]), row[5].hex()) for row in rows}
    for data in mail.values():
        assert (tmp_path / "out" / hashlib.sha256(data).hexdigest()).read_bytes() == data


def test_a_full_disk_of_the_repository_can_be_tried_again(
    request: pytest.FixtureRequest, site: Site, tmp_path: Path
) -> None:
    """75; what was written stays good, and when there is room the next run completes."""
    if ran_in_namespace(request, tmp_path):
        return
    with small_disk(tmp_path / "disk", 8 << 20) as disk:
        filler = disk.fill()
        code, _, err = run(site, "backup", disk.path / "r")
        assert code == 75, err
        assert "no room" in err
        filler.unlink()
        must(site, "backup", disk.path / "r")
        with opened(site.settings()) as here:
            deliver(here, ANN, os.urandom(900_000))
        filler = disk.fill()
        assert run(site, "backup", disk.path / "r")[0] == 75
        assert run(site, "backup", "verify", disk.path / "r", "--read-data")[0] == 0
        filler.unlink()
        must(site, "backup", disk.path / "r")
        assert run(site, "backup", "verify", disk.path / "r", "--read-data")[0] == 0


def test_a_full_disk_of_the_site_can_be_tried_again(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The rows of a backup, and a restore, need room in the data directory: 75, and nothing is half there."""
    if ran_in_namespace(request, tmp_path):
        return
    full = Site(directory=tmp_path / "full")
    make_site(full.settings())
    with opened(full.settings()) as here:
        furnish(here, 10)
        deliver(here, ANN, *(os.urandom(900_000) for _ in range(10)))
    must(full, "backup", tmp_path / "r")
    with small_disk(tmp_path / "disk", 6 << 20) as disk:
        target = Site(directory=disk.path / "site")
        code, _, err = run(target, "restore", tmp_path / "r", "--yes")
        assert (code, "restore it again" in err, "senders" in err) == (75, True, False), err
        shutil.rmtree(target.directory)
        done = subprocess.run(
            command_line(full, "restore", tmp_path / "r", "--rehearse"),
            env=clean_environment({"TMPDIR": str(disk.path)}), capture_output=True, check=False,
        )  # fmt: skip
        assert (done.returncode, b"TMPDIR" in done.stderr, b"senders" in done.stderr) == (75, True, False)
        assert [*disk.path.iterdir()] == []
        filler = disk.fill()
        code, _, err = run(target, "init")
        assert (code, "do it again" in err) == (75, True), err
        filler.unlink()
        shutil.rmtree(target.directory)
        make_site(target.settings())
        disk.fill()
        assert run(target, "backup", tmp_path / "r2")[0] == 75
        assert not (tmp_path / "r2" / "snapshots").exists() or not any((tmp_path / "r2/snapshots").iterdir())


def test_a_backup_loads_no_more_than_it_needs(site: Site, tmp_path: Path) -> None:
    """Over a server neither a database library nor a web framework."""
    with Server(site=site, http="127.0.0.1:0") as server:
        code = (
            "import sys; from mairust_cli.main import run;"
            "code = run(sys.argv[1:]);"
            "print(code, sorted(n for n in ('sqlalchemy', 'alembic', 'fastapi') if n in sys.modules))"
        )
        arguments = (
            "--server",
            f"http://{server.ready['http']}",
            "--token-file",
            site.directory / "admin.token",
        )
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments), "backup", str(tmp_path / "r"), "--quiet"],
            env=clean_environment(),
            capture_output=True,
            check=True,
            text=True,
        )
    assert done.stdout.strip() == "0 []"
    assert command_line(site)
