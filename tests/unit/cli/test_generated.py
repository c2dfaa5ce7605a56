"""Manual pages, completions and the reference are those of the commands there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from mairust_cli.generate import generated, main
from tests.support.docs import CHECKOUT, commands


@pytest.fixture(scope="module", name="made")
def fixture_made() -> dict[str, str]:
    """Every generated file, from the commands as they are."""
    return generated()


def test_every_generated_file_is_fresh(made: dict[str, str]) -> None:
    """`python -m mairust_cli.generate` would change nothing."""
    for name, content in made.items():
        assert (CHECKOUT / name).read_text("utf-8") == content, name


def test_no_manual_page_tells_of_a_command_that_is_gone(made: dict[str, str]) -> None:
    """The directory holds the pages of the commands and no other page of section 1."""
    there = {f"man/{path.name}" for path in (CHECKOUT / "man").glob("*.1")}
    assert there == {name for name in made if name.startswith("man/")}


def test_the_same_commands_give_the_same_files(made: dict[str, str], tmp_path: Path) -> None:
    """Written twice, by another process or day, they are equal; pages of commands that are gone go."""
    (tmp_path / "man").mkdir()
    (tmp_path / "man/mairust-gone.1").write_text("old")
    assert main([str(tmp_path)]) == 0
    written = {str(p.relative_to(tmp_path)): p.read_text() for p in tmp_path.rglob("*") if p.is_file()}
    assert written == made


def test_a_manual_page_is_plain_roff(made: dict[str, str]) -> None:
    """Known macros only, no control line by accident, no straight quote or hyphen that roff would bend."""
    macros = {".TH", ".SH", ".PP", ".TP", ".B", ".EX", ".EE"}
    for name, content in made.items():
        for line in content.splitlines() if name.startswith("man/") else ():
            assert not line.startswith("'"), name
            assert not line.startswith(".") or line.split()[0] in macros, name


def test_the_reference_tells_every_command_and_option(made: dict[str, str]) -> None:
    """So does each manual page of its own."""
    page = made["docs/reference/cli.md"]
    for one in commands().walk():
        assert f"# {one.name}\n" in page
        for option in one.options:
            assert option.names[-1] in page
