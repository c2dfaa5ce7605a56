"""What the layers of the sandbox mean to who runs the server."""

from __future__ import annotations

import pytest

from mairust_core.doctor.findings import explained
from mairust_core.doctor.sandbox import judged_isolation
from mairust_core.model.finding import Level
from mairust_core.model.isolation import Isolation, Layer, MissingLayer
from mairust_core.model.plugin import Layers


def _isolation(grade: Layers, *missing: Layer) -> Isolation:
    return Isolation(
        grade=grade,
        present=tuple(layer for layer in Layer if layer not in missing),
        missing=tuple(MissingLayer(layer=layer, why="it was taken away") for layer in missing),
    )


def test_a_full_sandbox_is_no_finding() -> None:
    """Nothing is missing."""
    assert [*judged_isolation(_isolation(Layers.NAMESPACES))] == []


@pytest.mark.parametrize(
    "layer", [Layer.NAMESPACES, Layer.OWN_USER, Layer.LANDLOCK, Layer.SECCOMP, Layer.CGROUP]
)
def test_each_layer_that_is_missing_is_told(layer: Layer) -> None:
    """By its name, with why: worth knowing, no fault."""
    (found,) = judged_isolation(_isolation(Layers.LANDLOCK, layer))
    assert (found.id, found.level) == (f"sandbox.{layer.replace('-', '_')}", Level.INFO)
    (told,) = explained([found], "ja").findings
    assert "it was taken away" in told.what


@pytest.mark.parametrize("grade", [Layers.LIMITS, Layers.NONE])
def test_rule_h1_too_little_is_one_warning(grade: Layers) -> None:
    """Every missing layer in it: local plugins do not run."""
    (found,) = judged_isolation(_isolation(grade, Layer.NAMESPACES, Layer.LANDLOCK))
    assert (found.id, found.level) == ("sandbox.not_enough", Level.WARNING)
    assert found.values["missing"] == "namespaces: it was taken away; landlock: it was taken away"
