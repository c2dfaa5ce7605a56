"""Terms and postings: an index never leaves out what matches (rule J1), whatever hashes do."""

from __future__ import annotations

import random

import pytest

from mairust_core.search.documents import Heading, text_of
from mairust_core.search.matching import needle
from mairust_core.search.normal import normal
from mairust_core.search.postings import MOST_BUCKET_BITS, build, hashes, place, positions
from mairust_core.search.query import Field, Text
from mairust_core.search.terms import LONGEST_PAIRED, document_terms, query_terms

ALPHABET = "ab 東京都のはに\u3000、\n.x-ｱ"


def document(subject: str, body: str) -> str:
    """The text of a mail with that subject and that body."""
    heading = Heading(subject=subject, from_=("Bob bob@x.example",), to=(), cc=(), filenames=("a b.pdf",))
    return text_of(heading, f"Content-Type: text/plain; charset=utf-8\n\n{body}".encode())[0]


def test_terms_of_a_text() -> None:
    """Words, pairs and neighbouring characters anywhere; in a field's own terms also single characters."""
    terms = document_terms(document("京都 trip", "See the 東京都."))
    assert {"see", "the", "see the", "東京", "京都", "trip", "bob x", "pdf"} <= terms
    assert {"\x01京都", "\x01京", "\x01trip", "\x02bob", "\x05pdf"} <= terms
    assert not terms & {"東", "the 東", "\x01see", "東京都"}


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        (Text("word"), {"word"}),
        (Text("one two three"), {"one two", "two three"}),
        (Text(f"one {'x' * (LONGEST_PAIRED + 1)} two"), {"one", "x" * (LONGEST_PAIRED + 1), "two"}),
        (Text("東京都"), {"東京", "京都"}),
        (Text("東"), set()),
        (Text("東", Field.SUBJECT), {"\x01東"}),
        (Text("ann", Field.CC), {"\x04ann"}),
        (Text("hello 東京 x"), {"hello", "東京", "x"}),
        (Text("invo", prefix=True), set()),
        (Text("one two thr", prefix=True), {"one two"}),
        (Text("one thr", Field.SUBJECT, prefix=True), {"\x01one"}),
        (Text("東京都", prefix=True), {"東京", "京都"}),
    ],
)
def test_terms_of_a_query(text: Text, terms: set[str]) -> None:
    """As narrow as the index allows; a single character of a run narrows nothing in the body."""
    assert set(query_terms(text)) == terms


def test_rule_j1_what_matches_has_every_term() -> None:
    """Random texts and parts of them, in any field: whenever the text matches, no term is missing."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    matched = 0
    for _ in range(2000):
        subject, body = ("".join(rng.choices(ALPHABET, k=rng.randrange(30))) for _ in range(2))
        text = document(subject, body)
        field = rng.choice([None, Field.SUBJECT])
        source = subject if field is Field.SUBJECT else rng.choice([subject, body])
        start = rng.randrange(len(source) + 1)
        pattern = normal(source[start : start + rng.randrange(1, 6)])
        where = text if field is None else text.split("\n")[field]
        for prefix in (False, True):
            if pattern and needle(pattern, prefix) in where:
                matched += 1
                assert set(query_terms(Text(pattern, field, prefix))) <= document_terms(text)
    assert matched > 600


@pytest.mark.parametrize("count", [0, 1, 2, 40, 700])
def test_rule_j1_postings_hold_every_document_of_a_term(count: int) -> None:
    """And few that are not of it, with one bucket as with many."""
    rng = random.Random(count)
    documents = [{f"word{rng.randrange(400)}" for _ in range(60)} for _ in range(count)]
    made = build(list(map(hashes, documents)))
    assert len(made.buckets) == 1 << made.bucket_bits
    wrong = 0
    for number in range(500):
        term = f"word{number}"
        bucket, rest = place(term, made.bucket_bits)
        found = list(positions(made.buckets[bucket], rest))
        assert found == sorted(found)
        having = {at for at, terms in enumerate(documents) if term in terms}
        assert having <= set(found)
        wrong += not having and bool(found)
    assert wrong < 50


def test_a_large_document_gets_many_buckets() -> None:
    """Rows stay small, and their number stays what an id has room for."""
    made = build([hashes({f"w{number}" for number in range(100_000)})])
    assert 1 << 7 <= len(made.buckets) <= 1 << MOST_BUCKET_BITS
    assert max(map(len, made.buckets)) < 20_000
