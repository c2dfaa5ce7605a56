"""Records of which every mail makes some: frozen for the type checker, and quick to make.

To set a field of a frozen dataclass costs 60 ns more than that of another one, a mail comes to some 200.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:
    from dataclasses import dataclass

    def record(*, frozen: bool, **options: Any) -> Any:
        """Make a dataclass that nothing assigns to: the type checker sees to it."""
        return dataclass(unsafe_hash=frozen, **options)


__all__ = ["record"]
