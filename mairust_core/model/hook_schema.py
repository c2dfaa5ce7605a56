"""The JSON Schemas of what hooks are asked and answer, as the API gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class HookSchemas:
    """Both documents, JSON Schema 2020-12: of a request, and of an answer (contract §4)."""

    request: dict[str, Any]
    answer: dict[str, Any]
