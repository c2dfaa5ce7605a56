"""Every example of the help runs as it stands: those with a pipe or a redirection through a shell.

The others run in this process, which is what a shell would start, ten times as fast.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from mairust_cli.outline import outline
from mairust_core.app import opened
from mairust_core.model.job import NewJob
from mairust_core.services.plugins import Plugins
from tests.integration.cli.conftest import make_sources
from tests.support import door
from tests.support.answering import http_plugin
from tests.support.command_line import TIMEOUT_S, Ran, Run, environment, process
from tests.support.jobs import enqueue, kill
from tests.support.linking import TESTER, allow_unsigned, http_text, link, write
from tests.support.packages import publish
from tests.support.packaging import offer, taken_in
from tests.support.stores import settings_for

RUN_ELSEWHERE = {"serve"}  # runs until it is stopped: tests/e2e does
EXAMPLES = [
    (one.path, example)
    for one in outline().walk()
    if one.path and one.path[0] not in RUN_ELSEWHERE
    for example in one.text.examples
]
ON_FILES = {"new", "lint", "pack", "sign", "verify"}
KEY_ID = "0123456789abcdef"
JOB_ID = "731824090112"
TOKEN_ID = "pt_0123456789abcdef0123"


def shell(directory: Path, home: Path, line: str, site: Path) -> Ran:
    """Run a line in a directory, with `mairust` on the path."""
    tools = directory / "bin"
    tools.mkdir(exist_ok=True)
    door.script(tools)
    extra = {"MAIRUST_DATA_DIR": str(site), "PATH": f"{tools}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", line],
        env=environment(home, extra),
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    return Ran(code=done.returncode, stdout=done.stdout, stderr=done.stderr.decode())


def words_of(line: str) -> list[str] | None:
    """The arguments of a line that is one call of `mairust` and nothing else; None for any other."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    program, *words = lexer
    alone = program == "mairust" and not any(set(word) <= set(lexer.punctuation_chars) for word in words)
    return words if alone else None


def prepare(path: tuple[str, ...], run: Run, site: Path, mail: Path) -> dict[str, str]:
    """What the examples of a command take for granted; the ids that stand for their placeholders."""
    ids = {}
    if path == ("domain", "remove"):
        assert run("domain", "add", "example.com").code == 0
    if path[0] == "alias":
        assert run("alias", "add", "sales@example.org", "--to", "ann@example.org").code == 0
    if path[0] in {"backup", "restore"} and path != ("backup", "create"):
        assert run("backup", str(mail.parent / "backup")).code == 0
    if (path[0] == "mailbox" and path[1] in {"rename", "delete"}) or path == ("message", "move"):
        assert run("mailbox", "create", "Work", "--account", "ann@example.org").code == 0
    if path == ("trace",) or (path[0] == "message" and path[1] not in {"append", "list"}):
        added = run("message", "append", str(mail), "--account", "ann@example.org", "--json")
        ids[r"\bID\b"] = added.json["id"]
    if path[0] == "import":
        make_sources(site.parent)
    if path == ("token", "revoke"):
        issued = run("token", "create", "--name", "t", "--scope", "read", "--json")
        ids[KEY_ID] = issued.json["token"]["id"]
    if path[0] == "job" and len(path) > 1:
        ids[JOB_ID] = make_job(site, dead=path[1] in {"retry", "discard"})
    return ids


def make_job(data_dir: Path, *, dead: bool) -> str:
    """A job of the site's; its id."""
    with opened(settings_for(data_dir)) as site:
        job_id = enqueue(site, NewJob(kind="gc"))
        if dead:
            kill(site, job_id)
        return job_id


OF_PACKAGES = {"install": (), "upgrade": ("1.0.0",), "rollback": ("1.0.0", "1.1.0")}
"""What commands on packages need to be there."""


def register(path: tuple[str, ...], site: Path, directory: Path, port: int) -> None:
    """The plugin com.example.spam, for commands on plugins and hooks: beside them, linked, or approved."""
    if not path or path[0] not in {"plugin", "hook", "key", "trust"}:
        return
    if path[0] == "trust" or (path[1:] and path[1] in OF_PACKAGES):
        with opened(settings_for(site)) as here:
            offer(directory.parent, here)
            taken_in(directory.parent, here, *OF_PACKAGES.get(path[1], ()))
        return
    if path[0] == "key" or (path[1:] and path[1] in ON_FILES):
        publish(directory.parent)
        return
    allow_unsigned(site)
    text = http_text("com.example.spam", port, "pre_receive")
    write(directory, text)
    if path != ("plugin", "link"):
        with opened(settings_for(site)) as here:
            link(here, directory, text)
            if path != ("plugin", "approve"):
                here.service(Plugins, TESTER).approve("com.example.spam")


@pytest.mark.parametrize(
    ("path", "example"), EXAMPLES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_an_example_of_the_help_works(
    path: tuple[str, ...],
    example: str,
    run: Run,
    home: Path,
    site: Path,
    mail: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a site with example.org, ann and bob, beside a mail.eml: exit 0."""
    monkeypatch.chdir(tmp_path)
    if path == ("trace",):
        delivered = process(
            home, "deliver", "ann@example.org", "--data-dir", str(site), stdin=mail.read_bytes()
        )
        assert delivered.code == 0
    for placeholder, value in prepare(path, run, site, mail).items():
        example = re.sub(placeholder, value, example)
    with http_plugin() as plugin:
        register(path, site, tmp_path / "spam", plugin.port)
        if TOKEN_ID in example:
            issued = run("plugin", "token", "create", "com.example.spam", "--scope", "metrics", "--json")
            example = example.replace(TOKEN_ID, issued.json["token"]["id"])
        words = words_of(example)
        # `deliver` guards its process before it is a command: only a process shows that.
        done = shell(tmp_path, home, example, site) if words is None or path == ("deliver",) else run(*words)
    assert done.code == 0, done.stderr
    if " --json" in example:
        assert done.json


def test_an_example_that_reads_a_pipe_stores_what_came(
    home: Path, site: Path, mail: Path, tmp_path: Path
) -> None:
    """Redirections of the examples carry bytes untouched."""
    assert shell(tmp_path, home, "mairust deliver ann@example.org < mail.eml", site).code == 0
    listed = process(
        home, "message", "list", "--account", "ann@example.org", "--json", "--data-dir", str(site)
    )
    id_ = listed.json["items"][0]["id"]
    assert shell(tmp_path, home, f"mairust message show {id_} --original > out.eml", site).code == 0
    assert (tmp_path / "out.eml").read_bytes().endswith(mail.read_bytes())
