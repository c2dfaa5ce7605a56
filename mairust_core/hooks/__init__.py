"""What others say about a mail: the hooks of a site, asked on its way in and after it is stored.

Deciding, without input and output; a test holds them to it:

    filters.py      which mail a hook wants: RE2, all hooks at once
    payload.py      what a plugin is told: as much as its approved permissions allow (rule F1)
    shown.py        which bytes of a mail that is, where attachments are not shown
    answers.py      what it may say, and what of it counts (rule F2)
    opinions.py     many answers, one verdict: stop, merge, the strongest action (R-HOOK-4)
    metadata.py     how much plugins may keep with a message
    steps.py        what one question came to; told.py: how much of it the trace keeps
    probe.py        the mail by which a failing hook is told from mails that make it fail
    schema.py       the JSON Schemas of request and answer

Asking:

    book.py         which hooks there are (a port), and those a test writes down
    chain.py        the hooks of a site, followed as they change
    rounds.py       all questions about one mail, in their order
    calls.py        one call: time, bulkhead.py, breaker; what counts when there is no answer
    room.py         memory for requests
    breakers.py     hooks that fail are left alone for a while (rule E5)
    shadows.py      calls after the reply, without effect
    call_log.py     what is kept of each question, as rows: written with the mail, or later
    log.py          what of it is written later than the mail, or has no mail
    accesses.py     who saw which mail; figures.py: what calls took; sayings.py: what plugins wrote
    trial.py        what tries hooks out (a port)
    effects.py      what answers change of a stored message, in its caller's transaction

Ways to whatever answers:

    transport.py    the port; memory.py and inprocess.py answer within this process
    ways.py         those that a site has; pool.py: one of them for each plugin
    health.py       asking one whether it is well
    http.py         over TCP and UNIX sockets; destinations.py: where to, signature.py: signed,
    credentials.py  with which secrets and tokens (a port)
    connections.py  made, kept and judged; exchange.py: one of them, asked one question at a time
    stdin.py        a process for each call; workers.py: processes that stay; processes.py: what both share
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from mairust_core.model.blob import Content
from mairust_core.model.content import Description
from mairust_core.model.envelope import Envelope
from mairust_core.model.ids import Id
from mairust_core.model.verdict import DELIVER, Verdict

if TYPE_CHECKING:
    from mairust_core.hooks.shadows import Shadow
    from mairust_core.hooks.steps import Step

Event = dict[str, Any]
"""What the trace notes of a call: `kind` "hook", and what `model.story.KINDS` names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One mail before the hooks, not yet stored; `reached` are the accounts, each with the addresses it has
    in the envelope (rule E1).

    `delivery` is the same in every attempt (rule F3); `hidden` are byte ranges that no plugin sees (rule B2).
    """

    delivery: str
    envelope: Envelope
    content: Content
    description: Description
    reached: Mapping[int, Sequence[str]]
    hidden: tuple[tuple[int, int], ...] = ()
    attempt: int = 1
    trace_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the hooks said of one mail: a verdict for each account, what of it belongs into the trace, and
    which `post_receive` hooks want the copy of which account.
    """

    verdicts: Mapping[int, Verdict]
    events: Sequence[Event] = ()
    later: Mapping[int, Sequence[str]] = field(default_factory=dict)
    shadows: Sequence[Shadow] = ()
    """Calls without effect, ready to be made after the reply."""
    steps: Sequence[Step] = ()
    """Every question, for whoever wants to know exactly."""
    preview: str | None = None
    """The beginning of the text, where a plugin was shown it: it need not be read again."""

    @property
    def has_asked(self) -> bool:
        """Whether a plugin is asked about the mail, before its reply or after it."""
        return bool(self.steps or self.shadows)


class Chain(Protocol):
    """The hooks of a site, asked once per mail; belongs to one event loop."""

    async def ask(self, mail: Asked) -> Told:
        """What the hooks say before anything is stored; never raises. What was asked, the caller notes."""
        ...

    def follow(self, told: Told, trace_id: int, stored: Mapping[int, Id], *, written: bool) -> None:
        """Note what was asked about a mail that was answered, and make its shadow calls; returns at once.

        `stored` are the messages that came of it, by account; `written`: what was asked is with them already.
        """
        ...

    async def poll(self) -> None:
        """Notice changed hooks; to be called at least once a second."""
        ...

    async def close(self) -> None:
        """Let go of transports; calls under way fail."""
        ...


class NoHooks:
    """A chain without hooks: every copy is delivered."""

    async def ask(self, mail: Asked) -> Told:
        """Deliver to everyone."""
        return Told(verdicts=dict.fromkeys(mail.reached, DELIVER))

    def follow(self, told: Told, trace_id: int, stored: Mapping[int, Id], *, written: bool) -> None:
        """Nothing follows."""

    async def poll(self) -> None:
        """Nothing changes."""

    async def close(self) -> None:
        """Nothing is held."""
