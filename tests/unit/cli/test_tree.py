"""Every command: found, described, and open to the global options."""

from __future__ import annotations

import pytest

from mairust_cli.outline import Outline
from mairust_cli.tree import COMMANDS, load
from tests.support.docs import commands

GLOBAL = {
    "--config", "--data-dir", "--server", "--token-file", "--ca-file",
    "--json", "--quiet", "--verbose", "--lang", "--version", "-h", "--help",
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_of_the_root_help_is_the_first_of_the_command(name: str) -> None:
    """The help of `mairust` imports no command; what it says of each is still true."""
    assert load(name).help_text.summary == COMMANDS[name]


@pytest.fixture
def everything() -> list[Outline]:
    """Every command and every group."""
    return list(commands().walk())


@pytest.fixture
def leaves(everything: list[Outline]) -> list[Outline]:
    """What can be run."""
    return [one for one in everything if not one.children]


def option_names(one: Outline) -> list[str]:
    """Those of its own options."""
    return [name for option in one.options for name in option.names]


def test_every_command_takes_the_global_options(everything: list[Outline]) -> None:
    """All of them, under the same names, and no option of its own hides one."""
    for one in everything:
        assert {name for option in one.global_options for name in option.names} == GLOBAL, one.name
        own = option_names(one)
        assert len(own) == len(set(own)), one.name
        assert not GLOBAL & set(own), one.name


def test_every_command_and_parameter_is_described(everything: list[Outline]) -> None:
    """The summary is one imperative line; every argument and option says what it is."""
    for one in everything:
        assert one.text.summary.endswith("."), one.name
        assert one.text.summary[0].isupper(), one.name
        assert len(one.text.summary) <= 80, one.name
        for param in (*one.arguments, *one.options, *one.global_options):
            assert param.text.rstrip().endswith("."), (one.name, param)


def test_every_command_says_how_it_ends(leaves: list[Outline]) -> None:
    """Its exit statuses, the good one first; a script needs nothing else to know what happened."""
    assert [one.name for one in leaves if not one.text.exits.startswith("0 ")] == []


def test_every_command_has_examples_of_itself(leaves: list[Outline]) -> None:
    """The examples that another test runs."""
    assert [one.name for one in leaves if not one.text.examples] == []
    strange = [(one.name, said) for one in leaves for said in one.text.examples if one.name not in said]
    assert strange == []


def test_every_list_can_be_paged(leaves: list[Outline]) -> None:
    """Contract §1: `--limit`, `--cursor`, `--all`."""
    lists = [one for one in leaves if one.path[-1] == "list"]
    assert lists
    assert [one.name for one in lists if not {"--limit", "--cursor", "--all"} <= {*option_names(one)}] == []


def test_every_removal_can_be_confirmed_beforehand(leaves: list[Outline]) -> None:
    """Contract §1: destructive commands need `--yes` where nobody can be asked."""
    removals = [one for one in leaves if one.path[-1] in {"remove", "delete"}]
    assert removals
    assert [one.name for one in removals if "--yes" not in option_names(one)] == []
