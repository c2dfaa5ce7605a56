"""A transport whose plugin is a function: for tests, and for tools that know what they are given."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mairust_core.hooks.transport import MAX_ANSWER_BYTES, Answer, Call, CallFailed, CallTimedOut

Said = bytes | Mapping[str, Any]
Plugin = Callable[[dict[str, Any]], Said | Awaitable[Said]]
"""Gets the request, gives an answer as an object or as raw bytes; what it raises is a failure."""


class MemoryTransport:
    """Calls the function on the event loop and keeps every call."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin
        self.calls: list[Call] = []
        self.closed = False

    @property
    def requests(self) -> list[dict[str, Any]]:
        """What the plugin was told."""
        return [json.loads(call.body) for call in self.calls]

    async def call(self, call: Call) -> Answer:
        """Ask once; a failure of the function is one of the plugin."""
        self.calls.append(call)
        try:
            async with asyncio.timeout(call.timeout_ms / 1000):
                said = self._plugin(json.loads(call.body))
                if inspect.isawaitable(said):
                    said = await said
        except TimeoutError:
            raise CallTimedOut(f"no answer within {call.timeout_ms} ms") from None
        except CallFailed:
            raise
        except Exception as error:
            raise CallFailed(f"it failed: {type(error).__name__}") from error
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        if len(body) > MAX_ANSWER_BYTES:
            raise CallFailed(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
        return Answer(body=body)

    async def close(self) -> None:
        """Note it."""
        self.closed = True
