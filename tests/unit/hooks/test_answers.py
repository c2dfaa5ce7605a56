"""Answers: what of them counts, and what is none (rule F2, traps H1, H7)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mairust_core.hooks.answers import Said, fallback, read
from mairust_core.hooks.transport import CallFailed
from mairust_core.model.flags import MAX_TAGS
from mairust_core.model.hook import Fallback, HookType
from mairust_core.model.mailbox import QUARANTINE
from mairust_core.model.plugin import Permissions
from mairust_core.model.verdict import Action
from tests.support.hooking import EVERYTHING

PLUGIN = "com.example.test"


def _read(answer: Any, permissions: Permissions = EVERYTHING, type_: HookType = HookType.PRE_RECEIVE) -> Said:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return read(body, PLUGIN, permissions, type_)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("deliver", Action.DELIVER),
        ("allow", Action.DELIVER),
        ("tag", Action.DELIVER),
        ("quarantine", Action.QUARANTINE),
        ("tempfail", Action.TEMPFAIL),
        ("reject", Action.REJECT),
    ],
)
def test_the_actions_of_the_contract(action: str, expected: Action) -> None:
    """`allow` and `tag` are read as `deliver`."""
    assert _read({"action": action}).action is expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  \n",
        b"null",
        b"[]",
        b'"deliver"',
        b'{"action": "deliver"',
        b'{"action": "deliver"} {}',
        b'{"action": "deliver", "score": NaN}',
        b'\xff{"action": "deliver"}',
        b'{"action": null}',
        b'{"action": "explode"}',
        b'{"action": ["reject"]}',
        b"{}",
        b'{"action": "deliver", "tags": "spam"}',
        b'{"action": "deliver", "tags": [1]}',
        b'{"action": "deliver", "flags": {}}',
        b'{"action": "deliver", "metadata": []}',
        b'{"action": "deliver", "annotations": 3}',
        b'{"action": "deliver", "score": true}',
        b'{"action": "deliver", "score": "high"}',
        b'{"action": "reject", "permanent": 1}',
        b'{"action": "reject", "code": [550]}',
        b'{"action": "reject", "message": 5}',
        b'{"action": "deliver", "move_to": 5}',
        b"[" * 100_000,
    ],
)
def test_trap_h1_what_is_no_answer_is_an_error(body: bytes) -> None:
    """And the error says why without repeating the answer."""
    with pytest.raises(CallFailed) as caught:
        _read(body)
    assert str(caught.value)
    assert "explode" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("annotations", ["a"], "annotations in the answer is not an object"),
        ("score", "high", "score in the answer is not a number"),
        ("code", [550], "code in the answer is not a number or a text"),
        ("permanent", 1, "permanent in the answer is not true or false"),
    ],
)
def test_who_writes_a_plugin_is_told_which_type_is_wanted(field: str, value: object, told: str) -> None:
    """It is all that a log says of the answer."""
    with pytest.raises(CallFailed, match=f"^{told}$"):
        _read({"action": "deliver", field: value})


def test_null_is_as_if_it_were_left_out() -> None:
    """Programs that fill in every field."""
    full = dict.fromkeys(
        ("code", "permanent", "message", "tags", "remove_tags", "flags", "move_to", "metadata", "score")
    )
    assert _read({"action": "deliver", **full}) == Said()


@pytest.mark.parametrize(
    ("answer", "action", "reply", "refused"),
    [
        ({"action": "reject"}, Action.REJECT, "550 5.7.1 ", ()),
        ({"action": "tempfail"}, Action.TEMPFAIL, "451 4.7.1 ", ()),
        ({"action": "reject", "permanent": False}, Action.TEMPFAIL, "451 4.7.1 ", ()),
        ({"action": "tempfail", "permanent": True}, Action.REJECT, "550 5.7.1 ", ()),
        ({"action": "reject", "code": 554}, Action.REJECT, "554 5.7.1 ", ()),
        ({"action": "reject", "code": "554"}, Action.REJECT, "554 5.7.1 ", ()),
        ({"action": "reject", "code": "552 5.3.4"}, Action.REJECT, "552 5.3.4 ", ()),
        ({"action": "reject", "code": 250}, Action.REJECT, "550 5.7.1 ", ("code",)),
        ({"action": "reject", "code": 451}, Action.REJECT, "550 5.7.1 ", ("code",)),
        ({"action": "reject", "permanent": False, "code": 550}, Action.TEMPFAIL, "451 4.7.1 ", ("code",)),
        ({"action": "tempfail", "code": 421}, Action.TEMPFAIL, "451 4.7.1 ", ("code",)),
        ({"action": "tempfail", "code": "450 5.1.1"}, Action.TEMPFAIL, "451 4.7.1 ", ("code",)),
        ({"action": "reject", "code": "550 5.7.1\r\n250 OK"}, Action.REJECT, "550 5.7.1 ", ("code",)),
        ({"action": "reject", "code": 5500}, Action.REJECT, "550 5.7.1 ", ("code",)),
    ],
)
def test_codes_follow_the_class(
    answer: dict[str, Any], action: Action, reply: str, refused: tuple[str, ...]
) -> None:
    """R-HOOK-5 and rule F2: `permanent` decides, a code that does not fit becomes the default."""
    said = _read(answer)
    assert said.action is action
    assert str(said.reply).startswith(reply)
    assert said.refused == refused


@pytest.mark.parametrize("message", ["a\r\n250 OK", "a\nb", "x" * 201, "あ" * 67, "\x07", "a\u2028b"])
def test_a_message_that_is_not_one_printable_line_is_left_out(message: str) -> None:
    """Nothing of it reaches a socket."""
    said = _read({"action": "reject", "message": message})
    assert said.refused == ("message",)
    assert said.reply is not None
    assert said.reply.text == "Message refused by policy"


def test_a_message_in_japanese_is_the_reason_but_not_the_reply() -> None:
    """SMTP replies are ASCII (RFC 5321 §4.2)."""
    said = _read({"action": "reject", "message": "社外秘です"})
    assert said.reason == "社外秘です"
    assert said.reply is not None
    assert said.reply.text.isascii()


def test_effects_within_permissions() -> None:
    """Everything a plugin may write, under its own names."""
    said = _read(
        {
            "action": "deliver", "tags": ["spam", "spam", "é"], "remove_tags": ["old"],
            "flags": ["\\seen", "$Junk"], "move_to": "Junk/あ", "metadata": {"a": 1}, "score": 4.5,
            "annotations": {"why": "words"},
        }
    )  # fmt: skip
    assert said.refused == ()
    assert said.effects.tags == ("spam", "é")
    assert said.effects.remove_tags == ("old",)
    assert said.effects.flags == ("\\Seen", "$Junk")
    assert said.effects.move_to == "Junk/あ"
    assert said.effects.metadata == {
        f"plugin:{PLUGIN}:annotations": {"why": "words"},
        f"plugin:{PLUGIN}:score": 4.5,
        f"plugin:{PLUGIN}:a": 1,
    }
    assert (said.score, said.annotations) == (4.5, {"why": "words"})


def test_fields_beyond_permissions_are_left_out_and_named() -> None:
    """R-PERM-2: ignored, logged and counted."""
    said = _read(
        {
            "action": "deliver", "tags": ["spam"], "remove_tags": ["x"], "flags": ["\\Seen"],
            "move_to": "Junk", "metadata": {"a": 1}, "color": "red", "score": 1,
        },
        Permissions(read_headers=True),
    )  # fmt: skip
    assert sorted(said.refused) == [
        "color (unknown)", "flags", "metadata", "move_to", "remove_tags", "tags",
    ]  # fmt: skip
    assert said.effects == Said().effects
    assert said.score == 1


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ({"flags": ["\\Deleted"]}, "flags"),
        ({"flags": ["\\Recent"]}, "flags"),
        ({"flags": ["two words"]}, "flags"),
        ({"tags": ["\x00"]}, "tags"),
        ({"tags": [str(n) for n in range(65)]}, "tags"),
        ({"move_to": "../../etc"}, "move_to"),
        ({"move_to": "quarantine"}, "move_to"),
        ({"metadata": {"a": "x" * (16 << 10)}}, "metadata"),
        ({"metadata": {"a\nb": 1}}, "metadata"),
        ({"metadata": {str(n): n for n in range(33)}}, "metadata"),
        ({"annotations": {"a": "x" * (16 << 10)}}, "annotations"),
        ({"score": 10**400}, "score"),
    ],
)
def test_values_that_cannot_stand_are_left_out(answer: dict[str, Any], refused: str) -> None:
    """The rest of the answer counts."""
    said = _read({"action": "quarantine", **answer})
    assert said.action is Action.QUARANTINE
    assert said.refused == (refused,)
    assert len(said.effects.tags) <= 64


@pytest.mark.parametrize("action", ["reject", "tempfail"])
def test_after_storing_nobody_can_be_refused(action: str) -> None:
    """The mail is there, its sender has its 250."""
    said = _read({"action": action, "code": 554}, type_=HookType.POST_RECEIVE)
    assert said.action is Action.DELIVER
    assert said.reply is None
    assert said.refused == ("action",)


def test_after_storing_quarantine_is_a_move() -> None:
    """Which needs the right to move."""
    may = _read({"action": "quarantine"}, type_=HookType.POST_RECEIVE)
    may_not = _read({"action": "quarantine"}, Permissions(), HookType.POST_RECEIVE)
    assert (may.action, may.refused) == (Action.QUARANTINE, ())
    assert (may_not.action, may_not.refused) == (Action.DELIVER, ("action",))
    assert QUARANTINE


def test_no_answer_counts_as_the_hook_says() -> None:
    """R-HOOK-2."""
    assert fallback(Fallback.ALLOW, "late").action is Action.DELIVER
    assert fallback(Fallback.TEMPFAIL, "late").reply is not None
    assert str(fallback(Fallback.REJECT, "late").reply).startswith("550 5.7.1")


def _nested(depth: int) -> bytes:
    return b'{"action": "deliver", "metadata": {"x": ' + b"[" * depth + b"]" * depth + b"}}"


@pytest.mark.parametrize("depth", [31, 990, 100_000])
def test_trap_h1_an_answer_is_no_deeper_than_it_can_be_read_again(depth: int) -> None:
    """Whoever shows the metadata later, or stores it, may have less of a stack left than we."""
    assert _read(_nested(30)).effects.metadata
    with pytest.raises(CallFailed, match=r"nested more than 32 deep|not one JSON document"):
        _read(_nested(depth))


@pytest.mark.parametrize(
    "value", [b'"\\ud800"', b"9" * 30, b'{"\\udc00": 1}'], ids=["surrogate", "64 bits", "name"]
)
@pytest.mark.parametrize("field", ["metadata", "annotations"])
def test_trap_h1_what_no_reader_could_take_is_left_out(field: str, value: bytes) -> None:
    """The answer counts all the same."""
    said = _read(b'{"action": "reject", "%b": {"x": %b}}' % (field.encode(), value))
    assert said.action is Action.REJECT
    assert said.refused == (field,)
    assert (said.annotations, said.effects.metadata) == ({}, {})


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"NaN", b"Infinity"])
def test_trap_h1_a_number_that_is_none_makes_it_no_answer(number: bytes) -> None:
    """JSON has no infinity, however it is written."""
    with pytest.raises(CallFailed, match="not one JSON document"):
        _read(b'{"action": "deliver", "annotations": {"x": %b}}' % number)


@pytest.mark.parametrize(
    "body",
    [
        b'{"action":"reject","action":"deliver"}',
        b'{"action": "deliver", "tags": ["a"], "\\u0074ags": []}',
        b'{"action": "reject", "metadata": {"x": {"a": 1, "a": 2}}}',
    ],
)
def test_trap_h1_a_name_that_stands_twice_makes_it_no_answer(body: bytes) -> None:
    """One reader takes the first, another the last."""
    with pytest.raises(CallFailed, match="has a name twice"):
        _read(body)


def test_names_that_a_plugin_made_up_are_shown_as_plain_text() -> None:
    """Whoever prints them, or writes them down, has nothing to fear."""
    said = _read(b'{"action": "deliver", "\\ud800": 1, "\\u0000\\u001b[2J": 1, "fine": 1}')
    assert said.refused == ("'\\ud800' (unknown)", "'\\x00\\x1b[2J' (unknown)", "fine (unknown)")


@pytest.mark.parametrize("field", ["tags", "remove_tags", "flags"])
def test_rule_f2_of_a_list_beyond_all_measure_nothing_is_read(field: str) -> None:
    """Up to twice the number that counts each is looked at; beyond it the field is left out."""
    said = _read({"action": "reject", field: [f"t{n}" for n in range(2 * MAX_TAGS + 1)]})
    assert (said.action, said.refused) == (Action.REJECT, (field,))
    assert (said.effects.tags, said.effects.remove_tags, said.effects.flags) == ((), (), ())
    assert (
        len(_read({"action": "deliver", "tags": [f"t{n}" for n in range(2 * MAX_TAGS)]}).effects.tags) == 64
    )
