"""The text format of Prometheus: what labels may hold."""

from __future__ import annotations

from mairust_core.observe.series import Family, text
from tests.support.exposition import samples


def test_a_label_holds_what_the_format_has_a_meaning_for() -> None:
    """Quotes, backslashes and line ends are escaped; a line stays one."""
    told = text([Family("a", "gauge", "Of labels.", [({"x": 'q"b\\n\nend'}, 1)])])
    assert told.splitlines()[2:] == [r'a{x="q\"b\\n\nend"} 1']
    assert list(samples(told).values()) == [1.0]
