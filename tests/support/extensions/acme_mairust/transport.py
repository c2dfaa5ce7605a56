"""A way to plugins whose answer stands in a file."""

from __future__ import annotations

import asyncio
from pathlib import Path

from mairust_core.hooks.transport import Answer, Call, CallFailed
from mairust_core.model.plugin import Runnable


class FileTransport:
    """`Transport`: the plugin's endpoint is the path of its answer."""

    def __init__(self, plugin: Runnable) -> None:
        self._file = Path(plugin.entry.endpoint)

    async def call(self, call: Call) -> Answer:
        """What the file says."""
        try:
            return Answer(body=await asyncio.to_thread(self._file.read_bytes))
        except OSError as error:
            raise CallFailed(f"its answer cannot be read: {error.strerror}") from error

    async def close(self) -> None:
        """Nothing is held."""
