"""Made mail with words as people use them: half English, half Japanese, few words often and many seldom.

Words are drawn by a Zipf-Mandelbrot law from vocabularies of their own, short words first as in any language;
Japanese is compounds of two or three common characters, katakana words and particles, without spaces. A text
has about 1,260 bytes of UTF-8, as the prototypes' had that the goals are taken from.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

VOCABULARY = 35_000
TEXT_BYTES = 1_180
WORDS = 230
LINE_CHARACTERS = 36
SENDERS = 500

_CONSONANTS, _VOWELS, _ENDS = "bcdfghjklmnprstvwz", "aeiou", ("", "", "n", "r", "s", "t")
_PARTICLES = ["の", "に", "は", "を", "が", "と", "で", "も", "から", "まで", "です", "ます", "した", "など"]
_COMMON_CHARACTERS = 2_200


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A made mail; `words` are those of its text in order."""

    subject: str
    sender: str
    text: str
    words: Sequence[str]
    japanese: bool


class Language:
    """A vocabulary by rank, and how often each word is used."""

    def __init__(self, words: Sequence[str], *, japanese: bool) -> None:
        self.words = words
        self.japanese = japanese
        self._weights = list(accumulate(1 / (rank + 2.7) for rank in range(len(words))))

    def draw(self, rng: random.Random, count: int) -> list[str]:
        """So many words as a text has them."""
        return rng.choices(self.words, cum_weights=self._weights, k=count)

    def text(self, rng: random.Random) -> tuple[str, list[str]]:
        """A text of about TEXT_BYTES, and its words."""
        words: list[str] = []
        size = 0
        for word in self.draw(rng, WORDS):
            size += len(word.encode()) + (not self.japanese)
            if size > TEXT_BYTES:
                break
            words.append(word)
        if not self.japanese:
            return " ".join(words), words
        run = "".join(words)
        return "、\n".join(
            run[at : at + LINE_CHARACTERS] for at in range(0, len(run), LINE_CHARACTERS)
        ), words


def english(rng: random.Random, vocabulary: int) -> Language:
    """Made words of one to five syllables."""
    words: dict[str, None] = {}
    while len(words) < vocabulary:
        syllables = 1 + int(len(words) ** 0.25 / 4 + 2.2 * rng.random())
        letters = [
            rng.choice(_CONSONANTS) + rng.choice(_VOWELS) + rng.choice(_ENDS) for _ in range(syllables)
        ]
        words["".join(letters)] = None
    return Language(list(words), japanese=False)


def japanese(rng: random.Random, vocabulary: int) -> Language:
    """Compounds of common characters, katakana words, inflected words, and particles most often."""
    characters = [chr(0x4E00 + at) for at in rng.sample(range(0x5000), _COMMON_CHARACTERS)]
    weights = list(accumulate(1 / (rank + 8) for rank in range(len(characters))))
    hiragana = [chr(code) for code in range(0x3042, 0x3094)]
    katakana = [chr(code) for code in range(0x30A2, 0x30F4)]
    words = dict.fromkeys(_PARTICLES)
    while len(words) < vocabulary:
        kind = rng.random()
        if kind < 0.7:
            word = "".join(rng.choices(characters, cum_weights=weights, k=2 if rng.random() < 0.75 else 3))
        elif kind < 0.85:
            word = "".join(rng.choices(katakana, k=rng.randrange(3, 6)))
        else:
            stem = rng.choices(characters, cum_weights=weights)[0]
            word = stem + "".join(rng.choices(hiragana, k=rng.randrange(1, 3)))
        words[word] = None
    return Language(list(words), japanese=True)


def mails(count: int, seed: int, vocabulary: int = VOCABULARY) -> list[Mail]:
    """So many mails, English and Japanese in turn, each language of so many words."""
    rng = random.Random(seed)
    languages = (english(rng, vocabulary), japanese(rng, vocabulary))
    made = []
    for number in range(count):
        language = languages[number % 2]
        text, words = language.text(rng)
        made.append(
            Mail(
                subject=f"{number} {' '.join(language.draw(rng, 3))}",
                sender=f"sender{rng.randrange(SENDERS)}@example.net",
                text=text,
                words=words,
                japanese=language.japanese,
            )
        )
    return made
