"""What the documents say is so: links, commands, settings, rooms, tables, and the files of `deploy/`."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

from mairust_core.config import load_settings
from mairust_core.config.schema import keys, sections
from mairust_core.deliver import EX_DATAERR, EX_NOUSER, EX_OK, EX_TEMPFAIL
from mairust_core.errors import Locked, StorageDown
from mairust_core.observe.faults import STEPS
from mairust_core.services.registry import SERVICES
from mairust_core.store.tables import metadata
from tests.support import docs
from tests.support.docs import CHECKOUT, README, Block
from tests.unit.test_layers import CORE, FLOORS

ARCHITECTURE = CHECKOUT / "docs" / "architecture.md"
DURABILITY = CHECKOUT / "docs" / "explanation" / "durability.md"
POSTFIX = CHECKOUT / "docs" / "how-to" / "behind-postfix.md"
DEPLOY = CHECKOUT / "deploy"
TOML = [block for page in docs.documents() for block in docs.blocks(page, "toml")]

_SETTING = re.compile(rf"({'|'.join(map(re.escape, sorted(sections(), key=len, reverse=True)))})\.([a-z_]+)")
_VARIABLE = re.compile(r"MAIRUST_[A-Z0-9]+(?:__[A-Z0-9_]+)+")


@pytest.mark.parametrize("page", docs.documents(), ids=lambda page: f"{page.parent.name}/{page.name}")
def test_every_link_leads_somewhere(page: Path) -> None:
    """Files and headings that a page links to are there."""
    broken = []
    for link in docs.links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in docs.anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", docs.documents(), ids=lambda page: f"{page.parent.name}/{page.name}")
def test_every_command_in_a_block_exists(page: Path) -> None:
    """Commands and options of `mairust` in shell blocks are those of the program."""
    faults = [
        f"{block}: {fault}"
        for block in docs.blocks(page, "sh")
        for call in docs.mairust_calls(block.text)
        if (fault := docs.fault(call))
    ]
    assert faults == []


@pytest.mark.parametrize("page", docs.written_by_hand(), ids=lambda page: f"{page.parent.name}/{page.name}")
def test_every_command_in_the_prose_exists(page: Path) -> None:
    """So are those in backquotes."""
    calls = [call for code in docs.code_words(page) for call in docs.mairust_calls(code)]
    assert [fault for call in calls if (fault := docs.fault(call))] == []


def test_commands_are_found_where_they_stand() -> None:
    """Calls are seen behind pipes, assignments and sudo and in substitutions, and nothing else is."""
    script = 'A=1 sudo -u mairust /opt/bin/mairust x "$(mairust y --z)" | mairust v && echo mairust > mairust'
    assert sorted(docs.mairust_calls(script)) == [["v"], ["x", "X"], ["y", "--z"]]
    assert docs.fault(["domain", "ad"]) == "mairust domain has no command ad"
    assert docs.fault(["domain", "add", "--nonsense"]) == "mairust domain add has no option --nonsense"


def test_every_command_is_told_of() -> None:
    """Each command is in the reference, and each noun also where people read."""
    reference = (CHECKOUT / "docs/reference/cli.md").read_text("utf-8")
    prose = "".join(page.read_text("utf-8") for page in docs.written_by_hand())
    tree = docs.commands()
    assert [one.name for one in tree.walk() if f"# {one.name}\n" not in reference] == []
    assert [one.name for one in tree.children if one.name not in prose] == []


@pytest.mark.parametrize("page", docs.documents(), ids=lambda page: f"{page.parent.name}/{page.name}")
def test_every_setting_named_exists(page: Path) -> None:
    """`section.key` in backquotes and MAIRUST_SECTION__KEY anywhere are settings."""
    other = {op.id for kind in SERVICES for op in kind.operations.values()} | {step.name for step in STEPS}
    named = {code for code in docs.code_words(page) if _SETTING.fullmatch(code) and not code.endswith(".py")}
    named -= other
    variables = set(_VARIABLE.findall(page.read_text("utf-8"))) - {"MAIRUST_SECTION__KEY"}
    operations = {op.id for kind in SERVICES for op in kind.operations.values()}  # `jobs.show` is no setting
    assert named - keys().keys() - operations == set()
    assert variables - {key.variable for key in keys().values()} == set()


@pytest.mark.parametrize("block", TOML, ids=str)
def test_every_configuration_shown_is_valid(block: Block, tmp_path: Path) -> None:
    """A block of TOML is a configuration file that MaiRust reads."""
    file = tmp_path / "mairust.toml"
    file.write_text(block.text, "utf-8")
    assert load_settings(config_file=file, env={"HOME": str(tmp_path)}).config_file == file


def test_the_architecture_names_every_room() -> None:
    """A room that is added is described, and one that is gone is not."""
    text = ARCHITECTURE.read_text("utf-8")
    rooms = {path.name + "/" * path.is_dir() for path in CORE.iterdir() if path.name[:1] not in "_."}
    rooms.discard("py.typed")
    told = set(
        re.findall(r"`([a-z0-9_]+(?:/|\.py))`", text[text.index("## Rooms") : text.index("## Floors")])
    )
    assert told - {"mairust_cli/", "mairust_core/"} == rooms


def test_the_architecture_shows_the_floors_that_are_enforced() -> None:
    """The list under “Floors” is that of the layer test, line by line."""
    text = ARCHITECTURE.read_text("utf-8")
    shown = re.search(r"## Floors\n.*?```text\n(.*?)```", text, re.DOTALL)
    assert shown is not None
    assert tuple(frozenset(line.split()) for line in shown[1].splitlines()) == FLOORS


def test_the_architecture_names_every_table() -> None:
    """Each table of the schema has its line, and no other is there."""
    text = ARCHITECTURE.read_text("utf-8")
    told = re.findall(r"^\| `([a-z_]+)` \|", text[text.index("## Data") :], re.MULTILINE)
    assert sorted(told) == sorted(metadata.tables)


def test_the_steps_of_the_kill_tests_are_those_told() -> None:
    """Each crash point has its line in the proof's description, with its meaning, and no other is there."""
    told = re.findall(r"^\| `([a-z_.]+)` \| (.+) \|$", DURABILITY.read_text("utf-8"), re.MULTILINE)
    assert told == [*map(tuple, STEPS)]


def test_exit_codes_of_the_pipe_are_those_told() -> None:
    """The table for Postfix lists the codes that `deliver` exits with, and no other."""
    told = re.findall(r"^\| (\d+)[ |]", POSTFIX.read_text("utf-8"), re.MULTILINE)
    assert [*map(int, told)] == [EX_OK, EX_DATAERR, EX_NOUSER, EX_TEMPFAIL]


def test_the_readme_holds_two_commands() -> None:
    """The first starts a server; the second is the one line that `.ci/run` takes from there."""
    first, second = (block.text.rstrip("\n") for block in docs.blocks(README, "sh")[:2])
    picked = re.search(r"grep -m 1 -- '(.+)' README\.md", (CHECKOUT / ".ci/run").read_text("utf-8"))
    assert picked is not None
    assert [line for line in README.read_text("utf-8").splitlines() if re.search(picked[1], line)] == [second]
    assert first.endswith(" && .venv/bin/mairust serve")
    assert docs.blocks(docs.TUTORIAL, "sh")[0].text.rstrip("\n") == first


def test_the_configuration_of_deploy_is_valid(tmp_path: Path) -> None:
    """As it stands, and with everything in it that is commented out."""
    text = (DEPLOY / "mairust.toml.example").read_text("utf-8")
    file = tmp_path / "mairust.toml"
    for given in (text, re.sub(r"^# (?=[a-z_]+ = )", "", text, flags=re.MULTILINE)):
        file.write_text(given, "utf-8")
        settings = load_settings(config_file=file, env={})
        assert settings.data_dir == Path("/var/lib/mairust")
    assert settings.node.workers == 4


def test_the_unit_of_deploy_fits_the_server() -> None:
    """It starts a command that exists, waits for readiness, and longer than the server's grace period."""
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's names have capitals
    unit.read(DEPLOY / "mairust.service", "utf-8")
    service = unit["Service"]
    calls = [*docs.mairust_calls(service["ExecStart"])]
    assert [call[0] for call in calls] == ["serve"]
    assert docs.fault(calls[0]) is None
    assert service["Type"] == "notify"
    assert int(service["TimeoutStopSec"]) > load_settings(env={"HOME": "/"}).node.grace_s + 5
    assert service["StateDirectory"] == service["User"] == "mairust"
    assert (service["Restart"], unit["Unit"]["StartLimitIntervalSec"]) == ("on-failure", "0")
    assert str(StorageDown.exit_code) not in service["RestartPreventExitStatus"].split()


def test_the_backups_of_deploy_fit_the_program() -> None:
    """The commands of timer and cron exist, and both go to one repository, as the site's user."""
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's names have capitals
    unit.read([DEPLOY / "mairust-backup.service", DEPLOY / "mairust-backup.timer"], "utf-8")
    lines = (DEPLOY / "mairust-backup.cron").read_text("utf-8").splitlines()
    jobs = [line.split(maxsplit=6) for line in lines if not line.startswith("#")]
    calls = [*docs.mairust_calls(unit["Service"]["ExecStart"])]
    calls += [call for job in jobs for call in docs.mairust_calls(job[6])]
    assert [docs.fault(call) for call in calls] == [None] * 3
    assert {call[3] if call[3].startswith("/") else call[4] for call in calls} == {"/var/backups/mairust"}
    assert {job[5] for job in jobs} == {unit["Service"]["User"]} == {"mairust"}
    assert unit["Service"]["SuccessExitStatus"] == str(Locked.exit_code)
    assert unit["Timer"]["OnCalendar"]


def test_the_snippets_for_postfix_are_those_explained() -> None:
    """Every line of deploy/postfix is in the how-to, and the pipe's command exists."""
    explained = {line.strip().lstrip("#") for line in POSTFIX.read_text("utf-8").splitlines()}
    for name in ("main.cf.snippet", "master.cf.snippet"):
        lines = (DEPLOY / "postfix" / name).read_text("utf-8").splitlines()
        given = {line.strip().lstrip("#") for line in lines if line and not line.startswith("# ")}
        assert given <= explained, name
    pipe = re.search(r"argv=(.+)", (DEPLOY / "postfix/master.cf.snippet").read_text("utf-8"))
    assert pipe is not None
    (call,) = docs.mairust_calls(pipe[1])
    assert docs.fault(call) is None


@pytest.mark.parametrize("file", [POSTFIX, DEPLOY / "postfix" / "main.cf.snippet"], ids=lambda one: one.name)
def test_the_site_may_still_send_by_postfix(file: Path) -> None:
    """Its own machines and people are let through before others' mail to other domains is refused."""
    found = re.findall(r"^smtpd_recipient_restrictions = (.+)$", file.read_text("utf-8"), re.MULTILINE)
    assert found
    for line in found:
        order = line.split(", ")
        assert order[:2] == ["permit_mynetworks", "permit_sasl_authenticated"]
        assert order.index("reject_unauth_destination") < order.index("reject_unverified_recipient")
