"""Plugins at work: secrets and tokens, which mail they saw, what they took and said, how they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mairust_core.errors import Invalid
from mairust_core.model.forms import request, values_of
from mairust_core.model.ids import Id

GRACE_S = 86_400
MAX_GRACE_S = 30 * 86_400
"""A secret that is good for longer was not rotated."""
TOKEN_S = 3600
"""No token of a plugin is good for longer (rule G3)."""
MIN_TOKEN_S = 60


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """How to rotate a secret: for how long the one before is good beside the new one; 0: not at all."""

    grace_s: int = GRACE_S

    def __post_init__(self) -> None:
        if not 0 <= self.grace_s <= MAX_GRACE_S:
            raise Invalid("grace_s", "not_within", value=self.grace_s, low=0, high=MAX_GRACE_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class RotatedSecret:
    """A plugin's new secret, shown this once, and until when the one before verifies too."""

    id: str
    secret: str = field(repr=False)
    previous_valid_until: datetime | None


class TokenScope(StrEnum):
    """What a plugin's token is for."""

    CALLBACK = "callback"
    """To say more about one delivery, once (rule F3)."""
    METRICS = "metrics"
    """To tell numbers of itself."""


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class NewPluginToken:
    """What is needed to issue a token; `delivery` is what a callback is about, as the plugin was told it."""

    scopes: tuple[TokenScope, ...]
    delivery: str | None = None
    good_for_s: int = TOKEN_S

    def __post_init__(self) -> None:
        object.__setattr__(self, "scopes", tuple(dict.fromkeys(TokenScope(one) for one in self.scopes)))
        if not self.scopes:
            raise Invalid("scopes", "no_scope", known=", ".join(TokenScope))
        if not MIN_TOKEN_S <= self.good_for_s <= TOKEN_S:
            raise Invalid("good_for_s", "not_within", value=self.good_for_s, low=MIN_TOKEN_S, high=TOKEN_S)
        if (TokenScope.CALLBACK in self.scopes) != (self.delivery is not None):
            raise Invalid("delivery", "token_delivery")


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginToken:
    """A token that was issued to a plugin, without the token itself; `id` is its `jti`.

    `uses` and `refused` count how often it was taken and how often it was not.
    """

    id: str
    plugin: str
    scopes: tuple[TokenScope, ...]
    delivery: str | None
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked: bool
    uses: int
    refused: int
    used_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedPluginToken(PluginToken):
    """A new token, shown this once; `token` says all but the JWT once more."""

    token: PluginToken
    jwt: str = field(repr=False)

    @classmethod
    def of(cls, token: PluginToken, jwt: str) -> IssuedPluginToken:
        """This token, which is `jwt` in full."""
        return cls(**values_of(token), token=token, jwt=jwt)


class Occasion(StrEnum):
    """Why a plugin was shown a mail."""

    MAIL = "mail"
    """It was asked about mail that came, or was stored."""
    SHADOW = "shadow"
    """Likewise, without effect."""
    REPLAY = "replay"
    """Somebody tried a hook out on stored mail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginAccess:
    """One plugin was sent one account's copy of a mail.

    `saw` names the parts: headers, body:preview, body:full, attachments:metadata, attachments:full; the
    recipient's address and the size always. `account` is null once the account is removed, `message_id` when
    the mail was refused. `trace_id` leads to the mail's story for as long as that is kept.
    """

    id: Id
    at: datetime
    plugin: str
    version: str
    hook: str
    occasion: Occasion
    saw: tuple[str, ...]
    account: str | None
    trace_id: Id | None
    message_id: Id | None


class LogOrigin(StrEnum):
    """Where a line of a plugin's log comes from."""

    STDERR = "stderr"
    """The plugin wrote it beside its answer."""
    ERROR = "error"
    """A call failed; why."""
    HEALTH = "health"
    """Its health changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginLogLine:
    """One line of a plugin's log, without control characters, cut at 512 bytes."""

    id: Id
    at: datetime
    plugin: str
    hook: str
    origin: LogOrigin
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginUsage:
    """What calls of a plugin came to and took; a worker's CPU and memory are those of all its processes.

    `failures` hold the calls that were too late, which `timeouts` counts; `skipped` were not made. `signed`
    were made under its secret; `tokens` were taken, `tokens_refused` not.
    """

    calls: int = 0
    failures: int = 0
    timeouts: int = 0
    skipped: int = 0
    signed: int = 0
    tokens: int = 0
    tokens_refused: int = 0
    wall_ms: int = 0
    cpu_ms: int = 0
    peak_memory_mb: float = 0.0
    last_call_at: datetime | None = None


class HealthState(StrEnum):
    """What the last check of a plugin's health found."""

    WELL = "well"
    UNWELL = "unwell"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginHealth:
    """How a plugin is that names a `health_endpoint`: since when, and why it is not well.

    `failures` counts the checks that found it unwell one after another.
    """

    state: HealthState
    since: datetime
    checked_at: datetime
    ms: float
    failures: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """The processes of a local plugin, of all servers of the site together, and how many of them work."""

    alive: int
    busy: int
