"""The fixed shape of a command's docstring."""

from __future__ import annotations

from mairust_cli.help_text import parse


def test_a_docstring_has_summary_text_exit_status_and_examples() -> None:
    """Each part is found, and wrapped lines are joined except those of examples."""
    text = parse(
        """Do a thing.

        It does it
        at once.

        Exit status: 0 done; 5 it
        was done.

        Examples:
          mairust thing do
          mairust thing do --json
        """
    )
    assert text.summary == "Do a thing."
    assert text.paragraphs == ("It does it at once.",)
    assert text.exits == "0 done; 5 it was done."
    assert text.examples == ("mairust thing do", "mairust thing do --json")


def test_a_summary_alone_is_enough() -> None:
    """Groups have one line."""
    text = parse("Manage things.")
    assert (text.summary, text.paragraphs, text.exits, text.examples) == ("Manage things.", (), "", ())
