"""The documents as data: code blocks, links, and the calls of `mairust` in them against its commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from mairust_cli.outline import Outline, Parameter, outline

CHECKOUT = Path(__file__).parents[2]
README = CHECKOUT / "README.md"
TUTORIAL = CHECKOUT / "docs" / "tutorial" / "first-mail.md"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\[[^\]\n]+\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_OPERATORS = frozenset("();<>|&")
_WITH_VALUE = {"sudo": {"-u"}}
"""Programs that run the command behind their own options; which of these take a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced code block; `line` is where its text begins."""

    file: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(CHECKOUT)}:{self.line}"


def documents() -> list[Path]:
    """Every page for readers, the generated ones too."""
    return [README, CHECKOUT / "CHANGELOG.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]


def written_by_hand() -> list[Path]:
    """The pages that nothing generates."""
    return [page for page in documents() if page.parent.name != "reference"]


def blocks(page: Path, language: str) -> list[Block]:
    """The code blocks of a page in one language, in order."""
    text = page.read_text("utf-8")
    return [
        Block(file=page, line=text.count("\n", 0, found.start()) + 2, language=found[1], text=found[2])
        for found in _FENCE.finditer(text)
        if found[1] == language
    ]


def code_words(page: Path) -> list[str]:
    """What stands in backquotes within the prose of a page."""
    return _INLINE.findall(_FENCE.sub("", page.read_text("utf-8")))


def links(page: Path) -> list[str]:
    """Where a page leads to within the checkout."""
    found = _LINK.findall(_FENCE.sub("", page.read_text("utf-8")))
    return [target for target in found if not re.match(r"[a-z]+:", target)]


@cache
def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as in a link."""
    titles = _HEADING.findall(_FENCE.sub("", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def mairust_calls(script: str) -> Iterator[list[str]]:
    """The arguments of every call of `mairust` in a shell script, those in `$(…)` too."""
    outside, inside = _without_substitutions(script.replace("\\\n", " "))
    for inner in inside:
        yield from mairust_calls(inner)
    for line in outside.splitlines():
        for words in _simple_commands(line):
            command = _bare(words)
            if command and PurePosixPath(command[0]).name == "mairust":
                yield command[1:]


def _without_substitutions(script: str) -> tuple[str, list[str]]:
    """The script with `X` for every `$(…)`, and what stood in them."""
    inside: list[str] = []
    while (start := script.find("$(")) >= 0:
        depth, end = 1, start + 2
        while depth and end < len(script):
            depth += (script[end] == "(") - (script[end] == ")")
            end += 1
        inside.append(script[start + 2 : end - 1])
        script = f"{script[:start]}X{script[end:]}"
    return script, inside


def _simple_commands(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="".join(_OPERATORS))
    lexer.whitespace_split = True
    words: list[str] = []
    for token in lexer:
        if not token or not set(token) <= _OPERATORS:
            words.append(token)
        elif set(token) & set("<>"):
            next(lexer, None)  # a file, or a descriptor
        else:
            yield words
            words = []
    yield words


def _bare(words: list[str]) -> list[str]:
    """A command without assignments and without what only changes the user."""
    while words and (_ASSIGNMENT.match(words[0]) or words[0] in _WITH_VALUE):
        program, *words = words
        while program in _WITH_VALUE and words and words[0].startswith("-"):
            words = words[2 if words[0] in _WITH_VALUE[program] else 1 :]
    return words


def fault(arguments: list[str]) -> str | None:
    """What no such command would take, or None; values are not looked at."""
    node, rest = commands(), list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return None
        if word.startswith("-") and word != "-":
            name, equals, _ = word.partition("=")
            option = _option(node, name)
            if option is None:
                return f"{node.name} has no option {name}"
            if option.value and not equals:
                rest = rest[1:]
        elif node.children:
            found = next((child for child in node.children if child.path[-1] == word), None)
            if found is None and node.default:
                found = next(child for child in node.children if child.path[-1] == node.default)
            if found is None:
                return f"{node.name} has no command {word}"
            node = found
        elif not node.arguments:
            return f"{node.name} takes no argument"
    return None


def _option(node: Outline, name: str) -> Parameter | None:
    return next((one for one in (*node.options, *node.global_options) if name in one.names), None)


@cache
def commands() -> Outline:
    """The command tree as it is."""
    return outline()
