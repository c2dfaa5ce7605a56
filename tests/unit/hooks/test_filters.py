"""Filters: which mail a hook wants, in linear time (trap H5)."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from mairust_core.errors import Invalid
from mairust_core.hooks.filters import MAX_EXPRESSION, MAX_STEPS, TOGETHER_STEPS, Sieve, check
from mairust_core.model.hook import Filter, HookType
from tests.support.hooking import asked, registered

PLAIN = b"From: a@b.example\r\nSubject: Offer =?utf-8?q?f=C3=BCr_dich?=\r\n\r\nHi.\r\n"
ATTACHED = (
    b"Subject: files\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\nhi\r\n--q\r\n"
    b"Content-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment\r\n\r\nPDF\r\n--q--\r\n"
)


def _wants(wanted: Filter, data: bytes = PLAIN, sender: str = "eve@elsewhere.example") -> bool:
    return bool(Sieve([registered(wanted=wanted)]).matching(asked(data, sender=sender)))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(), True),
        (Filter(sender_matches="elsewhere"), True),
        (Filter(sender_matches="ELSEWHERE"), True),
        (Filter(sender_matches="^elsewhere"), False),
        (Filter(sender_not_matches="elsewhere"), False),
        (Filter(sender_not_matches="nowhere"), True),
        (Filter(subject_matches="für dich$"), True),
        (Filter(subject_matches="offer"), False),
        (Filter(subject_matches="(?i)offer"), True),
        (Filter(recipient_matches=r"@example\.org$"), True),
        (Filter(recipient_matches=r"@example\.com$"), False),
        (Filter(recipient_not_matches="^ann@"), False),
        (Filter(has_attachments=True), False),
        (Filter(has_attachments=False), True),
        (Filter(size_gt=len(PLAIN) - 1), True),
        (Filter(size_gt=len(PLAIN)), False),
        (Filter(size_lt=len(PLAIN) + 1), True),
        (Filter(size_lt=len(PLAIN)), False),
        (Filter(sender_matches="eve", subject_matches="nothing of it"), False),
    ],
)
def test_everything_set_must_hold(wanted: Filter, expected: bool) -> None:
    """Each key of the contract, hit and missed."""
    assert _wants(wanted) is expected


def test_attachments_are_those_of_the_list() -> None:
    """What a reader would call one."""
    assert _wants(Filter(has_attachments=True), ATTACHED)
    assert not _wants(Filter(has_attachments=False), ATTACHED)


def test_a_mail_that_could_not_be_described_has_no_subject_and_may_have_attachments() -> None:
    """Nobody can say what is in it."""
    hooks = [
        registered("a", wanted=Filter(subject_matches=".")),
        registered("b", wanted=Filter(has_attachments=True)),
        registered("c", wanted=Filter(sender_matches="eve")),
    ]
    found = Sieve(hooks).matching(asked(PLAIN, described=False))
    assert [one.hook.name for one, _ in found[HookType.PRE_RECEIVE]] == ["b", "c"]


def test_rule_e1_a_hook_gets_the_accounts_that_its_filter_matches() -> None:
    """An account behind several addresses is wanted for one of them, and kept out by one of them."""
    reached: dict[int, Sequence[str]] = {
        1: ["ann@example.org"],
        2: ["bob@example.org", "sales@example.org"],
        3: ["carol@example.org"],
    }
    hooks = [
        registered("sales", wanted=Filter(recipient_matches="^sales@")),
        registered("others", wanted=Filter(recipient_not_matches="^sales@")),
        registered("nobody", wanted=Filter(recipient_matches="^dave@")),
    ]
    found = Sieve(hooks).matching(asked(PLAIN, reached))
    assert {one.hook.name: accounts for one, accounts in found[HookType.PRE_RECEIVE]} == {
        "sales": [2],
        "others": [1, 3],
    }


def test_hooks_come_by_priority_then_by_name() -> None:
    """R-HOOK-3."""
    hooks = [registered("b"), registered("z", priority=1), registered("a"), registered("c", priority=200)]
    found = Sieve(hooks).matching(asked(PLAIN))
    assert [one.hook.name for one, _ in found[HookType.PRE_RECEIVE]] == ["z", "a", "b", "c"]


def test_trap_s7_domains_match_as_a_labels() -> None:
    """`bücher.example` is found by its A-label, as everywhere."""
    assert _wants(Filter(sender_matches=r"@xn--bcher-kva\.example$"), sender="eve@bücher.example")


def test_an_address_with_odd_characters_matches_without_failing() -> None:
    """A lone surrogate is no reason to fail."""
    assert not _wants(Filter(sender_matches="^x$"), sender="eve\udc80@b")


@pytest.mark.parametrize("expression", ["(?=x)", "a(?!b)", "(?<=x)y", "(?<!x)y"])
def test_trap_h5_look_around_is_named(expression: str) -> None:
    """Somebody who knows other engines is told what is missing here."""
    with pytest.raises(Invalid) as caught:
        check(Filter(sender_matches=expression))
    assert caught.value.key == "invalid.filter_look_around"
    assert caught.value.values["field"] == "filter.sender_matches"


@pytest.mark.parametrize("expression", ["(", "a{1001}", r"(a)\1", "[z-a]", "*"])
def test_what_is_no_expression_is_refused(expression: str) -> None:
    """With the engine's own word for it."""
    with pytest.raises(Invalid) as caught:
        check(Filter(subject_matches=expression))
    assert caught.value.key == "invalid.filter_expression"
    assert caught.value.values["why"]


def test_long_expressions_and_negative_sizes_are_refused() -> None:
    """Both by their key."""
    with pytest.raises(Invalid, match="recipient_matches"):
        check(Filter(recipient_matches="x" * (MAX_EXPRESSION + 1)))
    with pytest.raises(Invalid, match="size_lt"):
        check(Filter(size_lt=-1))


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("application/pgp-signature; name=a.exe", "Content-Disposition: attachment"),
        ("image/png; name=a.exe", "Content-ID: <a>"),
    ],
)
def test_whatever_is_no_text_counts_as_attached(kind: str, more: str) -> None:
    """No label keeps a part from the hooks that look at attachments."""
    part = f"--q\r\nContent-Type: {kind}\r\n{more}\r\n\r\nMZ\r\n--q--\r\n"
    data = f"Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\nhi\r\n{part}".encode()
    assert _wants(Filter(has_attachments=True), data)


def test_trap_h5_expressions_that_are_large_when_compiled_are_refused() -> None:
    """Linear is not fast: each character may cost a look at all of it."""
    large = "|".join(f"a.{{{1000 - n}}}c" for n in range(100))
    for expression in (large, "a.{1000}c"):
        with pytest.raises(Invalid) as caught:
            check(Filter(subject_matches=expression))
        assert caught.value.key == "invalid.filter_too_large"
        assert caught.value.values["limit"] == MAX_STEPS
    check(Filter(sender_matches=r"(?i)[a-z0-9._%+-]{1,64}@[a-z0-9.-]{1,255}"))


def test_trap_h5_what_may_take_long_is_for_a_thread() -> None:
    """A long subject for large expressions; an ordinary mail is matched at once."""
    sieve = Sieve([registered(wanted=Filter(subject_matches="a.{400}b"))])
    assert sieve.is_quick(asked(b"Subject: short\r\n\r\n"))
    assert not sieve.is_quick(asked(b"Subject: " + b"ab " * 600 + b"\r\n\r\n"))
    addresses = Sieve([registered(wanted=Filter(recipient_not_matches="a.{400}b"))])
    assert not addresses.is_quick(asked(PLAIN, {1: ["a" * 300 + "@example.org"]}))


def test_expressions_too_large_together_are_matched_one_by_one() -> None:
    """Each is accepted alone, and they answer alike; an automaton of all may not even compile."""
    hooks = [
        registered(str(n), wanted=Filter(subject_matches=f"^Offer f.{{1,{400 + n}}}dich(?:{n})?$"))
        for n in range(TOGETHER_STEPS // 3000)
    ]
    for one in hooks:
        check(one.hook.filter)
    sieve = Sieve([*hooks, registered("none", wanted=Filter(subject_matches="^offer"))])
    found = sieve.matching(asked(PLAIN))[HookType.PRE_RECEIVE]
    assert sorted(one.hook.name for one, _ in found) == sorted(one.hook.name for one in hooks)


def test_trap_h5_expressions_that_hang_others_do_not() -> None:
    """Exponential in a backtracking engine; here the CPU time is that of a search."""
    sender = "a" * 400 + "!@elsewhere.example"
    sieve = Sieve([registered(str(n), wanted=Filter(sender_matches=f"^(a+)+{n}$")) for n in range(20)])
    began = time.process_time()
    assert sieve.matching(asked(PLAIN, sender=sender)) == {}
    assert time.process_time() - began < 2


def test_many_expressions_together_answer_like_each_alone() -> None:
    """The automaton of all says the same as one of one."""
    texts = ["^eve", "@elsewhere", "example$", "nobody", "e.e@", "(a|e)ve", "[0-9]"]
    together = Sieve([registered(text, wanted=Filter(sender_matches=text)) for text in texts])
    found = together.matching(asked(PLAIN))[HookType.PRE_RECEIVE]
    alone = [text for text in texts if _wants(Filter(sender_matches=text))]
    assert sorted(one.hook.name for one, _ in found) == sorted(alone)
    assert 0 < len(alone) < len(texts)


def test_trap_h1_a_filter_that_cannot_be_used_does_not_fall_open() -> None:
    """Its hook counts as blocked, and answers with its `on_error` for all mail."""
    [(found, accounts)] = Sieve([registered(wanted=Filter(sender_matches="("))]).matching(asked(PLAIN))[
        HookType.PRE_RECEIVE
    ]
    assert (found.blocked, accounts) == (True, [1])
