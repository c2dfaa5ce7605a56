"""Rules of Landlock for each version of it that kernels speak."""

from __future__ import annotations

import pytest

from mairust_core.sandbox.landlock import Access, ruleset

EVERYWHERE = Access(reading=("/usr",), writing=("/tmp",), ports=(3128,))


@pytest.mark.parametrize(
    ("version", "length", "files", "ports"),
    [
        (1, 8, (1 << 13) - 1, []),
        (2, 8, (1 << 14) - 1, []),
        (3, 8, (1 << 15) - 1, []),
        (4, 16, (1 << 15) - 1, [(3128, 2)]),
        (5, 16, (1 << 16) - 1, [(3128, 2)]),
        (6, 24, (1 << 16) - 1, [(3128, 2)]),
        (9, 24, (1 << 16) - 1, [(3128, 2)]),
    ],
)
def test_a_kernel_is_asked_for_what_its_version_knows(
    version: int, length: int, files: int, ports: list[tuple[int, int]]
) -> None:
    """No more, which it would refuse; and no less."""
    rules = ruleset(version, EVERYWHERE)
    attributes = rules["attributes"]
    assert isinstance(attributes, bytes)
    assert len(attributes) == length
    assert int.from_bytes(attributes[:8], "little") == files
    assert rules["ports"] == ports
    assert rules["paths"] == [("/usr", 0b1101), ("/tmp", files)]


def test_no_port_and_any_port_are_two_things() -> None:
    """`()` handles TCP and allows none; None leaves the network alone."""
    handled = ruleset(6, Access(reading=(), ports=()))["attributes"]
    left = ruleset(6, Access(reading=(), ports=None))["attributes"]
    assert isinstance(handled, bytes)
    assert isinstance(left, bytes)
    assert (handled[8], left[8]) == (3, 0)
    assert handled[16] == left[16] == 3  # abstract sockets and signals stay inside
