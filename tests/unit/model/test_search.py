"""Pages of searches."""

from __future__ import annotations

from typing import Any

import pytest

from mairust_core.errors import Unreachable
from mairust_core.model.search import Found, Listed


def test_a_searched_list_says_what_the_search_found() -> None:
    """The same page both ways."""
    found = Found(items=(), next_cursor="x", complete=False, unsearched=3)
    assert Listed.of(found).found() == found


@pytest.mark.parametrize("said", [{}, {"complete": True}, {"unsearched": 0}])
def test_a_server_that_does_not_say_it_is_not_believed(said: dict[str, Any]) -> None:
    """One that does not know the parameter lists everything."""
    with pytest.raises(Unreachable, match="did not say"):
        Listed(items=(), next_cursor=None, **said).found()
