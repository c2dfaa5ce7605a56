"""Ids: 63-bit integers inside, decimal strings on every wire (rule A4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema


class Id(int):
    """An id; JSON numbers above 2^53 lose digits in many readers, so on the wire it is a string."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str, field: str = "id") -> Id:
        """The id a decimal string stands for; anything else raises `Invalid` of the field."""
        from mairust_core.errors import Invalid

        if not (text.isascii() and text.isdigit() and len(text) <= 19) or int(text) >= 1 << 63:
            raise Invalid(field, "not_id", value=repr(text[:40]))
        return cls(text)

    @classmethod
    def of_cursor(cls, cursor: str) -> Id:
        """The id after which a page begins; raises `Invalid`."""
        from mairust_core.errors import Invalid

        try:
            return cls.parse(cursor)
        except Invalid as error:
            raise Invalid("cursor", "not_cursor", value=repr(cursor[:40])) from error

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(
            cls, core_schema.str_schema(pattern=r"^[0-9]{1,19}$")
        )
