"""Manual pages, completions and the reference are those of the commands there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from mairust_cli.generate import generated, main
from mairust_cli.outline import outline

CHECKOUT = Path(__file__).parents[3]
GENERATED = generated()


@pytest.mark.parametrize("name", sorted(GENERATED))
def test_a_generated_file_is_fresh(name: str) -> None:
    """`python -m mairust_cli.generate` would change nothing."""
    assert (CHECKOUT / name).read_text("utf-8") == GENERATED[name]


def test_no_manual_page_tells_of_a_command_that_is_gone() -> None:
    """The directory holds the pages of the commands and no other page of section 1."""
    there = {f"man/{path.name}" for path in (CHECKOUT / "man").glob("*.1")}
    assert there == {name for name in GENERATED if name.startswith("man/")}


def test_the_same_commands_give_the_same_files(tmp_path: Path) -> None:
    """Written twice, by another process or day, they are equal; pages of commands that are gone go."""
    (tmp_path / "man").mkdir()
    (tmp_path / "man/mairust-gone.1").write_text("old")
    assert main([str(tmp_path)]) == 0
    written = {str(p.relative_to(tmp_path)): p.read_text() for p in tmp_path.rglob("*") if p.is_file()}
    assert written == GENERATED


@pytest.mark.parametrize("name", sorted(name for name in GENERATED if name.startswith("man/")))
def test_a_manual_page_is_plain_roff(name: str) -> None:
    """Known macros only, no control line by accident, no straight quote or hyphen that roff would bend."""
    macros = {".TH", ".SH", ".PP", ".TP", ".B", ".EX", ".EE"}
    for line in GENERATED[name].splitlines():
        assert not line.startswith("'")
        assert not line.startswith(".") or line.split()[0] in macros


def test_the_reference_tells_every_command_and_option() -> None:
    """So does each manual page of its own."""
    page = GENERATED["docs/reference/cli.md"]
    for one in outline().walk():
        assert f"# {one.name}\n" in page
        for option in one.options:
            assert option.names[-1] in page
