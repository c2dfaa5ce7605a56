"""One call of a hook: whether it is asked at all, how long, and what counts when it gives no answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mairust_core.hooks import answers
from mairust_core.hooks.answers import Said
from mairust_core.hooks.book import Registered
from mairust_core.hooks.breakers import Breakers, NoBreakers
from mairust_core.hooks.bulkhead import Bulkhead
from mairust_core.hooks.pool import Transports
from mairust_core.hooks.probe import probe_of
from mairust_core.hooks.transport import NOTHING_USED, Answer, Call, CallEnded, CallFailed, CallTimedOut, Used
from mairust_core.model.hook import POST_TIMEOUT_MAX_MS, PRE_TIMEOUT_MAX_MS, HookType

BULKHEAD = 32
"""Calls of one hook at a time (rule E4)."""
SLOT_MS = 250
"""How long one more waits for another to end: a burst is no failure, a plugin that hangs is one."""

log = logging.getLogger("mairust.hooks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one question. `error` None: it was answered; `body` is the answer itself, in trials."""

    said: Said
    ms: float
    error: str | None = None
    body: bytes | None = None
    log: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)
    used: Used = NOTHING_USED
    called: bool = True
    late: bool = False
    """There was no time, or not enough: `on_timeout` counts."""


class Caller:
    """Asks hooks, never more of one at a time than its bulkhead holds; belongs to one event loop."""

    def __init__(
        self,
        transports: Transports,
        breakers: Breakers | NoBreakers,
        find: Callable[[str], Registered | None] = lambda _: None,
        *,
        trial: bool = False,
    ) -> None:
        """`find` tells a hook as it is in force now; only in a `trial` are answers kept as they came."""
        self._transports = transports
        self._breakers = breakers
        self._find = find
        self._trial = trial
        self._slots: dict[str, Bulkhead] = {}

    async def ask(
        self, registered: Registered, delivery_id: str, body: bytes, mail: str, left_ms: int
    ) -> Outcome:
        """Ask one hook about one mail, `mail` being its hash; never raises.

        `left_ms` is what is left of the budget of all hooks (rule E4).
        """
        refusal = await self._refusal(registered, mail)
        if refusal is not None:
            return _not_asked(registered, refusal)
        began = time.perf_counter()
        if (slots := self._slots.get(registered.hook.name)) is None:
            slots = self._slots[registered.hook.name] = Bulkhead(BULKHEAD)
        if not await slots.take(_patience_s(registered)):
            return _not_asked(registered, f"{BULKHEAD} calls of it are under way")
        try:
            waited_ms = round(_since(began))
            timeout_ms, left_ms = timeout_of(registered) - waited_ms, left_ms - waited_ms
            if min(timeout_ms, left_ms) <= 0:
                return _no_time(registered)
            call = Call(
                delivery_id=delivery_id,
                hook=registered.hook.name,
                body=body,
                timeout_ms=min(timeout_ms, left_ms),
                trial=self._trial,
            )
            return await self._outcome(registered, call, mail, cut=left_ms < timeout_ms)
        finally:
            slots.give_back()

    async def _refusal(self, registered: Registered, mail: str) -> str | None:
        if registered.blocked:
            return "its plugin is blocked"
        return await self._breakers.refusal(registered.hook, mail)

    async def _outcome(self, registered: Registered, call: Call, mail: str, *, cut: bool) -> Outcome:
        """What came of a call; `cut`: it had less time than the hook has, and that counts for no breaker."""
        hook = registered.hook
        began = time.perf_counter()
        try:
            outcome = await self._answer(registered, call)
        except CallEnded as error:
            return self._ended(registered, _since(began), str(error))
        except CallFailed as error:
            why = str(error) or type(error).__name__
            late = isinstance(error, CallTimedOut)
            if not (late and cut):
                await self._breakers.failed(hook, mail, why, lambda: self._probe(registered, call))
            said = answers.fallback(hook.on_timeout if late else hook.on_error, why)
            return Outcome(
                said=said, ms=_since(began), error=why, body=error.body, log=error.log, notes=error.notes,
                used=error.used, late=late,
            )  # fmt: skip
        await self._breakers.answered(hook)
        return outcome

    def _ended(self, registered: Registered, ms: float, why: str) -> Outcome:
        """A call that was ended for what became of its hook: one that is gone holds up no mail."""
        now = self._find(registered.hook.name)
        said = Said(reason=why) if now is None else answers.fallback(now.hook.on_error, why)
        return Outcome(said=said, ms=ms, error=why)

    async def _answer(self, registered: Registered, call: Call) -> Outcome:
        hook, plugin = registered.hook, registered.plugin
        began = time.perf_counter()
        try:
            async with self._transports.to(plugin, call.timeout_ms / 1000) as transport:
                answer = await transport.call(call)
            said = self._read(registered, answer)
        except TimeoutError:
            raise CallTimedOut(f"no answer within {call.timeout_ms} ms") from None
        except CallFailed:
            raise
        except Exception as error:  # a transport's fault is the hook's failure, never the mail's (trap H1)
            log.exception("hook %s could not be called", hook.name)
            raise CallFailed(f"it could not be called: {type(error).__name__}") from error
        body = answer.body if self._trial else None
        return Outcome(
            said=said, ms=_since(began), body=body, log=answer.log, notes=answer.notes, used=answer.used
        )

    def _read(self, registered: Registered, answer: Answer) -> Said:
        """What an answer says; raises `CallFailed` with all that came beside it."""
        plugin = registered.plugin
        try:
            return answers.read(answer.body, plugin.id, plugin.permissions, registered.hook.type)
        except CallFailed as error:
            error.log, error.notes, error.used = answer.log, answer.notes, answer.used
            error.body = answer.body if self._trial else None
            raise

    async def _probe(self, registered: Registered, failed: Call) -> bool:
        """Whether the hook answers on a mail that nobody could object to."""
        name, body = probe_of(registered, failed)
        call = Call(
            delivery_id=name,
            hook=registered.hook.name,
            body=body,
            timeout_ms=timeout_of(registered),
        )
        try:
            await self._answer(registered, call)
        except CallFailed:
            return False
        return True


def timeout_of(registered: Registered) -> int:
    """How long one call may take, in milliseconds, whatever the budget (rule E4)."""
    hook, wall_time_ms = registered.hook, registered.plugin.limits.wall_time_ms
    most = POST_TIMEOUT_MAX_MS if hook.type is HookType.POST_RECEIVE else PRE_TIMEOUT_MAX_MS
    return min(hook.timeout_ms, most, wall_time_ms or most)


def _since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 3)


def _patience_s(registered: Registered) -> float:
    """How long one waits for another call to end: a job can wait for longer."""
    later = registered.hook.type is HookType.POST_RECEIVE
    return (timeout_of(registered) if later else SLOT_MS) / 1000


def _not_asked(registered: Registered, why: str) -> Outcome:
    return Outcome(said=answers.fallback(registered.hook.on_error, why), ms=0, error=why, called=False)


def _no_time(registered: Registered) -> Outcome:
    why = "no time was left for it"
    said = answers.fallback(registered.hook.on_timeout, why)
    return Outcome(said=said, ms=0, error=why, called=False, late=True)
