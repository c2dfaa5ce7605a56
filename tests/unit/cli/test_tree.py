"""Every command: found, described, and open to the global options."""

from __future__ import annotations

import pytest

from mairust_cli.outline import Outline, outline
from mairust_cli.tree import COMMANDS, load

EVERYTHING = list(outline().walk())
LEAVES = [one for one in EVERYTHING if not one.children]
GLOBAL = {
    "--config", "--data-dir", "--server", "--token-file", "--ca-file",
    "--json", "--quiet", "--verbose", "--lang", "--version", "-h", "--help",
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_of_the_root_help_is_the_first_of_the_command(name: str) -> None:
    """The help of `mairust` imports no command; what it says of each is still true."""
    assert load(name).help_text.summary == COMMANDS[name]


@pytest.mark.parametrize("one", EVERYTHING, ids=lambda one: one.name)
def test_every_command_takes_the_global_options(one: Outline) -> None:
    """All of them, under the same names, and no option of its own hides one."""
    assert {name for option in one.global_options for name in option.names} == GLOBAL
    own = [name for option in one.options for name in option.names]
    assert len(own) == len(set(own))
    assert not GLOBAL & set(own)


@pytest.mark.parametrize("one", EVERYTHING, ids=lambda one: one.name)
def test_every_command_and_parameter_is_described(one: Outline) -> None:
    """The summary is one imperative line; every argument and option says what it is."""
    assert one.text.summary.endswith(".")
    assert one.text.summary[0].isupper()
    assert len(one.text.summary) <= 80
    for param in (*one.arguments, *one.options, *one.global_options):
        assert param.text.rstrip().endswith("."), param


@pytest.mark.parametrize("one", LEAVES, ids=lambda one: one.name)
def test_every_command_says_how_it_ends(one: Outline) -> None:
    """Its exit statuses, the good one first; a script needs nothing else to know what happened."""
    assert one.text.exits.startswith("0 "), one.name


@pytest.mark.parametrize("one", LEAVES, ids=lambda one: one.name)
def test_every_command_has_examples_of_itself(one: Outline) -> None:
    """The examples that another test runs."""
    assert one.text.examples
    assert all(f"{one.name}" in example for example in one.text.examples)


@pytest.mark.parametrize("one", [one for one in LEAVES if one.path[-1] == "list"], ids=lambda one: one.name)
def test_every_list_can_be_paged(one: Outline) -> None:
    """Contract §1: `--limit`, `--cursor`, `--all`."""
    assert {"--limit", "--cursor", "--all"} <= {name for option in one.options for name in option.names}


@pytest.mark.parametrize(
    "one", [one for one in LEAVES if one.path[-1] in {"remove", "delete"}], ids=lambda one: one.name
)
def test_every_removal_can_be_confirmed_beforehand(one: Outline) -> None:
    """Contract §1: destructive commands need `--yes` where nobody can be asked."""
    assert "--yes" in {name for option in one.options for name in option.names}
