"""What a plugin answered: read without trust, limited to what it may say (rule F2, trap H1).

An answer that is not one raises `CallFailed` with a word on why, never with the answer itself. A field that
the plugin may not write, or a value that cannot stand, is left out and named in `refused`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import Any, NoReturn

import orjson

from mairust_core.errors import Invalid
from mairust_core.hooks.transport import CallFailed
from mairust_core.model.flags import MAX_TAGS, parse_flag, parse_tag
from mairust_core.model.hook import Fallback, HookType
from mairust_core.model.mailbox import QUARANTINE, mailbox_name
from mairust_core.model.message_change import MAX_METADATA_BYTES, MAX_NAMESPACE_LENGTH
from mairust_core.model.plugin import Permissions
from mairust_core.model.reply import Reply
from mairust_core.model.verdict import NO_EFFECTS, REJECTED, TEMPFAILED, Action, Effects

MAX_MESSAGE_OCTETS = 200
MAX_ITEMS = 2 * MAX_TAGS
"""Of a longer list nothing is read, not even to say what of it would do."""
SHORT_BYTES = 64
"""Answers that are no longer may be remembered."""
MAX_NAMES = 32
"""Names of metadata in one answer."""
MAX_DEPTH = 32
"""Objects and lists inside of each other: whoever reads it later has no deeper stack than we have."""
ACTIONS = {
    "deliver": Action.DELIVER,
    "allow": Action.DELIVER,
    "tag": Action.DELIVER,
    "quarantine": Action.QUARANTINE,
    "tempfail": Action.TEMPFAIL,
    "reject": Action.REJECT,
}
_FIELDS: dict[str, tuple[type, ...]] = {
    "code": (int, str),
    "permanent": (bool,),
    "message": (str,),
    "tags": (list,),
    "remove_tags": (list,),
    "flags": (list,),
    "move_to": (str,),
    "metadata": (dict,),
    "annotations": (dict,),
    "score": (int, float),
}
"""What may stand beside `action`, and as what; null is as if it were left out."""
_CALLED = {int: "a number", str: "a text", bool: "true or false", list: "a list", dict: "an object"}
_CHANGING = frozenset({"tags", "remove_tags", "flags", "move_to", "metadata", "annotations"})
_CODE = re.compile(r"([0-9]{3})(?: ([245]\.[0-9]{1,3}\.[0-9]{1,3}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One answer as it counts. `refused` names fields that were left out."""

    action: Action = Action.DELIVER
    reply: Reply | None = None
    reason: str = ""
    effects: Effects = NO_EFFECTS
    annotations: dict[str, Any] = field(default_factory=dict)
    score: float | None = None
    refused: tuple[str, ...] = ()


def read(body: bytes, plugin: str, permissions: Permissions, type_: HookType) -> Said:
    """The answer in `body` as far as it counts; raises `CallFailed`."""
    if len(body) <= SHORT_BYTES:
        action = _action_alone(body)
        if action is not None:
            return _bare(action, permissions, type_)
    given = _document(body)
    return _full(given, _action(given), plugin, permissions, type_)


@lru_cache(maxsize=64)
def _action_alone(body: bytes) -> Action | None:
    """The action of an answer that says nothing else, mostly in the same words; raises `CallFailed`."""
    given = _document(body)
    return _action(given) if len(given) == 1 else None


@lru_cache
def _bare(action: Action, permissions: Permissions, type_: HookType) -> Said:
    """An answer without anything but its action: the usual one."""
    return _full({}, action, "", permissions, type_)


def _full(
    given: dict[str, Any], action: Action, plugin: str, permissions: Permissions, type_: HookType
) -> Said:
    reader = _Reader(given, plugin, permissions)
    effects = reader.effects()
    said = Said(
        action=action,
        effects=effects,
        annotations=reader.annotations,
        score=reader.score,
    )
    said = _after_storing(said, reader) if type_ is HookType.POST_RECEIVE else _before_storing(said, reader)
    return replace(said, refused=tuple(dict.fromkeys(reader.refused)))


def fallback(wanted: Fallback, why: str) -> Said:
    """What a hook is taken to say when it does not answer (R-HOOK-2)."""
    if wanted is Fallback.ALLOW:
        return Said(reason=why)
    if wanted is Fallback.REJECT:
        return Said(action=Action.REJECT, reply=REJECTED, reason=why)
    return Said(action=Action.TEMPFAIL, reply=TEMPFAILED, reason=why)


def _document(body: bytes) -> dict[str, Any]:
    if not body.strip():
        raise CallFailed("the answer is empty")
    try:
        found = decode(body)
    except UnicodeDecodeError:
        raise CallFailed("the answer is not UTF-8") from None
    except _Repeated:
        raise CallFailed("the answer has a name twice in one object") from None
    except (ValueError, RecursionError):
        raise CallFailed("the answer is not one JSON document") from None
    if not isinstance(found, dict):
        raise CallFailed("the answer is not a JSON object")
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deeper(found, MAX_DEPTH):
        raise CallFailed(f"the answer is nested more than {MAX_DEPTH} deep")
    return found


def _is_deeper(value: object, most: int) -> bool:
    """Whether more objects and lists lie inside of each other."""
    if not isinstance(value, dict | list):
        return False
    if most == 0:
        return True
    return any(_is_deeper(one, most - 1) for one in (value.values() if isinstance(value, dict) else value))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise ValueError(text)
    return found


class _Repeated(ValueError):
    """Of two values under one name each reader takes the one it likes (RFC 8259 §4)."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Repeated
    return found


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_once)


def decode(body: bytes) -> Any:
    """The JSON in `body`, names once and numbers finite. Raises `ValueError` and `RecursionError`."""
    return _DECODER.decode(body.decode("utf-8"))


def _shown(name: str) -> str:
    """A name that a plugin made up, for people and logs to read."""
    return name if name.isprintable() else ascii(name)


def _action(given: dict[str, Any]) -> Action:
    action = given.get("action")
    if not isinstance(action, str) or action not in ACTIONS:
        raise CallFailed(
            "the answer has no known action" if "action" in given else "the answer has no action"
        )
    for name, kinds in _FIELDS.items() if len(given) > 1 else ():
        value = given.get(name)
        odd_bool = isinstance(value, bool) and bool not in kinds
        if value is not None and (odd_bool or not isinstance(value, kinds)):
            wanted = " or ".join(_CALLED[kind] for kind in kinds if kind in _CALLED)
            raise CallFailed(f"{name} in the answer is not {wanted}")
    for name in ("tags", "remove_tags", "flags"):
        if not all(isinstance(one, str) for one in given.get(name) or ()):
            raise CallFailed(f"{name} in the answer is not a list of texts")
    return ACTIONS[action]


class _Reader:
    """Takes the fields of an answer one by one and notes what is left out."""

    def __init__(self, given: dict[str, Any], plugin: str, permissions: Permissions) -> None:
        self.given = given
        self._prefix = f"plugin:{plugin}:"
        self._may = permissions
        unknown = (name for name in given if name not in _FIELDS and name != "action")
        self.refused: list[str] = [f"{_shown(name[:40])} (unknown)" for name in islice(unknown, MAX_NAMES)]
        self.annotations = self._fitting("annotations")
        self.score = self._score()

    def effects(self) -> Effects:
        """What the answer changes of a copy."""
        if self.score is None and self.given.keys().isdisjoint(_CHANGING):
            return NO_EFFECTS
        may = self._may
        effects = Effects(
            tags=self._parsed("tags", may.write_tags, parse_tag),
            remove_tags=self._parsed("remove_tags", may.write_tags, parse_tag),
            flags=self._parsed("flags", may.write_flags, parse_flag),
            move_to=self._mailbox(),
            metadata=self._metadata(),
        )
        return NO_EFFECTS if effects == NO_EFFECTS else effects

    def _parsed(self, name: str, allowed: bool, parse: Callable[[str], str]) -> tuple[str, ...]:
        texts: list[str] = self.given.get(name) or []
        if texts and not allowed:
            self.refused.append(name)
            return ()
        if len(texts) > MAX_ITEMS:
            self.refused.append(name)
            return ()
        found: dict[str, None] = {}
        for text in texts:
            try:
                found[parse(text)] = None
            except Invalid:
                self.refused.append(name)
        if len(found) > MAX_TAGS:
            self.refused.append(name)
        return tuple(found)[:MAX_TAGS]

    def _mailbox(self) -> str | None:
        wanted = self.given.get("move_to")
        if not wanted:
            return None
        try:
            name = mailbox_name("move_to", wanted) if self._may.move_message else ""
        except Invalid:
            name = ""
        if not name or name.casefold() == QUARANTINE.casefold():  # that is an action, with a reason
            self.refused.append("move_to")
            return None
        return name

    def _metadata(self) -> dict[str, Any]:
        """Metadata under the plugin's own names, its score and annotations beside them."""
        given = self._fitting("metadata")
        if given and not self._may.write_metadata:
            self.refused.append("metadata")
        if not self._may.write_metadata:
            return {}
        if self.score is not None:
            given = {"score": self.score, **given}
        if self.annotations:
            given = {"annotations": self.annotations, **given}
        return {f"{self._prefix}{name}": value for name, value in given.items()}

    def _fitting(self, name: str) -> dict[str, Any]:
        """An object of bounded size with printable names, or nothing."""
        given: dict[str, Any] = self.given.get(name) or {}
        if not given:
            return {}
        room = MAX_NAMESPACE_LENGTH - len(self._prefix)
        fits = len(given) <= MAX_NAMES and all(key.isprintable() and 0 < len(key) <= room for key in given)
        if not fits or not _is_kept(given):
            self.refused.append(name)
            return {}
        return given

    def _score(self) -> float | None:
        given = self.given.get("score")
        if given is None:
            return None
        try:
            score = float(given)
        except OverflowError:
            score = math.inf
        if not math.isfinite(score):
            self.refused.append("score")
            return None
        return score


def _is_kept(given: dict[str, Any]) -> bool:
    """Whether it is small enough, and every reader's JSON: no lone surrogates, no numbers beyond 64 bits."""
    try:
        orjson.dumps(given)
    except TypeError:
        return False
    return len(json.dumps(given, ensure_ascii=False).encode("utf-8")) <= MAX_METADATA_BYTES


def _before_storing(said: Said, reader: _Reader) -> Said:
    """Action, rank and reply of an answer that decides what becomes of the mail (R-HOOK-5)."""
    action, permanent = said.action, reader.given.get("permanent")
    if action in {Action.REJECT, Action.TEMPFAIL} and permanent is not None:
        action = Action.REJECT if permanent else Action.TEMPFAIL
    text = _message(reader)
    if action not in {Action.REJECT, Action.TEMPFAIL}:
        return replace(said, action=action, reason=text)
    default = REJECTED if action is Action.REJECT else TEMPFAILED
    code, enhanced = _code(reader, default)
    shown = text if text.isascii() and text else default.text
    return replace(said, action=action, reply=Reply(code, enhanced, shown), reason=text)


def _after_storing(said: Said, reader: _Reader) -> Said:
    """A mail that is stored is delivered: its sender cannot be told anything any more."""
    action = said.action
    if action in {Action.REJECT, Action.TEMPFAIL} or (
        action is Action.QUARANTINE and not reader._may.move_message
    ):
        reader.refused.append("action")
        action = Action.DELIVER
    return replace(said, action=action, reason=_message(reader))


def _message(reader: _Reader) -> str:
    """One printable line of at most 200 octets, or nothing."""
    text: str = reader.given.get("message") or ""
    if text and (not text.isprintable() or len(text.encode("utf-8", "replace")) > MAX_MESSAGE_OCTETS):
        reader.refused.append("message")
        return ""
    return text


def _code(reader: _Reader, default: Reply) -> tuple[int, str]:
    given = reader.given.get("code")
    if given is None:
        return default.code, default.enhanced
    found = _CODE.fullmatch(str(given))
    code = int(found[1]) if found else 0
    if found is None or code // 100 != default.code // 100 or code == 421:
        reader.refused.append("code")
        return default.code, default.enhanced
    enhanced = found[2]
    if enhanced is None:
        return code, default.enhanced
    if enhanced[0] != str(code // 100):
        reader.refused.append("code")
        return default.code, default.enhanced
    return code, enhanced
