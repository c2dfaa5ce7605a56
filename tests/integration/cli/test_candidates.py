"""What the shell offers of a site: names and ids, here and of a server, quickly, and never an error."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mairust_cli.candidates import find, options
from mairust_core.app import opened
from mairust_core.config import load_settings
from mairust_core.first_run import create_site
from mairust_core.model.account import NewAccount
from mairust_core.model.domain import NewDomain
from mairust_core.model.job import NewJob
from mairust_core.model.principal import Principal
from mairust_core.operations import BytesIn
from mairust_core.services.accounts import Accounts
from mairust_core.services.domains import Domains
from mairust_core.services.messages import Messages
from tests.integration.cli.test_completion import SCRIPT
from tests.support.command_line import CHECKOUT, TIMEOUT_S, Run, environment, process
from tests.support.http_server import running
from tests.support.jobs import change, enqueue, kill
from tests.support.postgres import PostgresServer


def complete(home: Path, *arguments: str, extra: dict[str, str] | None = None) -> list[str]:
    """What `mairust --complete` prints."""
    done = process(home, "--complete", *arguments, extra=extra)
    assert (done.code, done.stderr) == (0, "")
    return done.out.splitlines()


def test_names_and_ids_of_a_local_site(home: Path, site: Path, run: Run, mail: Path) -> None:
    """Those that begin with what is typed, in any case."""
    assert run("alias", "add", "sales@example.org", "--to", "ann@example.org").code == 0
    id_ = run("message", "append", str(mail), "--account", "ann@example.org", "--json").json["id"]
    issued = run("token", "create", "--name", "t", "--scope", "read", "--json").json["token"]["id"]
    at = ("--data-dir", str(site))
    assert complete(home, "domains", "", *at) == ["example.org"]
    assert complete(home, "accounts", "", *at) == ["ann@example.org", "bob@example.org"]
    assert complete(home, "accounts", "AN", *at) == ["ann@example.org"]
    assert complete(home, "aliases", "s", *at) == ["sales@example.org"]
    assert complete(home, "mailboxes", "", "message", "list", "--account=ann@example.org", *at) == ["INBOX"]
    assert complete(home, "messages", id_[:5], *at) == [id_]
    assert complete(home, "deleted", "", *at) == complete(home, "jobs", "", *at) == []
    assert issued in complete(home, "tokens", "", *at)
    assert complete(home, "tokens", issued[:8], *at) == [issued]


def test_nothing_is_said_when_nothing_can_be_found(home: Path, tmp_path: Path) -> None:
    """No site, a broken one, an unknown kind, a server that is not there, words that make no sense."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "mairust.db").write_bytes(b"no database" * 100)
    for arguments in (
        ("accounts", "", "--data-dir", str(tmp_path / "nowhere")),
        ("accounts", "", "--data-dir", str(broken)),
        ("accounts", "", "--config", str(tmp_path / "none.toml")),
        ("accounts", "", "--server", "http://127.0.0.1:9"),
        ("accounts", "", "--server", "http://mx.example.org"),
        ("planets", ""),
        ("accounts",),
        (),
    ):
        assert complete(home, *arguments, extra={"MAIRUST_TOKEN": "mk_x_y"}) == []


def test_trap_a5_what_is_typed_is_data(home: Path, site: Path) -> None:
    """Patterns and quotes find nothing, and harm nothing."""
    for prefix in ("%", "_nn", "' OR 1=1 --", '"', "\\"):
        assert complete(home, "accounts", prefix, "--data-dir", str(site)) == []
    assert complete(home, "accounts", "", "--data-dir", str(site)) != []


def test_options_are_found_among_the_words() -> None:
    """Wherever they stand, in either spelling; an unfinished one is empty."""
    words = ["--data-dir", "/a", "message", "list", "--account=x@y", "--config"]
    assert options(words) == {"--data-dir": "/a", "--account": "x@y", "--config": ""}


def test_completing_writes_nothing(home: Path, site: Path) -> None:
    """No byte of the data directory changes but SQLite's own index of its log."""
    before = {path: path.stat().st_mtime_ns for path in site.rglob("*") if not path.name.endswith("-shm")}
    complete(home, "accounts", "", "--data-dir", str(site))
    after = {path: path.stat().st_mtime_ns for path in site.rglob("*") if not path.name.endswith("-shm")}
    assert {p: m for p, m in after.items() if p.name not in {"mairust.db-wal", site.name}} == {
        p: m for p, m in before.items() if p.name not in {"mairust.db-wal", site.name}
    }


def test_completing_loads_nothing_heavy(home: Path, site: Path) -> None:
    """Neither the argument parser nor SQLAlchemy: each TAB pays for what is imported."""
    script = (
        "import sys; sys.argv = ['mairust', '--complete', 'accounts', '', '--data-dir', sys.argv[1]];"
        "from mairust_cli.entry import main; main();"
        "print({'typer', 'rich', 'sqlalchemy', 'pydantic', 'httpx', 'alembic', 'tomlkit'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(site)], env=environment(home), cwd=CHECKOUT, capture_output=True,
        check=True, text=True, timeout=TIMEOUT_S,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.fixture(params=["sqlite", "postgresql"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str | None]:
    """A site with one of each on each database, and its URL."""
    url = None
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.dsn(server.create_database())
    settings = load_settings(data_dir=tmp_path / "served", env={}, overrides={"database.url": url})
    create_site(settings, "tester")
    with opened(settings) as site:
        by = Principal.local("tester")
        site.service(Domains, by).add(NewDomain(name="example.org"))
        site.service(Accounts, by).add(NewAccount(address="Ann@example.org"))
        messages = site.service(Messages, by)
        for tags in (("Bill", "to pay"), ("Ärger",), ()):
            mail = BytesIn(chunks=[b"Subject: x\r\n\r\n"])
            made = messages.append("ann@example.org", mail, tag=tags)
        messages.delete(str(made.id))
        kill(site, enqueue(site, NewJob(kind="x")))
        done = enqueue(site, NewJob(kind="x"))
        change(site.storage, done, state="done", finished_ms=1)
    return settings.data_dir, url


def test_the_same_here_and_there(
    served: tuple[Path, str | None], monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    """A server is asked with the key that the command itself would use."""
    data_dir, url = served
    token_file = str(data_dir / "admin.token")
    with running(data_dir, url) as http:
        if url:
            monkeypatch.setenv("MAIRUST_DATABASE__URL", url)
        for kind, prefix in (
            ("domains", "ex"),
            ("accounts", "ann"),
            ("mailboxes", ""),
            ("messages", ""),
            ("deleted", ""),
            ("tags", ""),
            ("tags", "bi"),
            ("jobs", ""),
            ("tokens", ""),
        ):
            words = ["--data-dir", str(data_dir), "--account", "ann@example.org"]
            here = find(kind, prefix, words)
            there = find(kind, prefix, [*words, "--server", http.url, "--token-file", token_file])
            if kind == "messages":  # of everybody: those in the trash too
                there = [*find("deleted", "", words), *there]
            assert here == there != []


def test_what_an_account_has_is_found_by_a_message_of_it(
    served: tuple[Path, str | None], monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    """`message move ID --to` names no account; of an unknown message nothing is offered."""
    data_dir, url = served
    if url:
        monkeypatch.setenv("MAIRUST_DATABASE__URL", url)
    local = ["--data-dir", str(data_dir)]
    with running(data_dir, url) as http:
        remote = [*local, "--server", http.url, "--token-file", str(data_dir / "admin.token")]
        id_ = find("messages", "", local)[0]
        for words in (local, remote):
            assert find("mailboxes", "", ["message", "move", id_, *words]) == ["INBOX"]
            assert find("tags", "", ["message", "tag", id_, *words]) == ["Bill", "to pay", "Ärger"]
            assert find("tags", "", ["message", "tag", *words]) == []
        assert find("tags", "", ["message", "tag", "4711", *local]) == []


ASK = """
source {script}
COMP_LINE={line}
COMP_POINT=${{#COMP_LINE}}
COMP_WORDBREAKS=$' \\t\\n"\\'@><=;|&(:'
read -ra COMP_WORDS <<< "$COMP_LINE"
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_mairust
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mairust account show ", ["ann@example.org", "bob@example.org"]),
        ("mairust account show b", ["bob@example.org"]),
        ("mairust account show ann@", ["example.org"]),
        ("mairust --data-dir {site} domain remove ex", ["example.org"]),
        ("mairust message list --account ann@example.org --mailbox I", ["INBOX"]),
        ("mairust message list --account a", ["ann@example.org"]),
        ("mairust account add a", []),
        ("mairust mailbox delete --account ann@example.org I", ["INBOX"]),
        ("mairust message tag --account ann@example.org --add ", []),
        ("mairust alias add x@example.org --to b", ["bob@example.org"]),
        ("mairust job list --state d", ["done", "dead"]),
        ("mairust deliver bob@example.org ann", ["ann@example.org"]),
    ],
)
def test_bash_asks_for_what_stands_in_the_site(
    site: Path, tmp_path: Path, line: str, expected: list[str]
) -> None:
    """Also behind the @ at which readline splits words."""
    tool = tmp_path / "bin" / "mairust"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m mairust_cli.entry "$@"\n')
    tool.chmod(0o700)
    asked = ASK.format(script=shlex.quote(str(SCRIPT)), line=shlex.quote(line.format(site=site)))
    done = subprocess.run(
        ["bash", "-c", asked],
        env=environment(tmp_path, {"PATH": f"{tool.parent}:/usr/bin:/bin", "MAIRUST_DATA_DIR": str(site)}),
        capture_output=True, text=True, check=True, timeout=TIMEOUT_S,
    )  # fmt: skip
    assert done.stderr == ""
    found = [one for one in done.stdout.splitlines() if one]
    assert [one for one in found if not one.startswith("-")] == expected
