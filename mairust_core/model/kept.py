"""What says where the bytes of a message lie, and what a rendering makes of them."""

from __future__ import annotations

from typing import Protocol

from mairust_core.model.blob import Locator
from mairust_core.model.delivery import Hidden


class Kept(Protocol):
    """Whatever says where the bytes of a message lie."""

    @property
    def locator(self) -> Locator: ...
    @property
    def sha256(self) -> bytes: ...
    @property
    def tenant_id(self) -> int: ...


class Renderable(Kept, Protocol):
    """Kept bytes with what a rendering adds and hides (rule B2)."""

    @property
    def trace_headers(self) -> bytes: ...

    @property
    def hidden(self) -> Hidden: ...
