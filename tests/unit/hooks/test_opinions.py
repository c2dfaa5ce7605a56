"""Many answers, one verdict: the strongest wins, effects add up (R-HOOK-4, trap H7)."""

from __future__ import annotations

import itertools

import pytest

from mairust_core.hooks.answers import Said
from mairust_core.hooks.opinions import Opinions
from mairust_core.model.reply import Reply
from mairust_core.model.verdict import Action, Effects

REJECT = Said(action=Action.REJECT, reply=Reply(554, "5.7.0", "No"), reason="no")
TEMPFAIL = Said(action=Action.TEMPFAIL, reply=Reply(450, "4.2.0", "Later"), reason="later")
QUARANTINE = Said(action=Action.QUARANTINE, reason="odd")
DELIVER = Said()


@pytest.mark.parametrize("order", list(itertools.permutations([REJECT, TEMPFAIL, QUARANTINE, DELIVER])))
def test_trap_h7_the_strongest_wins_in_any_order(order: tuple[Said, ...]) -> None:
    """A weaker later one never takes its place."""
    opinions = Opinions([1])
    for said in order:
        opinions.add([1], said)
    assert opinions.verdicts[1].action is Action.REJECT
    assert opinions.verdicts[1].reply == REJECT.reply
    assert opinions.verdicts[1].reason == "no"


def test_the_first_of_two_equal_answers_has_the_word() -> None:
    """Its reply is the one that is sent."""
    opinions = Opinions([1])
    other = Said(action=Action.REJECT, reply=Reply(550, "5.7.1", "Other"))
    opinions.add([1], REJECT)
    opinions.add([1], other)
    assert opinions.verdicts[1].reply == REJECT.reply


def test_reject_and_tempfail_stop_the_chain_of_those_they_were_said_of() -> None:
    """Rule E1: others go on."""
    opinions = Opinions([1, 2, 3, 4])
    opinions.add([1], REJECT)
    opinions.add([2], TEMPFAIL)
    opinions.add([3], QUARANTINE)
    assert opinions.open([1, 2, 3, 4]) == [3, 4]


def test_effects_merge_without_duplicates() -> None:
    """Tags in order, each once; taken away again by a later answer; the first move counts."""
    opinions = Opinions([1, 2])
    opinions.add([1, 2], Said(effects=Effects(tags=("a", "b"), flags=("\\Seen",), move_to="Junk")))
    opinions.add(
        [1],
        Said(
            effects=Effects(
                tags=("b", "c"), remove_tags=("a",), flags=("\\seen", "$x"), move_to="Other",
                metadata={"plugin:p:k": 1},
            )
        ),
    )  # fmt: skip
    one, two = opinions.verdicts[1].effects, opinions.verdicts[2].effects
    assert (one.tags, one.flags, one.move_to) == (("b", "c"), ("\\Seen", "$x"), "Junk")
    assert (two.tags, two.move_to) == (("a", "b"), "Junk")
    assert opinions.tags([1, 2]) == ("b",)
    assert opinions.metadata([1], "p") == {"k": 1}
    assert opinions.metadata([1, 2], "p") == {}
    assert opinions.metadata([1], "q") == {}


def test_rule_f2_no_plugin_takes_the_room_of_others() -> None:
    """64 tags and 32 names each, whatever its hooks say, and room for several; what does not fit is told."""
    opinions = Opinions([1])

    def say(plugin: str, start: int, count: int) -> tuple[str, ...]:
        names = [f"{plugin}{number}" for number in range(start, start + count)]
        metadata = {f"plugin:{plugin}:{name}": 1 for name in names}
        effects = Effects(tags=tuple(names), metadata=metadata)
        return opinions.add([1], Said(effects=effects), plugin)

    assert say("a", 0, 32) == ()
    left_out = say("a", 32, 64)
    assert left_out[:32] == tuple(f"tags: a{number}" for number in range(64, 96))
    assert left_out[32:] == tuple(f"metadata: plugin:a:a{number} does not fit" for number in range(32, 96))
    assert say("b", 0, 1) == ()
    effects = opinions.verdicts[1].effects
    assert (len(effects.tags), len(effects.metadata)) == (65, 33)
    for plugin in "cdefgh":
        for start in (0, 32):
            say(plugin, start, 32)
    effects = opinions.verdicts[1].effects
    assert (len(effects.tags), len(effects.metadata)) == (256, 225)


def test_there_is_room_for_the_reason_of_a_quarantine() -> None:
    """However many plugins keep something."""
    opinions = Opinions([1])
    for number in range(9):
        metadata = {f"plugin:{number}:{name}": 1 for name in range(32)}
        opinions.add([1], Said(effects=Effects(metadata=metadata)))
    assert len(opinions.verdicts[1].effects.metadata) == 255


def test_rule_f2_a_plugin_keeps_16_kib_whatever_its_hooks_say() -> None:
    """Two hooks of one plugin share it; another plugin has its own."""
    opinions = Opinions([1])
    for plugin, name in (("a", "one"), ("a", "two"), ("b", "one")):
        opinions.add([1], Said(effects=Effects(metadata={f"plugin:{plugin}:{name}": "x" * 9000})))
    assert sorted(opinions.verdicts[1].effects.metadata) == ["plugin:a:one", "plugin:b:one"]
