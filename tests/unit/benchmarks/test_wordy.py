"""The mail of the search benchmark: as much of it, as long and as mixed as the goals assume."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from tests.benchmarks.wordy import Mail, mails

COUNT = 400


@pytest.fixture(scope="module")
def made() -> Sequence[Mail]:
    """So much of it that figures mean something; most of the time goes into its words."""
    return mails(COUNT, 1)


def test_the_same_seed_makes_the_same_mail() -> None:
    """However much of it, and another one other mail; of fewer words, which each making draws anew."""
    made = mails(40, 1, vocabulary=2_000)
    assert mails(10, 1, vocabulary=2_000) == made[:10]
    assert mails(10, 2, vocabulary=2_000) != made[:10]


def test_half_is_japanese_and_texts_have_the_size_told(made: Sequence[Mail]) -> None:
    """About 1.26 KB in UTF-8 with subject and addresses; Japanese without spaces."""
    assert sum(mail.japanese for mail in made) == COUNT // 2
    sizes = [len(mail.text.encode()) for mail in made]
    assert 1_050 < sum(sizes) / COUNT < 1_300
    assert not any(" " in mail.text for mail in made if mail.japanese)


def test_few_words_are_often_and_many_are_seldom(made: Sequence[Mail]) -> None:
    """The commonest words are in most mails, and most words in one."""
    english = [mail for mail in made if not mail.japanese]
    seen = Counter(word for mail in english for word in set(mail.words)).most_common()
    assert seen[0][1] > len(english) // 2
    assert sum(count == 1 for _, count in seen) > len(seen) // 3
