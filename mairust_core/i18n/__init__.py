"""Texts for people, from catalogues (R-I18N-1).

LANG.json            errors: code.detail → [what, hint]
findings.LANG.json   findings of `doctor`: id → [what, why, mend]
screens.LANG.json    what else commands print: key → text
labels.LANG.json     titles of columns and fields, and nouns: English → text; English needs none
help.LANG.json       what `--help` says: English → text; English needs none
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mairust_core.errors import MaiRustError


class Language(StrEnum):
    """A language in which everything is said."""

    EN = "en"
    JA = "ja"


LANGUAGES = tuple(one.value for one in Language)
"""Plain words: what is cached by language is asked for by them."""
QUESTION = "question"
"""The first word of the keys that are no error's."""
SHELL = "shell_"


class Wording:
    """A text of the screens that is said where it is known who reads; values may be such texts again."""

    def __init__(self, key: str, /, **values: object) -> None:
        self.key = key
        self.values = values

    def in_(self, lang: str) -> str:
        """The text in a language."""
        return say(self.key, lang, **self.values)

    def __str__(self) -> str:
        return self.in_("en")


class Listed(Wording):
    """Texts one after the other, between commas."""

    def __init__(self, parts: Iterable[str | Wording]) -> None:
        super().__init__("")
        self.parts = tuple(parts)

    def in_(self, lang: str) -> str:
        """All of them in a language."""
        return ", ".join(worded(part, lang) for part in self.parts)


def worded(value: Any, lang: str) -> Any:
    """What was put into words is said in `lang`; anything else stays."""
    return value.in_(lang) if isinstance(value, Wording) else value


@lru_cache(maxsize=len(LANGUAGES))
def catalogue(lang: str) -> dict[str, list[str]]:
    """All texts of a language: key → [what, hint]."""
    return _read(f"{lang}.json")


def load_errors() -> None:
    """Read the texts of all errors now: a server that has no descriptor left could not."""
    for lang in LANGUAGES:
        catalogue(lang)


@lru_cache(maxsize=len(LANGUAGES))
def findings(lang: str) -> dict[str, list[str]]:
    """All texts of `doctor` in a language: id → [what, why, mend]."""
    return _read(f"findings.{lang}.json")


@lru_cache(maxsize=len(LANGUAGES))
def screens(lang: str) -> dict[str, str]:
    """All words of screens in a language."""
    return _read(f"screens.{lang}.json")


@lru_cache(maxsize=len(LANGUAGES))
def labels(lang: str) -> dict[str, str]:
    """All titles of columns and fields in a language, by their English."""
    if lang == "en":
        return {}
    return _read(f"labels.{lang}.json")


@lru_cache(maxsize=len(LANGUAGES))
def help_texts(lang: str) -> dict[str, str]:
    """All that the help of commands says in a language, by its English."""
    if lang == "en":
        return {}
    return _read(f"help.{lang}.json")


def _read(name: str) -> dict[str, Any]:
    from importlib.resources import files  # not before: English help, for one, starts without it

    return dict(json.loads(files(__package__).joinpath(name).read_text("utf-8")))


def label(title: str, lang: str, sense: str = "") -> str:
    """A title in `lang`, in one of its senses; what is said in that language already, as it is."""
    return labels(lang).get(f"{title} ({sense})" if sense else title, title)


def finding_text(id_: str, lang: str, values: Mapping[str, object]) -> tuple[str, str, str]:
    """What was found, why it matters, and what mends it, in `lang`, or in English where that is unknown."""
    what, why, mend = (
        text.format_map(_Values(values)) for text in findings(lang if lang in LANGUAGES else "en")[id_]
    )
    return what, why, mend


def say(key: str, lang: str, /, **values: object) -> str:
    """A text of a screen in `lang`."""
    said = {name: worded(value, lang) for name, value in values.items()}
    return screens(lang)[key].format_map(_Values(said))


def explain(error: MaiRustError, lang: str = "en") -> tuple[str, str]:
    """What happened and how to mend it, in `lang`; English where a text is missing."""
    if error.rendered is not None:
        return error.rendered
    texts = catalogue(lang).get(error.key) or catalogue("en").get(error.key) or _untold(error)
    told = {name: "" if value is None else worded(value, lang) for name, value in error.values.items()}
    values = _Values(told)
    what, hint = (text.format_map(values).strip() for text in texts)
    if lang == "ja":  # which has no capitals: what stands first is a name or something to be typed
        return what, hint
    return what, hint[:1].upper() + hint[1:]


def asked(question: str, lang: str, values: Mapping[str, object]) -> tuple[str, str]:
    """The question `question.QUESTION` and the answers to it; English where a text is missing."""
    key = f"{QUESTION}.{question}"
    texts = catalogue(lang).get(key) or catalogue("en")[key]
    what, answers = (text.format_map(_Values(values)) for text in texts)
    return what, answers


class _Values(dict[str, object]):
    """Values by name; after `shell_` as a shell takes them for one word, for commands to be pasted."""

    def __missing__(self, name: str) -> str:
        plain = name.removeprefix(SHELL)
        return shlex.quote(str(self[plain])) if plain != name and plain in self else "?"


def _untold(error: MaiRustError) -> list[str]:
    """A text for an error whose own is missing: telling it badly is better than failing to."""
    return [f"{error.key}: " + ", ".join(f"{name} {{{name}}}" for name in error.values), ""]
