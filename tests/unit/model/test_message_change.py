"""What is asked of a message, before anything is done."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mairust_core.errors import Invalid
from mairust_core.model.message_change import Appended


@pytest.mark.parametrize("year", [1, 999, 1969])
def test_a_date_before_1970_is_refused_by_its_whole_year(year: int) -> None:
    """As it was written: four digits."""
    with pytest.raises(Invalid, match=rf"date: {year:04}-02-03 is before 1970"):
        Appended(date=datetime(year, 2, 3, tzinfo=UTC))
