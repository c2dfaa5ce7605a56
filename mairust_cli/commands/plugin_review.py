"""What a plugin asks for and who stands for it, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mairust_cli.output import Output
from mairust_cli.text import clean, moment
from mairust_core.i18n import Listed, Wording, say
from mairust_core.model.plugin_forms import Review, Right, RightKind
from mairust_core.model.trust import Licence, Signature


def review_lines(id_: str, review: Review, output: Output) -> Iterator[str]:
    """What a version asks for, in words; what is more than before is marked."""
    yield say("review.title", output.lang, id=clean(id_), version=clean(review.version))
    newer = [one.kind for one in review.rights]
    for kind in dict.fromkeys((*RightKind, *newer)):  # whatever is asked for is shown
        for right in (one for one in review.rights if one.kind is kind):
            mark = "+" if right.more else " "
            yield f"  {mark} {_in_words(right, output.lang)}"


def _in_words(right: Right, lang: str) -> str:
    """One right as a person says it."""
    value, name = clean(right.value), clean(right.name)
    if right.kind is RightKind.DECIDE:
        text = say("review.hook", lang, name=name, value=value)
    elif right.kind in (RightKind.READ, RightKind.WRITE):
        nothing = right.value in ("false", "none")
        text = say("review.given_up" if nothing else f"review.{right.name}.{right.value}", lang, name=name)
    elif right.kind is RightKind.USE and not value:
        text = say("review.time_as_hook", lang)
    elif right.name == "max_calls" and value == "0":
        text = say("review.keeps_nothing", lang)
    elif right.kind not in list(RightKind):
        text = f"{clean(right.kind)}: {name} = {value}"
    else:
        text = say(f"review.{right.name}", lang, value=value)
    if right.was in (None, right.value):
        return text
    return f"{text} {say('review.was', lang, was=clean(right.was) or say('review.as_hook', lang))}"


def signed_by(signatures: Sequence[Signature]) -> Wording:
    """Who signed a package: a trusted root by its name here, a developer by the key alone."""
    told: list[str | Wording] = []
    for one in signatures:
        by = one.root_name or one.root
        if by and one.root not in (None, one.key_id):
            told.append(Wording("signed.by_key", signed_as=one.signed_as, by=by, key=one.key_id))
        else:
            told.append(f"{one.signed_as} {by or one.key_id}")
    return Listed(told) if told else Wording("signed.nobody")


def licensed(licence: Licence | None) -> str | Wording:
    """For whom a package is licensed, and until when."""
    if licence is None:
        return "-"
    return Wording("signed.licensed", holder=licence.holder, until=moment(licence.not_after))
